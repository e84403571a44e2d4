"""Training steps of the four algorithms, as train_supernet.py has them."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

import subjects
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.supernet import Supernet
from spos_tf.ops.selection import Selection
from spos_tf.training.architecture_parameters import (
    ArchitectureParameters,
    ArchitectureSampler,
)
from spos_tf.training.architecture_step import (
    ArchitectureSchedule,
    alternating,
    make_architecture_step,
)
from spos_tf.training.gumbel import GumbelSoftmax
from spos_tf.training.objective import Objective
from spos_tf.training.optimization import LearningRate
from spos_tf.training.path_dropout import PathDropoutSampler
from spos_tf.training.path_optimizer import path_optimizer, takes_l2
from spos_tf.training.samplers import Sampler, UniformSampler
from spos_tf.training.step import make_train_step
from spos_tf.training.two_path import TwoPath

ALGORITHMS = ("single_path", "path_dropout", "gumbel", "two_path")
# The tool's defaults.
EVERY = 5
_KEEP_RATE = 0.5
_STEPS = 100_000


def _sampler(
    name: str, blueprint: Blueprint
) -> tuple[Sampler, ArchitectureSampler | None]:
    """What weights are trained with, and parameters where there are some."""
    space = blueprint.search_space
    if name == "single_path":
        return UniformSampler(space, seed=0), None
    if name == "path_dropout":
        dropout = PathDropoutSampler(space, _KEEP_RATE, steps=_STEPS, seed=0)
        return dropout, None
    parameters = ArchitectureParameters(space)
    learned: ArchitectureSampler = (
        GumbelSoftmax(parameters, steps=_STEPS, seed=0)
        if name == "gumbel"
        else TwoPath(parameters, seed=0)
    )
    return learned, learned


class Rounds:
    """`EVERY` steps of the weights, and what goes with them.

    Args:
        name: One of `ALGORITHMS`.
        image_size: Pixels.
        batch_size: Images a step.
    """

    def __init__(self, name: str, image_size: int, batch_size: int) -> None:
        blueprint = subjects.blueprint_at(image_size)
        self.supernet = Supernet(blueprint)
        self._batch = subjects.random_batch(image_size, batch_size)
        variables = self.supernet.named_variables
        gates = self.supernet.gates
        # The official code's, at a rate at which random labels do not diverge.
        rate = LearningRate("linear", 1e-3, _STEPS)
        optimizer = path_optimizer(
            keras.optimizers.SGD(rate, momentum=0.9),
            list(variables.values()),
            [gates[name] for name in variables],
            l2=4e-5,
            l2_filter=takes_l2,
        )
        sampler, learned = _sampler(name, blueprint)
        numbers: dict[str, Any] = {
            "global_batch_size": batch_size,
            "objective": Objective.make(
                label_smoothing=0.1, num_classes=blueprint.num_classes
            ),
            "strategy": tf.distribute.get_strategy(),
        }
        self._step: Callable[..., Any] = make_train_step(
            self._forward,
            list(variables.values()),
            optimizer,
            sampler=sampler,
            **numbers,
        )
        if learned is not None:
            self._learn(learned, numbers)
        self._number = 0

    def _learn(
        self, learned: ArchitectureSampler, numbers: dict[str, Any]
    ) -> None:
        variable = learned.parameters.variable
        update = make_architecture_step(
            self._forward,
            learned,
            path_optimizer(
                keras.optimizers.Adam(1e-3, beta_1=0.0), [variable], [None]
            ),
            factor=None,
            **numbers,
        )
        self._step = alternating(
            self._step,
            update,
            ArchitectureSchedule(steps=_STEPS, warmup_steps=0, every=EVERY),
            lambda first: (self._batch for _ in range(first, _STEPS)),
        )

    def _forward(
        self, images: tf.Tensor, selection: Selection, seed: tf.Tensor
    ) -> tf.Tensor:
        return self.supernet(images, selection, dropout_seed=seed)

    def __call__(self) -> None:
        """One round; returns when the last loss is there."""
        for _ in range(EVERY):
            number = tf.constant(self._number, tf.int64)
            result = self._step(self._batch, number)
            self._number += 1
        float(result.loss)
