"""What the benchmarks run: steps and scores of a supernet and of its paths."""

import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spos_tf.data.evaluation_cache import EvaluationCache, KeptBatches
from spos_tf.data.examples import Split, as_objects
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.supernet import Supernet, branch_name
from spos_tf.ops.path_norm import BatchNorm
from spos_tf.ops.selection import BranchWeights, Path, Selection
from spos_tf.ops.tensor_ops import TensorOps
from spos_tf.options import CacheOptions
from spos_tf.spaces import build_blueprint
from spos_tf.training.objective import Objective
from spos_tf.training.optimization import LearningRate
from spos_tf.training.path_optimizer import path_optimizer, takes_l2
from spos_tf.training.samplers import Draw
from spos_tf.training.step import make_train_step

# Image size and batch of the two sizes that everything is measured at.
STEP_SIZES = {"224px_b16": (224, 16), "32px_b64": (32, 64)}
SCORE_SIZES = {"224px_b16": (224, 16), "32px_b256": (32, 256)}

Batch = tuple[tf.Tensor, tf.Tensor]


def blueprint_at(image_size: int) -> Blueprint:
    """The paper's 20 x 4 space with 1000 classes at some size, pixels."""
    if image_size == 224:
        return build_blueprint("shufflenet_blocks")
    return build_blueprint("shufflenet_blocks", image_size=image_size)


def random_batch(image_size: int, batch_size: int) -> Batch:
    """Images uniform in 0..255, labels uniform over 1000 classes."""
    images = tf.random.stateless_uniform(
        [batch_size, image_size, image_size, 3], [1, 2], 0.0, 255.0
    )
    labels = tf.random.stateless_uniform(
        [batch_size], [3, 4], 0, 1000, tf.int64
    )
    return images, labels


