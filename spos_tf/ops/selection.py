"""What a supernet runs: one path, or branches with weights.

Both are tuples of one tensor, which pass through `tf.function` and
`strategy.run` as they are. Readers ask them instead of looking at a dtype.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.ops.dispatch import on_host


class Path(NamedTuple):
    """One option of every choice.

    Attributes:
        options: int32 `[num_choices]`, an encoding; of one choice int32 `[]`.
    """

    options: tf.Tensor

    def at(self, position: int) -> "Path":
        """The part of one choice."""
        with on_host():
            return Path(self.options[position])

    def runs(self, position: int, option: int) -> tf.Tensor:
        """bool `[]`: whether the branch of an option runs."""
        with on_host():
            return tf.equal(self.options[position], option)

    def sizes(self, positions: tuple[int, ...]) -> tf.Tensor:
        """Options of elastic choices, int32 `[positions]`."""
        with on_host():
            return tf.gather(self.options, list(positions))

    def add_to(self, counts: npt.NDArray[np.int64]) -> None:
        """Adds 1 to `counts` `[num_choices, max_options]` at what runs."""
        options = np.asarray(self.options)
        counts[np.arange(len(options)), options] += 1


class BranchWeights(NamedTuple):
    """Several branches a choice, whose outputs are summed with weights.

    Attributes:
        weights: float32 `[num_choices, max_options]`; a branch of weight 0
            does not run. Of one choice float32 `[max_options]`.
    """

    weights: tf.Tensor

    def at(self, position: int) -> "BranchWeights":
        """The part of one choice."""
        return BranchWeights(self.weights[position])

    def runs(self, position: int, option: int) -> tf.Tensor:
        """bool `[]`: whether the branch of an option runs."""
        with on_host():
            return tf.not_equal(self.weights[position, option], 0.0)

    def sizes(self, positions: tuple[int, ...]) -> tf.Tensor:
        """Refuses: one size cannot be weighed against another.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"Elastic choices {positions} take a path.")

    def add_to(self, counts: npt.NDArray[np.int64]) -> None:
        """Adds 1 to `counts` `[num_choices, max_options]` at what runs."""
        counts += np.asarray(self.weights) != 0


Selection = Path | BranchWeights


def as_selection(selection: Any) -> Selection:
    """The same; an encoding, integers `[num_choices]`, as the path it is.

    Raises:
        UserError: It is a tensor of no integers.
    """
    if isinstance(selection, Path | BranchWeights):
        return selection
    with on_host():
        given = tf.convert_to_tensor(selection)
        if not given.dtype.is_integer:
            raise UserError(
                "A path holds the number of an option for every choice, as "
                f"integers; got {given.dtype.name}. Weights of branches are "
                "given as BranchWeights(weights)."
            )
        return Path(tf.cast(given, tf.int32))
