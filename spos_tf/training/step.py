"""One training step, the same for a supernet and a final network."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spos_tf.ops.dispatch import on_host
from spos_tf.ops.selection import Path, Selection
from spos_tf.randomness import Purpose, derive_seed
from spos_tf.training.objective import Objective
from spos_tf.training.samplers import Sampler, step_seed

# (images, what runs or None, dropout seed int64 [2]) -> logits, in training
# mode.
Forward = Callable[[tf.Tensor, Selection | None, tf.Tensor], tf.Tensor]
# ((images, labels), int64 step) -> what the step reports.
TrainStep = Callable[[Any, tf.Tensor], "StepResult"]


class StepResult(NamedTuple):
    """What a step reports, on the device until someone reads it.

    Attributes:
        loss: float32 scalar, mean over the global batch; NaN where an image
            or a gradient was not finite.
        accuracy: float32 scalar, the same; 0 where a Keras metric measures.
        path: As the sampler drew it, see `samplers.Draw`; one of no choices
            without a sampler.
        fallback: bool scalar, see `samplers.Draw`.
    """

    loss: tf.Tensor
    accuracy: tf.Tensor
    path: Selection
    fallback: tf.Tensor


def make_train_step(
    forward: Forward,
    variables: Sequence[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
    *,
    sampler: Sampler | None,
    objective: Objective,
    global_batch_size: int,
    strategy: tf.distribute.Strategy,
    seed: int = 0,
    jit_compile: bool = False,
) -> TrainStep:
    """Compiles a step: draw a path, forward, backward, gated update (eq. 8).

    A sampler may give several branches a choice, with weights: all that run
    are updated.

    Args:
        forward: The network in training mode.
        variables: Trainable variables, in the optimizer's order; those of
            the first layer come first.
        optimizer: From `path_optimizer`.
        sampler: Draws the path; None for a network without one.
        objective: What is minimised and measured. A Keras metric is updated
            in the step; make it in the strategy's scope.
        global_batch_size: Images a step over all replicas.
        strategy: Where the step runs.
        seed: The run's, of which dropout has a stream.
        jit_compile: Whether XLA compiles it. Shapes have to be static then:
            elastic widths masked, not sliced.

    Returns:
        A function of ((images, labels), int64 step) with one trace.
    """
    trainable = [variable.value for variable in variables]
    scales_loss = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def replica_step(
        images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor
    ) -> StepResult:
        if sampler is None:
            path, fallback = None, tf.constant(False)
        else:
            with on_host():
                path, fallback = sampler(step)
        with tf.GradientTape() as tape:
            logits = forward(images, path, dropout_seed(seed, step, strategy))
            loss = objective.mean_loss(labels, logits, global_batch_size)
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(
            scaled,
            trainable,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        # On CPU a batch norm fused with its ReLU makes 0 of NaN, so that the
        # loss stays finite. The gradient of the first layer, through which
        # all others go, does not. (Scaled for float16 it may overflow; then
        # the optimizer skips the step.)
        suspect = images if scales_loss else gradients[0]
        finite = tf.reduce_all(tf.math.is_finite(suspect))
        loss = tf.where(finite, loss, np.nan)
        optimizer.apply_on_path(gradients, path)
        if objective.metric.is_accuracy:
            hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
            correct = tf.reduce_sum(tf.cast(hits, tf.float32))
            accuracy = correct / global_batch_size
        else:
            objective.metric.update(labels, logits)
            accuracy = tf.constant(0.0)
        return StepResult(
            loss,
            accuracy,
            Path(tf.zeros([0], tf.int32)) if path is None else path,
            fallback,
        )

    if jit_compile:
        replica_step = tf.function(
            replica_step, autograph=False, jit_compile=True
        )

    def first(value: Any) -> tf.Tensor:
        return strategy.experimental_local_results(value)[0]

    @tf.function(autograph=False, reduce_retracing=True)
    def train_step(batch: Any, step: tf.Tensor) -> StepResult:
        results = strategy.run(replica_step, args=(*batch, step))
        if strategy.num_replicas_in_sync == 1:
            return results
        total = tf.distribute.ReduceOp.SUM
        return StepResult(
            strategy.reduce(total, results.loss, axis=None),
            strategy.reduce(total, results.accuracy, axis=None),
            type(results.path)(*map(first, results.path)),
            first(results.fallback),
        )

    return train_step


def dropout_seed(
    seed: int, step: tf.Tensor, strategy: tf.distribute.Strategy
) -> tf.Tensor:
    """The seed of a step's dropout on this replica, int64 `[2]`.

    Args:
        seed: The run's.
        step: int64 scalar.
        strategy: Whose replica this is.
    """
    streams = [
        derive_seed(seed, Purpose.DROPOUT, replica)
        for replica in range(strategy.num_replicas_in_sync)
    ]
    if len(streams) == 1:
        return step_seed(streams[0], step)
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    stream = tf.gather(tf.constant(streams, tf.int64), replica)
    return tf.stack([stream, tf.cast(step, tf.int64)])
