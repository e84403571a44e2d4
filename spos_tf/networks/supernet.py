"""The network whose paths are all networks of a search space."""

import functools
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.layers.branch import Branch
from spos_tf.layers.dispatch import case
from spos_tf.layers.path_norm import (
    BatchNorm,
    CollectingBatchNorm,
    GivenBatchNorm,
    PathNorm,
)
from spos_tf.networks.blueprint import Blueprint

# One float32 [2, channels] a segment: mean and variance of the batch norms of
# the branch taken, padded to the widest branch.
Statistics = Sequence[tf.Tensor]


class Supernet(keras.layers.Layer):
    """All branches of all choices, with one path run at a time (eq. 8).

    The path is an argument and statistics are values: the supernet holds
    kernels and nothing that a call could change.

    Args:
        blueprint: The description.
        seed: Seed of the initial weights.
        aligned: Whether the options of a choice start as alike as they can
            be: equal weights where their operations agree, larger depthwise
            kernels as the 3x3 one with zeros around. Paths then agree in what
            a channel means, and short trainings get much further; the
            official code draws every option anew.
        norm: How batch norm normalises in training; `BatchNorm()` or
            `SynchronizedBatchNorm(replicas)`.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        *,
        seed: int = 0,
        aligned: bool = False,
        norm: PathNorm | None = None,
    ) -> None:
        super().__init__(name="supernet", autocast=False)
        self.blueprint = blueprint
        self._norm = norm or BatchNorm()
        self._branches: list[list[Branch]] = []
        self._positions = blueprint.option_positions
        self._lengths: list[int] = []
        for segment, shape in zip(
            blueprint.segments, blueprint.input_shapes, strict=True
        ):
            branches = []
            for option, block in enumerate(segment.branches):
                name = branch_name(blueprint, segment.name, option)
                branch = Branch(
                    block,
                    seed=seed,
                    name=name,
                    initial_name=segment.name if aligned else None,
                )
                branch.build((None, *shape))
                branches.append(branch)
            self._branches.append(branches)
            self._lengths.append(
                max(branch.batch_norm_channels for branch in branches)
            )
        self.built = True

    @property
    def named_variables(self) -> dict[str, keras.Variable]:
        """All weights by `"segment.option.operation.weight"`.

        Segments without a choice have no option in the name. This is the
        name that checkpoints and weight transfer use.
        """
        return {
            f"{branch.name}.{name}.{variable.name}": variable
            for branches in self._branches
            for branch in branches
            for name, layer in branch.operations.items()
            for variable in layer.variables
        }

    @property
    def gates(self) -> dict[str, tuple[int, int] | None]:
        """For every named variable (choice position, option) that uses it.

        None: every path uses it.
        """
        return {
            f"{branch.name}.{name}.{variable.name}": (
                None if position is None else (position, option)
            )
            for position, branches in zip(
                self._positions, self._branches, strict=True
            )
            for option, branch in enumerate(branches)
            for name, layer in branch.operations.items()
            for variable in layer.variables
        }

    def call(
        self,
        images: tf.Tensor,
        selection: tf.Tensor,
        statistics: Statistics | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Runs one path.

        Args:
            images: float32 RGB 0..255 `[batch, height, width, 3]`.
            selection: int32 `[num_choices]`, an encoding.
            statistics: What batch norm uses; None normalises with the batch.
            dropout_seed: int32 `[2]`; None means no dropout.

        Returns:
            Logits, float32 `[batch, classes]`.
        """
        x = images
        for index in range(len(self._branches)):
            if statistics is None:
                run = functools.partial(self._train, dropout_seed=dropout_seed)
            else:
                run = functools.partial(
                    self._infer, statistics=statistics[index]
                )
            x = self._dispatch(index, selection, run, x)
        return tf.cast(x, tf.float32)

    def batch_moments(
        self, images: tf.Tensor, selection: tf.Tensor
    ) -> list[tf.Tensor]:
        """One training-mode pass that yields the moments of every batch norm.

        Args:
            images: As in `call`.
            selection: As in `call`.

        Returns:
            A float32 `[2, channels]` a segment: mean and variance of this
            batch. `pooled_statistics` makes those of all images of them.
        """
        x, moments = images, []
        for index, length in enumerate(self._lengths):
            run = functools.partial(self._collect, length=length)
            x, collected = self._dispatch(index, selection, run, x)
            moments.append(collected)
        return moments

    def _dispatch(self, index, selection, run, x):
        position = self._positions[index]
        branches = [
            functools.partial(run, branch, x)
            for branch in self._branches[index]
        ]
        if position is None:
            return branches[0]()
        return case(selection[position], branches)

    def _train(self, branch, x, dropout_seed):
        return branch(x, norm=self._norm, dropout_seed=dropout_seed)

    def _infer(self, branch, x, statistics):
        return branch(x, norm=GivenBatchNorm(statistics))

    def _collect(self, branch, x, length):
        norm = CollectingBatchNorm()
        return branch(x, norm=norm), norm.moments(length)


def branch_name(blueprint: Blueprint, segment: str, option: int) -> str:
    """`"segment"`, or `"segment.option"` where the segment is a choice."""
    found = next(s for s in blueprint.segments if s.name == segment)
    if found.choice is None:
        return segment
    choices = blueprint.search_space.choices
    label = choices[blueprint.search_space.position(found.choice)]
    return f"{segment}.{label.options[option]}"


def pooled_statistics(
    batches: Iterable[tuple[int, Sequence[npt.ArrayLike]]],
) -> list[tf.Tensor]:
    """Mean and variance of all images from those of batches.

    The mean is the batches' mean; the variance is the mean of their variances
    and the variance of their means. Batches count by their size, and all is
    summed in double precision: E[x^2] - E[x]^2 cancels in single.

    Args:
        batches: Of each its number of images and its moments, from
            `batch_moments` with one path.

    Returns:
        A float32 `[2, channels]` a segment; an empty list if there are no
        batches.
    """
    total = 0
    sums: list[npt.NDArray[np.float64]] = []
    for count, moments in batches:
        total += count
        for index, moment in enumerate(moments):
            mean, variance = np.asarray(moment, np.float64)
            weighted = count * np.stack([mean, variance + mean**2])
            if index == len(sums):
                sums.append(weighted)
            else:
                sums[index] += weighted
    pooled = []
    for part in sums:
        mean, square = part / total
        # What is not finite stays so, for the caller to say; and rounding
        # may leave a little less than no variance.
        with np.errstate(invalid="ignore", over="ignore"):
            variance = np.maximum(square - mean**2, 0.0)
            both = np.stack([mean, variance]).astype(np.float32)
        pooled.append(tf.constant(both))
    return pooled
