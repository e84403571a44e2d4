"""Trained numbers that say which option of a choice is preferred."""

import abc
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.ops.selection import BranchWeights
from spos_tf.randomness import Purpose, derive_seed
from spos_tf.space import SearchSpace
from spos_tf.training.samplers import Draw, step_seed


class ArchitectureParameters:
    """One number an option; the softmax of a choice's are its probabilities.

    All begin at 0: legal options are alike. What is not legal has a
    probability of 0 and never a gradient. Make it in the strategy's scope.

    Args:
        space: The choices.

    Raises:
        UserError: No choice has more than one legal option.
    """

    def __init__(self, space: SearchSpace) -> None:
        if space.num_legal.max(initial=0) < 2:
            raise UserError(
                f"Space {space.name!r} leaves nothing to choose, so no "
                "architecture parameters can be trained. Fix fewer choices "
                "(`fix`, `fix_from`), or use `algorithm=single_path`."
            )
        self.legal = space.legal_mask
        self.variable = keras.Variable(
            np.zeros(self.legal.shape, np.float32),
            dtype="float32",
            # Replicas hold the same and assign the same.
            aggregation="only_first_replica",
            name="architecture_parameters",
        )

    def logits(self) -> tf.Tensor:
        """float32 `[num_choices, max_options]`; -inf where not legal."""
        value = tf.convert_to_tensor(self.variable.value)
        return tf.where(self.legal, value, -np.inf)

    def probabilities(self) -> npt.NDArray[np.float32]:
        """The present ones, float32 `[num_choices, max_options]`."""
        return tf.nn.softmax(self.logits()).numpy()

    def encoding(self) -> npt.NDArray[np.int32]:
        """The most probable legal option of each choice, `[num_choices]`.

        The first counts where several are equal.
        """
        return self.probabilities().argmax(axis=1).astype(np.int32)


class ArchitectureDraw(NamedTuple):
    """What an update of architecture parameters runs.

    Attributes:
        selection: Weights of branches, whose gradient reaches the parameters.
        probabilities: float32 `[num_choices, max_options]`, the shares of the
            options as the cost is told them; likewise.
        moved: bool `[num_choices, max_options]`, whose parameters move.
    """

    selection: BranchWeights
    probabilities: tf.Tensor
    moved: tf.Tensor


class ArchitectureSampler(abc.ABC):
    """Draws from architecture parameters: for weights, and for themselves.

    Args:
        parameters: What is drawn from.
        seed: Seed.
    """

    def __init__(
        self, parameters: ArchitectureParameters, *, seed: int
    ) -> None:
        self.parameters = parameters
        self._seed = seed

    @abc.abstractmethod
    def __call__(self, step: tf.Tensor) -> Draw:
        """What the weights are trained with in int64 scalar `step`."""

    @abc.abstractmethod
    def architecture_draw(self, step: tf.Tensor) -> ArchitectureDraw:
        """What the parameters are trained with; called under a tape."""

    def settled(
        self, before: tf.Tensor, after: tf.Tensor, moved: tf.Tensor
    ) -> tf.Tensor:
        """What becomes of the parameters once their optimizer moved them.

        Args:
            before: float32 `[num_choices, max_options]`.
            after: As the optimizer left them, which is how they stay.
            moved: From the draw.
        """
        return after

    def _noise(self, step: tf.Tensor, purpose: Purpose) -> tf.Tensor:
        """Gumbel's: with it logits are the largest as often as softmax says."""
        shape = self.parameters.legal.shape
        seed = step_seed(derive_seed(self._seed, purpose), step)
        # The logarithm of 0 is not finite; 1 is not drawn.
        uniform = tf.random.stateless_uniform(shape, seed, 1e-20, 1.0)
        return -tf.math.log(-tf.math.log(uniform))
