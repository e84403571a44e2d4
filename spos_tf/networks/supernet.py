"""The network whose paths are all networks of a search space."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.networks.blueprint import Blueprint
from spos_tf.ops.branch import Branch
from spos_tf.ops.path_norm import BatchNorm, PathNorm
from spos_tf.ops.segment_functions import (
    SegmentFunctions,
    SharedFunctions,
    Weights,
)
from spos_tf.ops.selection import Path, Selection, as_selection
from spos_tf.ops.shape_ops import Shape
from spos_tf.ops.tensor_ops import WidthMode

# One float32 [2, channels] a segment: mean and variance of the batch norms of
# the branch taken, padded to the widest branch.
Statistics = Sequence[tf.Tensor]


class _Slot(NamedTuple):
    """A segment: its weights, and the functions that it may share."""

    branches: list[Branch | None]
    shared: SharedFunctions
    position: int | None
    elastic: tuple[int, ...]

    @property
    def functions(self) -> SegmentFunctions:
        """What runs its blocks."""
        return self.shared()

    def weights(self) -> list[Weights]:
        """Weights of every branch as tensors."""
        return [_weights(branch) for branch in self.branches]

    def sizes(self, selection: Selection) -> tf.Tensor:
        """Options of its elastic choices, int32 `[elastic choices]`."""
        if not self.elastic:
            return tf.zeros([0], tf.int32)
        return selection.sizes(self.elastic)

    def selected(self, selection: Selection) -> Selection:
        """What the segment's functions take, of a selection of the network."""
        if self.position is None:
            return Path(tf.constant(0))
        return selection.at(self.position)