def file_batches(
    folder: pathlib.Path, place: str, image_size: int, batch_size: int
) -> list[KeptBatches]:
    """Batches of the JPEG files in a folder, in two equal parts.

    Args:
        folder: Of the files; those that are kept go into `cache` there.
        place: "memory", or "disk".
        image_size: Pixels.
        batch_size: Images of a batch.
    """
    names = [os.fsencode(one) for one in sorted(folder.glob("*.jpg"))]
    splits = [
        Split(as_objects(part), np.zeros(len(part), np.int32), "files")
        for part in (names[: len(names) // 2], names[len(names) // 2 :])
    ]
    options = CacheOptions(
        cache_dir=str(folder / "cache"),
        cache_memory=None if place == "memory" else 0,
    )
    kept = EvaluationCache(options, lambda said: None).batches(
        splits,
        PreprocessingOptions(image_size=image_size, augmentation="none"),
        batch_size=batch_size,
    )
    if {one.place for one in kept} != {place}:
        raise LookupError(f"There is no room to keep images in: {place}.")
    return kept


def tensor_batches(
    file: pathlib.Path, image_size: int, batch_size: int
) -> list[list[Batch]]:
    """The same as float32 tensors, from a file of them."""
    shape = [batch_size, image_size, image_size, 3]
    labels = tf.zeros([batch_size], tf.int32)
    batches = []
    with file.open("rb") as stream:
        while data := stream.read(4 * math.prod(shape)):
            # `tf.constant` keeps a copy of an array until the next operation.
            values = tf.reshape(tf.io.decode_raw(data, tf.float32), shape)
            batches.append((values, labels))
    return [batches[: len(batches) // 2], batches[len(batches) // 2 :]]


def random_paths(blueprint: Blueprint, count: int, seed: int = 0) -> np.ndarray:
    """Uniform paths, int32 `[count, num_choices]`."""
    rng = np.random.default_rng(seed)
    return blueprint.search_space.sample(rng, count)


def _optimizer(peak: float = 1e-3) -> keras.optimizers.Optimizer:
    # The official code's, at a rate at which random labels do not diverge.
    rate = LearningRate("linear", peak, 100_000)
    return keras.optimizers.SGD(rate, momentum=0.9)


def _objective(num_classes: int) -> Objective:
    return Objective.make(label_smoothing=0.1, num_classes=num_classes)


class SupernetStep:
    """The supernet's training step on the path that it is told.

    Args:
        supernet: Whose.
        batch_size: Images a step.
        weighted: Whether it is told weights of branches instead.
        peak: Learning rate.

    Attributes:
        optimizer: Of its weights.
    """

    def __init__(
        self,
        supernet: Supernet,
        batch_size: int,
        *,
        weighted: bool = False,
        peak: float = 1e-3,
    ) -> None:
        options = supernet.blueprint.search_space.num_options
        kind = BranchWeights if weighted else Path
        self._told = tf.Variable(
            np.zeros([len(options), options.max()], np.float32)
            if weighted
            else np.zeros(len(options), np.int32)
        )
        variables = supernet.named_variables
        gates = supernet.gates
        self.optimizer = path_optimizer(
            _optimizer(peak),
            list(variables.values()),
            [gates[name] for name in variables],
            l2=4e-5,
            l2_filter=takes_l2,
        )
        self._step = make_train_step(
            lambda images, selection, seed: supernet(
                images, selection, dropout_seed=seed
            ),
            list(variables.values()),
            self.optimizer,
            sampler=lambda step: Draw(
                kind(self._told.read_value()), tf.constant(False)
            ),
            objective=_objective(supernet.blueprint.num_classes),
            global_batch_size=batch_size,
            strategy=tf.distribute.get_strategy(),
        )

    def __call__(self, batch: Batch, told: np.ndarray) -> Selection:
        """One step; returns what it ran when the loss is there.

        Args:
            batch: Images and labels.
            told: int32 `[num_choices]`, or float32 `[num_choices,
                max_options]` of which 0 does not run.
        """
        self._told.assign(told)
        result = self._step(batch, tf.constant(1, tf.int64))
        float(result.loss)
        return result.path


def _standalone_step(
    forward: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    variables: Sequence[keras.Variable],
    batch_size: int,
    num_classes: int,
) -> Callable[[Batch], None]:
    optimizer = path_optimizer(
        _optimizer(),
        variables,
        [None] * len(variables),
        l2=4e-5,
        l2_filter=takes_l2,
    )
    step = make_train_step(
        lambda images, selection, seed: forward(images, seed),
        variables,
        optimizer,
        sampler=None,
        objective=_objective(num_classes),
        global_batch_size=batch_size,
        strategy=tf.distribute.get_strategy(),
    )
    return lambda batch: float(step(batch, tf.constant(1, tf.int64)).loss)


def subnet_step(
    blueprint: Blueprint, path: np.ndarray, batch_size: int
) -> Callable[[Batch], None]:
    """Training step of the path's Keras network, as train_subnet has it."""
    net = build_subnet(blueprint, path)
    return _standalone_step(
        lambda images, seed: net(images, training=True),
        net.trainable_variables,
        batch_size,
        blueprint.num_classes,
    )


def bare_step(
    supernet: Supernet, path: np.ndarray, batch_size: int
) -> Callable[[Batch], None]:
    """Training step of the path's operations alone, the strictest reference.

    No Case, no gate, no function calls, no gamma, beta or moving averages: the
    supernet's own operations written out for one path.
    """
    blueprint = supernet.blueprint
    layers: list[tuple[Any, dict[str, keras.Variable]]] = []
    for segment, options in zip(
        blueprint.segments, blueprint.settings(path), strict=True
    ):
        option, _ = segment.branch_of(options)
        prefix = branch_name(blueprint, segment.name, option) + "."
        layers.append(
            (
                segment.branches[option],
                {
                    name.removeprefix(prefix): variable
                    for name, variable in supernet.named_variables.items()
                    if name.startswith(prefix)
                },
            )
        )

    def forward(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        x = images
        for block, weights in layers:
            values = {
                name: tf.convert_to_tensor(variable.value)
                for name, variable in weights.items()
            }
            ops = TensorOps(
                values,
                "float32",
                norm=BatchNorm(),
                branch=tf.cast(seed[1], tf.int32),
                dropout_seed=seed,
            )
            x = block(ops, x)
        return x

    variables = [v for _, weights in layers for v in weights.values()]
    return _standalone_step(
        forward, variables, batch_size, blueprint.num_classes
    )
