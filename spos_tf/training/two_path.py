"""Two paths at once, to compare them: as in ProxylessNAS.

Cai et al., "ProxylessNAS: Direct Neural Architecture Search on Target Task and
Hardware", ICLR 2019, section 3.2.1 and equation 4.
"""

import numpy as np
import tensorflow as tf

from spos_tf.ops.selection import BranchWeights, Path
from spos_tf.randomness import Purpose
from spos_tf.training.architecture_parameters import (
    ArchitectureDraw,
    ArchitectureSampler,
)
from spos_tf.training.samplers import Draw

# The weight of a gate that is closed and yet runs, for its gradient: exactly
# 0 would not run. Added to features it is lost in their rounding.
CLOSED = 1e-30


class TwoPath(ArchitectureSampler):
    """Binary gates: a path for the weights, two for the parameters.

    Weights are trained on one path, drawn from the softmax of the parameters.
    For the parameters two options a choice are drawn from it without
    replacement, the others are as if they did not exist, and one of the two
    is open. Its output alone is what the network computes; the other's is
    computed for the gradient of its gate. With p the softmax of the two,
    equation 4 is

        dL/dparameter_i = sum over both j of dL/dgate_j p_j (delta_ij - p_i)

    and after the update both are shifted by one number, so that the
    probabilities of the others do not change.

    Args:
        parameters: What is drawn from.
        seed: Seed.
    """

    def __call__(self, step: tf.Tensor) -> Draw:
        """See `ArchitectureSampler`; a path."""
        noise = self._noise(step, Purpose.TWO_PATH_WEIGHTS)
        path = tf.argmax(self.parameters.logits() + noise, 1, tf.int32)
        return Draw(Path(path), tf.constant(False))

    def architecture_draw(self, step: tf.Tensor) -> ArchitectureDraw:
        """See `ArchitectureSampler`; gates of 1, `CLOSED` and 0."""
        logits = self.parameters.logits()
        size = logits.shape[1]
        # The two largest are two draws without replacement.
        noisy = logits + self._noise(step, Purpose.TWO_PATH_PAIR)
        _, drawn = tf.math.top_k(noisy, 2)
        two = tf.reduce_any(tf.one_hot(drawn, size) > 0, axis=1)
        # A choice with one legal option draws what is not legal as well.
        two = tf.logical_and(two, self.parameters.legal)
        slice_logits = tf.where(two, logits, -np.inf)
        shares = tf.nn.softmax(slice_logits)
        noisy = slice_logits + self._noise(step, Purpose.TWO_PATH_GATE)
        opened = tf.one_hot(tf.argmax(noisy, axis=1), size)
        closed = CLOSED * (tf.cast(two, tf.float32) - opened)
        # It has the value of the gates and the gradient of the shares: the sum
        # over j in equation 4 is the derivative of softmax.
        selection = opened + closed + (shares - tf.stop_gradient(shares))
        every = tf.stop_gradient(tf.nn.softmax(logits))
        both = tf.reduce_sum(tf.where(two, every, 0.0), axis=1, keepdims=True)
        probabilities = tf.where(two, both * shares, every)
        return ArchitectureDraw(BranchWeights(selection), probabilities, two)

    def settled(
        self, before: tf.Tensor, after: tf.Tensor, moved: tf.Tensor
    ) -> tf.Tensor:
        """Shifts the two so that they have together what they had before."""
        sums = [
            tf.reduce_logsumexp(
                tf.where(moved, values, -np.inf), axis=1, keepdims=True
            )
            for values in (before, after)
        ]
        return tf.where(moved, after + (sums[0] - sums[1]), before)
