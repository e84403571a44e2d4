"""All branches at once with random weights that become one: as in FBNet.

Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable
Neural Architecture Search", CVPR 2019, section 3.3: the weights of a choice's
branches are a Gumbel softmax of the architecture parameters, whose temperature
falls over the run.
"""

import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.ops.selection import BranchWeights
from spos_tf.randomness import Purpose
from spos_tf.training.architecture_parameters import (
    ArchitectureDraw,
    ArchitectureParameters,
    ArchitectureSampler,
)
from spos_tf.training.samplers import Draw


class GumbelSoftmax(ArchitectureSampler):
    """Weights softmax((parameters + Gumbel noise) / temperature).

    Every legal branch runs in every step, for the weights as for the
    parameters, unless its weight is rounded to 0 at a low temperature.

    Args:
        parameters: What is drawn from.
        temperature: In the first step.
        final_temperature: In the last; between them it falls exponentially.
        steps: Steps of the whole run.
        seed: Seed.

    Raises:
        UserError: A temperature is not above 0.
    """

    def __init__(
        self,
        parameters: ArchitectureParameters,
        *,
        temperature: float = 5.0,
        final_temperature: float = 0.1,
        steps: int,
        seed: int,
    ) -> None:
        for name, value in (
            ("temperature", temperature),
            ("final_temperature", final_temperature),
        ):
            if not 0 < value < float("inf"):
                raise UserError(f"`{name}` is above 0; got {value}.")
        super().__init__(parameters, seed=seed)
        self._first = temperature
        self._ratio = final_temperature / temperature
        self._last = max(steps - 1, 1)

    def temperature(self, step: tf.Tensor) -> tf.Tensor:
        """That of int64 scalar `step`, float32 scalar."""
        done = tf.cast(step, tf.float32) / self._last
        return self._first * self._ratio**done

    def __call__(self, step: tf.Tensor) -> Draw:
        """See `ArchitectureSampler`; weights of a choice sum to 1."""
        weights = self._weights(step, Purpose.GUMBEL_WEIGHTS)
        return Draw(BranchWeights(weights), tf.constant(False))

    def architecture_draw(self, step: tf.Tensor) -> ArchitectureDraw:
        """See `ArchitectureSampler`; noise of its own."""
        weights = self._weights(step, Purpose.GUMBEL_ARCHITECTURE)
        return ArchitectureDraw(
            BranchWeights(weights), weights, tf.constant(self.parameters.legal)
        )

    def _weights(self, step: tf.Tensor, purpose: Purpose) -> tf.Tensor:
        noisy = self.parameters.logits() + self._noise(step, purpose)
        return tf.nn.softmax(noisy / self.temperature(step))
