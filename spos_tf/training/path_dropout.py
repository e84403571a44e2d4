"""Several paths at once, some dropped: the comparator of the paper's Figure 1.

Bender et al., "Understanding and Simplifying One-Shot Architecture Search",
ICML 2018: the supernet runs all branches of a choice together, and each is
dropped at random in every step.
"""

from typing import Literal, get_args

import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.ops.selection import BranchWeights
from spos_tf.randomness import Purpose, derive_seed
from spos_tf.space import SearchSpace
from spos_tf.training.samplers import Draw, step_seed

KeepSchedule = Literal["constant", "linear"]


class PathDropoutSampler:
    """Keeps every legal branch with a probability, at least one a choice.

    Where all of a choice would be dropped, one of its legal branches is drawn
    uniformly, so a branch of a choice with n runs in a share of
    `keep_rate + (1 - keep_rate)^n / n` of the steps.

    The outputs of the branches that are kept are averaged, not summed. What
    they have in common, the half of a ShuffleNet block that passes and the
    shortcut of a residual one, then has the size that it has where one branch
    runs alone, as it does when the supernet is searched.

    Args:
        space: The choices.
        keep_rate: Probability that a branch is kept, 0 to 1; with 0 one path
            is drawn uniformly.
        schedule: `"constant"`; or `"linear"`, from 1 in the first step to
            `keep_rate` in the last, as Bender et al. raise the drop rate.
        steps: Steps of the whole run.
        seed: Seed.

    Raises:
        UserError: The rate is not in its range, or there is no such schedule.
    """

    def __init__(
        self,
        space: SearchSpace,
        keep_rate: float,
        *,
        schedule: KeepSchedule = "constant",
        steps: int,
        seed: int,
    ) -> None:
        if not 0 <= keep_rate <= 1:
            raise UserError(
                "A branch is kept with a probability of 0 to 1; got "
                f"`keep_rate={keep_rate}`."
            )
        if schedule not in get_args(KeepSchedule):
            raise UserError(
                f"Unknown schedule of the keep rate: {schedule!r}. The "
                f"schedules are: {', '.join(get_args(KeepSchedule))}."
            )
        self._legal = space.legal_mask
        self._rate = keep_rate
        self._linear = schedule == "linear"
        self._last = max(steps - 1, 1)
        self._seed = derive_seed(seed, Purpose.PATH_DROPOUT)

    def keep_rate(self, step: tf.Tensor) -> tf.Tensor:
        """The probability in int64 scalar `step`, float32 scalar."""
        if not self._linear:
            return tf.constant(self._rate, tf.float32)
        done = tf.cast(step, tf.float32) / self._last
        return 1.0 - (1.0 - self._rate) * tf.minimum(done, 1.0)

    def __call__(self, step: tf.Tensor) -> Draw:
        """The weights of int64 scalar `step`; of a choice they sum to 1."""
        draws = tf.random.stateless_uniform(
            self._legal.shape, step_seed(self._seed, step)
        )
        # What is not legal is behind everything that is drawn.
        draws = tf.where(self._legal, draws, 2.0)
        kept = draws < self.keep_rate(step)
        # Given that none is below the rate, each is the least alike often.
        least = tf.one_hot(
            tf.argmin(draws, axis=1),
            self._legal.shape[1],
            on_value=True,
            off_value=False,
            dtype=tf.bool,
        )
        kept = tf.cast(tf.logical_or(kept, least), tf.float32)
        weights = kept / tf.reduce_sum(kept, axis=1, keepdims=True)
        return Draw(BranchWeights(weights), tf.constant(False))