class Supernet(keras.layers.Layer):
    """All branches of all choices, with one path run at a time (eq. 8).

    The path and the statistics are arguments of a call. The supernet holds
    kernels, and nothing that a call could change.

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
        width_mode: `"slice"` computes the channels of elastic widths that
            are taken, in dynamic shapes; `"mask"` computes all of them and
            sets the others to zero, in static ones.

    Example:
        >>> import spos_tf
        >>> supernet = spos_tf.Supernet(
        ...     spos_tf.build_blueprint("shufflenet_blocks", preset="demo"))
        >>> supernet.blueprint.input_shape
        (8, 8, 3)
        >>> encoding = tf.constant([0, 1, 2, 3, 0])  # doctest: +SKIP
        >>> images = tf.zeros([2, 8, 8, 3])  # doctest: +SKIP
        >>> supernet(images, encoding).shape  # doctest: +SKIP
        TensorShape([2, 10])
    """

    def __init__(
        self,
        blueprint: Blueprint,
        *,
        seed: int = 0,
        aligned: bool = False,
        norm: PathNorm | None = None,
        width_mode: WidthMode = "slice",
    ) -> None:
        super().__init__(name="supernet", autocast=False)
        self.blueprint = blueprint
        self._slots: list[_Slot] = []
        functions: dict[tuple[Any, Shape], SharedFunctions] = {}
        for segment, shape, reads in zip(
            blueprint.segments,
            blueprint.input_shapes,
            blueprint.reads,
            strict=True,
        ):
            position, elastic = None, reads
            if segment.choice is not None:
                position, elastic = reads[0], reads[1:]
            kind = segment.branches, shape
            if kind not in functions:
                functions[kind] = SharedFunctions(
                    *kind, norm or BatchNorm(), width_mode
                )
            branches: list[Branch | None] = []
            for option, block in enumerate(segment.branches):
                if block is None:
                    branches.append(None)
                    continue
                branch = Branch(
                    block,
                    seed=seed,
                    name=branch_name(blueprint, segment.name, option),
                    initial_name=segment.name if aligned else None,
                )
                branch.build((None, *shape))
                branches.append(branch)
            self._slots.append(
                _Slot(branches, functions[kind], position, elastic)
            )
        # How many branches stand before those of each segment.
        counts = [len(slot.branches) for slot in self._slots]
        self._first_branches = [0, *itertools.accumulate(counts[:-1])]
        # Keras finds the weights of layers that stand in plain lists.
        self._branches = [b for slot in self._slots for b in slot.branches if b]
        self.built = True

    @property
    def named_variables(self) -> dict[str, keras.Variable]:
        """All weights by `"segment.option.operation.weight"`.

        Segments without a choice have no option in the name. This is the
        name that checkpoints and weight transfer use.
        """
        return {
            f"{branch.name}.{name}": variable
            for branch in self._branches
            for name, variable in branch.named_weights.items()
        }

    @property
    def gates(self) -> dict[str, tuple[int, int] | None]:
        """For every named variable (choice position, option) that uses it.

        None: every path uses it.
        """
        return {
            f"{branch.name}.{name}": (
                None if slot.position is None else (slot.position, option)
            )
            for slot in self._slots
            for option, branch in enumerate(slot.branches)
            if branch is not None
            for name in branch.named_weights
        }

    def call(
        self,
        images: tf.Tensor,
        selection: Selection | tf.Tensor,
        statistics: Statistics | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Runs one path, or several together.

        Args:
            images: float32 RGB 0..255 `[batch, height, width, 3]`.
            selection: A path, also as its int32 `[num_choices]`; or weights
                of branches, whose outputs are summed. A branch of weight 0
                does not run, so its weight has no gradient. (No weights where
                widths are elastic.)
            statistics: What batch norm uses, for an encoding; None normalises
                with the batch.
            dropout_seed: Integers `[2]`; every dropout of the network draws
                a mask of its own from it. None means no dropout.

        Returns:
            Logits, float32 `[batch, classes]`.
        """
        chosen_by = as_selection(selection)

        def apply(index: int, x: tf.Tensor) -> tf.Tensor:
            slot = self._slots[index]
            chosen = (
                slot.selected(chosen_by),
                slot.weights(),
                slot.sizes(chosen_by),
            )
            if statistics is not None:
                return slot.functions.infer(x, *chosen, statistics[index])
            first = tf.constant(self._first_branches[index])
            return slot.functions.train(x, *chosen, first, dropout_seed)

        logits = self.blueprint.flow(images, apply, tf.add_n)
        return tf.cast(logits, tf.float32)

    def batch_moments(
        self, images: tf.Tensor, selection: tf.Tensor
    ) -> list[tf.Tensor]:
        """One training-mode pass that yields the moments of every batch norm.

        Args:
            images: As in `call`.
            selection: int32 `[num_choices]`, an encoding.

        Returns:
            A float32 `[2, channels]` a segment: mean and variance of this
            batch. `pooled_statistics` makes those of all images of them.
        """
        moments = []
        path = as_selection(selection)

        def apply(index: int, x: tf.Tensor) -> tf.Tensor:
            slot = self._slots[index]
            y, collected = slot.functions.collect(
                x, slot.selected(path), slot.weights(), slot.sizes(path)
            )
            moments.append(collected)
            return y

        self.blueprint.flow(images, apply, tf.add_n)
        return moments

    def path_moments(
        self, images: tf.Tensor, encoding: npt.ArrayLike
    ) -> list[tf.Tensor]:
        """`batch_moments` of a path that is known, branch by branch.

        The very functions that `batch_moments` chooses from, so that moments
        agree bit for bit; those of other branches are not traced.

        Args:
            images: As in `call`.
            encoding: int32 `[num_choices]`.
        """
        moments = []

        def run(index: int, x: tf.Tensor, option: int, *rest: Any) -> tf.Tensor:
            y, collected = self.collect_segment(index, option, x, *rest)
            moments.append(collected)
            return y

        self._along(images, encoding, run)
        return moments

    def path_logits(
        self, images: tf.Tensor, encoding: npt.ArrayLike, statistics: Statistics
    ) -> tf.Tensor:
        """`call` with statistics for a path that is known; see `path_moments`.

        Args:
            images: As in `call`.
            encoding: int32 `[num_choices]`.
            statistics: As in `call`.
        """

        def run(index: int, x: tf.Tensor, option: int, *rest: Any) -> tf.Tensor:
            given = statistics[index]
            return self.infer_segment(index, option, x, given, *rest)

        return tf.cast(self._along(images, encoding, run), tf.float32)

    def _along(
        self,
        images: tf.Tensor,
        encoding: npt.ArrayLike,
        run: Callable[..., tf.Tensor],
    ) -> tf.Tensor:
        """Calls `run(index, x, option, weights, sizes)` for every segment."""
        settings = self.blueprint.settings(encoding)

        def apply(index: int, x: tf.Tensor) -> tf.Tensor:
            segment = self.blueprint.segments[index]
            option, sizes = segment.branch_of(settings[index])
            return run(
                index, x, option, self.branch_weights(index, option), sizes
            )

        return self.blueprint.flow(images, apply, tf.add_n)

    def branch_weights(self, segment: int, option: int) -> Weights:
        """Weights of one branch as tensors, read now."""
        return _weights(self._slots[segment].branches[option])

    def collect_segment(
        self,
        segment: int,
        option: int,
        x: tf.Tensor,
        weights: Weights,
        sizes: Sequence[int] = (),
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One segment of `batch_moments`, with the same compiled function.

        Args:
            segment: Index into the blueprint's segments.
            option: Index of the branch; 0 where nothing is chosen.
            x: Output of the segment before, `[batch, height, width,
                channels]` in the compute dtype; for the first segment the
                images, float32 RGB 0..255.
            weights: From `branch_weights`.
            sizes: Options of the segment's elastic choices.

        Returns:
            The output, of the compute dtype, and the moments, float32
            `[2, channels]`.
        """
        function = self._slots[segment].functions.collect_option[option]
        return function(x, weights, _indexes(sizes))

    def infer_segment(
        self,
        segment: int,
        option: int,
        x: tf.Tensor,
        statistics: tf.Tensor,
        weights: Weights,
        sizes: Sequence[int] = (),
    ) -> tf.Tensor:
        """One segment of `call` with statistics, by the same function.

        Args:
            segment: Index into the blueprint's segments.
            option: Index of the branch; 0 where nothing is chosen.
            x: As in `collect_segment`.
            statistics: Of this segment, float32 `[2, channels]`.
            weights: As in `collect_segment`.
            sizes: As in `collect_segment`.

        Returns:
            The output, of the compute dtype; of the last segment the logits
            `[batch, classes]`, which `call` casts to float32.
        """
        function = self._slots[segment].functions.infer_option[option]
        return function(x, weights, _indexes(sizes), statistics)


def _indexes(options: Sequence[int]) -> tf.Tensor:
    return tf.constant(options, tf.int32, [len(options)])


def _weights(branch: Branch | None) -> Weights:
    if branch is None:
        return {}
    return {
        name: tf.convert_to_tensor(variable.value)
        for name, variable in branch.named_weights.items()
    }


def branch_name(blueprint: Blueprint, segment: str, option: int) -> str:
    """`"segment"`, or `"segment.option"` where the segment is a choice."""
    found = next(s for s in blueprint.segments if s.name == segment)
    if found.choice is None:
        return segment
    choices = blueprint.search_space.choices
    label = choices[blueprint.search_space.position(found.choice)]
    return f"{segment}.{label.options[option]}"


class PooledMoments:
    """Mean and variance of all images from those of batches, of a segment.

    The mean is the batches' mean; the variance is the mean of their variances
    and the variance of their means. Batches count by their size, and all is
    summed in double precision: E[x^2] - E[x]^2 cancels in single.
    """

    def __init__(self) -> None:
        self._total = 0
        self._sum: npt.NDArray[np.float64] | None = None

    def add(self, count: int, moments: npt.ArrayLike) -> None:
        """Takes a batch.

        Args:
            count: Its images.
            moments: float32 `[2, channels]`: its mean and variance.
        """
        mean, variance = np.asarray(moments, np.float64)
        weighted = count * np.stack([mean, variance + mean**2])
        self._total += count
        if self._sum is None:
            self._sum = weighted
        else:
            self._sum += weighted

    def statistics(self) -> npt.NDArray[np.float32]:
        """float32 `[2, channels]`: mean and variance of what was added.

        Raises:
            ValueError: Nothing was added.
        """
        if self._sum is None:
            raise ValueError("There are no moments to pool.")
        mean, square = self._sum / self._total
        # What is not finite stays so, for the caller to say; and rounding
        # may leave a little less than no variance.
        with np.errstate(invalid="ignore", over="ignore"):
            variance = np.maximum(square - mean**2, 0.0)
            return np.stack([mean, variance]).astype(np.float32)


class PathMoments:
    """Mean and variance of all images in every segment of one path."""

    def __init__(self) -> None:
        self._pools: list[PooledMoments] = []

    def add(self, count: int, moments: Sequence[npt.ArrayLike]) -> None:
        """Takes a batch.

        Args:
            count: Its images.
            moments: A float32 `[2, channels]` a segment, from `batch_moments`.
        """
        if not self._pools:
            self._pools = [PooledMoments() for _ in moments]
        for pool, moment in zip(self._pools, moments, strict=True):
            pool.add(count, moment)

    def statistics(self) -> list[tf.Tensor]:
        """A float32 `[2, channels]` a segment; none if nothing was added."""
        return [tf.constant(pool.statistics()) for pool in self._pools]


def pooled_statistics(
    batches: Iterable[tuple[int, Sequence[npt.ArrayLike]]],
) -> list[tf.Tensor]:
    """Mean and variance of all images in every segment, from `PooledMoments`.

    Args:
        batches: Of each its number of images and its moments, from
            `batch_moments` with one path.

    Returns:
        A float32 `[2, channels]` a segment; an empty list if there are no
        batches.
    """
    pooled = PathMoments()
    for count, moments in batches:
        pooled.add(count, moments)
    return pooled.statistics()
