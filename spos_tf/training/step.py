"""One training step, the same for a supernet and a final network."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spos_tf.training.samplers import Sampler

# (images, path or None, step) -> logits, in training mode.
Forward = Callable[[tf.Tensor, tf.Tensor | None, tf.Tensor], tf.Tensor]


class StepResult(NamedTuple):
    """What a step reports, on the device until someone reads it.

    Attributes:
        loss: float32 scalar, mean over the global batch; NaN where an image
            or a gradient was not finite.
        accuracy: float32 scalar, the same.
        path: As the sampler drew it, see `samplers.Draw`; int32 `[0]`
            without one.
        fallback: bool scalar, see `samplers.Draw`.
    """

    loss: tf.Tensor
    accuracy: tf.Tensor
    path: tf.Tensor
    fallback: tf.Tensor


def make_train_step(
    forward: Forward,
    variables: Sequence[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
    *,
    sampler: Sampler | None,
    global_batch_size: int,
    label_smoothing: float,
    strategy: tf.distribute.Strategy,
    jit_compile: bool = False,
) -> Callable[[Any, tf.Tensor], StepResult]:
    """Compiles a step: draw a path, forward, backward, gated update (eq. 8).

    A sampler may give several branches a choice, with weights: all that run
    are updated.

    Args:
        forward: The network in training mode.
        variables: Trainable variables, in the optimizer's order; those of
            the first layer come first.
        optimizer: From `path_optimizer`.
        sampler: Draws the path; None for a network without one.
        global_batch_size: Images a step over all replicas.
        label_smoothing: epsilon in (1 - epsilon) y + epsilon / classes.
        strategy: Where the step runs.
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
            path, fallback = sampler(step)
        with tf.GradientTape() as tape:
            logits = forward(images, path, step)
            one_hot = tf.one_hot(labels, logits.shape[-1])
            losses = keras.losses.categorical_crossentropy(
                one_hot,
                logits,
                from_logits=True,
                label_smoothing=label_smoothing,
            )
            # Summed over replicas this is the global mean, and so are the
            # gradients.
            loss = tf.reduce_sum(losses) / global_batch_size
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
        hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
        return StepResult(
            loss,
            tf.reduce_sum(tf.cast(hits, tf.float32)) / global_batch_size,
            tf.zeros([0], tf.int32) if path is None else path,
            fallback,
        )

    if jit_compile:
        replica_step = tf.function(
            replica_step, autograph=False, jit_compile=True
        )

    @tf.function(autograph=False, reduce_retracing=True)
    def train_step(batch: Any, step: tf.Tensor) -> StepResult:
        results = strategy.run(replica_step, args=(*batch, step))
        if strategy.num_replicas_in_sync == 1:
            return results
        total = tf.distribute.ReduceOp.SUM
        return StepResult(
            strategy.reduce(total, results.loss, axis=None),
            strategy.reduce(total, results.accuracy, axis=None),
            strategy.experimental_local_results(results.path)[0],
            strategy.experimental_local_results(results.fallback)[0],
        )

    return train_step
