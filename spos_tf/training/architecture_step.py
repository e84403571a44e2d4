"""Updates of architecture parameters, between those of the weights."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spos_tf.ops.dispatch import on_host
from spos_tf.training.architecture_parameters import ArchitectureSampler
from spos_tf.training.expected_cost import LossFactor
from spos_tf.training.objective import Objective
from spos_tf.training.step import Forward, StepResult, TrainStep, dropout_seed


def make_architecture_step(
    forward: Forward,
    sampler: ArchitectureSampler,
    optimizer: keras.optimizers.Optimizer,
    *,
    factor: LossFactor | None,
    objective: Objective,
    global_batch_size: int,
    strategy: tf.distribute.Strategy,
    seed: int = 0,
) -> Callable[[Any, tf.Tensor], tf.Tensor]:
    """Compiles an update of the parameters; the weights stay as they are.

    Args:
        forward: The network in training mode.
        sampler: Draws, and has the parameters.
        optimizer: From `path_optimizer`, of the parameters alone.
        factor: Of the loss, by the options' probabilities; None for 1.
        objective: As for the weights; its metric is left alone.
        global_batch_size: Images an update over all replicas.
        strategy: Where the step runs.
        seed: The run's, of which dropout has a stream.

    Returns:
        A function of ((images, labels), int64 step) with one trace; gives the
        loss without the factor, NaN where something was not finite.
    """
    variable = sampler.parameters.variable
    scales_loss = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def replica_step(
        images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        before = tf.identity(tf.convert_to_tensor(variable.value))
        with tf.GradientTape() as tape:
            with on_host():
                draw = sampler.architecture_draw(step)
            stream = dropout_seed(seed, step, strategy)
            logits = forward(images, draw.selection, stream)
            loss = objective.mean_loss(labels, logits, global_batch_size)
            # The factor is the same on all replicas, whose sum of this is
            # that of the whole batch.
            priced = (
                loss if factor is None else loss * factor(draw.probabilities)
            )
            scaled = optimizer.scale_loss(priced)
        gradient = tape.gradient(scaled, variable.value)
        # A network may hide what is not finite, see `make_train_step`; weights
        # are looked after there. Scaled for float16 a gradient may overflow.
        finite = tf.reduce_all(tf.math.is_finite(images))
        if not scales_loss:
            of_gradient = tf.reduce_all(tf.math.is_finite(gradient))
            finite = tf.logical_and(finite, of_gradient)
        optimizer.apply_on_path([gradient], None)
        after = tf.convert_to_tensor(variable.value)
        variable.assign(sampler.settled(before, after, draw.moved))
        return tf.where(finite, loss, np.nan)

    @tf.function(autograph=False, reduce_retracing=True)
    def architecture_step(batch: Any, step: tf.Tensor) -> tf.Tensor:
        loss = strategy.run(replica_step, args=(*batch, step))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)

    return architecture_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArchitectureSchedule:
    """After which steps of the weights the parameters are updated.

    Attributes:
        steps: Steps of the weights.
        warmup_steps: Steps before the first that counts.
        every: Steps from one update to the next.
    """

    steps: int
    warmup_steps: int
    every: int

    @property
    def updates(self) -> int:
        """Updates of the whole run."""
        return max(self.steps - self.warmup_steps, 0) // self.every

    def update_after(self, step: int) -> int | None:
        """The number of the update after a step, both from 0, or None."""
        done = step + 1 - self.warmup_steps
        if done <= 0 or done % self.every:
            return None
        return done // self.every - 1


def alternating(
    train_step: TrainStep,
    architecture_step: Callable[[Any, tf.Tensor], tf.Tensor],
    schedule: ArchitectureSchedule,
    batches: Callable[[int], Iterable[Any]],
) -> TrainStep:
    """A training step that updates the parameters as well, when it is time.

    Args:
        train_step: From `make_train_step`.
        architecture_step: From `make_architecture_step`.
        schedule: When it is time.
        batches: From the number of an update to its batch and those after.
            It is asked once, so a run that goes on sees the same batches.

    Returns:
        The same step; its loss is not finite either where that of the
        parameters is not.
    """
    stream: Iterator[Any] | None = None

    def step(batch: Any, number: tf.Tensor) -> StepResult:
        nonlocal stream
        result = train_step(batch, number)
        update = schedule.update_after(int(number))
        if update is None:
            return result
        if stream is None:
            stream = iter(batches(update))
        loss = architecture_step(next(stream), number)
        both = tf.where(tf.math.is_finite(loss), result.loss, loss)
        return result._replace(loss=both)

    return step
