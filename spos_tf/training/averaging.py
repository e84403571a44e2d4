"""Averages of a supernet's weights, in which only what runs moves.

Keras's `use_ema` moves every variable in every step. A branch that runs in one
step of four would then be averaged with itself three times, and one that has
not run yet with its initial weights. Here the average of a branch moves only
with a step that ran it, and how far depends on how often it has moved.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spos_tf.ops.dispatch import case
from spos_tf.ops.selection import Selection
from spos_tf.training.path_gradients import Gate, grouped
from spos_tf.training.step import StepResult, TrainStep

# eta + 1 of polynomial-decay averaging with the eta of 3 of Shamir and Zhang.
_POWER = 4.0
_PREFIX = "average/"
_UPDATES = "average_updates"


class AveragedWeights:
    """Averages of all weights by polynomial decay, each branch by itself.

    With `n` the updates that a branch's average has had, its next one is

        average += 4 / (4 + n) * (weight - average)

    (Shamir and Zhang, "Stochastic Gradient Descent for Non-smooth
    Optimization", ICML 2013, with eta = 3). The first update takes the weight
    as it is, so that no initial weight is in the average. Later ones forget
    in proportion: after N updates the one of number n counts for about
    `4 (n / N)^3 / N`, so the mean age of what is averaged is a fifth of the
    updates, as that of a plain mean over the last two fifths. Nothing depends
    on the length of the run or on how often a branch is drawn.

    Args:
        variables: Trained ones by name.
        gates: Of each of them when it runs; see `path_optimizer`.
        optimizer: Of them, built. A step that it skips, since a gradient has
            overflowed in float16, is no update.
        strategy: Where the variables are.

    Attributes:
        variables: What a checkpoint holds, by its name there: `average/NAME`,
            and how often each branch has been updated.
    """

    def __init__(
        self,
        variables: Mapping[str, keras.Variable],
        gates: Mapping[str, Gate],
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
    ) -> None:
        names = list(gates)
        self._optimizer = optimizer
        self._names = names
        self._groups = grouped(list(gates.values()))
        with strategy.scope():
            averages = [
                keras.Variable(
                    # Zeros: a first update adds the weight to the bit.
                    np.zeros(variables[name].shape, np.float32),
                    dtype=variables[name].dtype,
                    trainable=False,
                    name=f"average_{variables[name].name}",
                )
                for name in names
            ]
            self._updates = keras.Variable(
                np.zeros(len(self._groups), np.int64),
                dtype="int64",
                trainable=False,
                name=_UPDATES,
            )
        self.variables: dict[str, keras.Variable] = {
            **{
                f"{_PREFIX}{name}": average
                for name, average in zip(names, averages, strict=True)
            },
            _UPDATES: self._updates,
        }
        arguments = (
            [one.value for one in averages],
            [variables[name].value for name in names],
            self._updates.value,
        )

        @tf.function(autograph=False)
        def update(selection: Selection, before: tf.Tensor) -> None:
            # Which branch of a Case runs is read on the host.
            with tf.device("/CPU:0"):
                moved = tf.not_equal(optimizer.iterations.value, before)
                runs = [
                    tf.cast(
                        moved
                        if gate is None
                        else tf.logical_and(moved, selection.runs(*gate)),
                        tf.int32,
                    )
                    for gate in self._groups
                ]
            # On every replica, whose copies of the weights are equal.
            strategy.extended.update(
                arguments[-1], self._move, args=(*arguments, runs), group=False
            )

        self._update = update

    def iterations(self) -> tf.Tensor:
        """Steps that the optimizer has done, as they are now."""
        iterations = self._optimizer.iterations.value
        return tf.identity(tf.convert_to_tensor(iterations))

    def update(self, selection: Selection, before: tf.Tensor) -> None:
        """Moves the averages of what a step ran.

        Args:
            selection: What it ran.
            before: `iterations` before the step.
        """
        self._update(selection, before)

    def _move(
        self,
        _: tf.Variable,
        averages: Sequence[tf.Variable],
        weights: Sequence[tf.Variable],
        updates: tf.Variable,
        runs: Sequence[tf.Tensor],
    ) -> None:
        done = tf.cast(tf.convert_to_tensor(updates), tf.float32)
        rates = _POWER / (_POWER + done)
        for number, indexes in enumerate(self._groups.values()):

            def move(
                number: int = number, indexes: Sequence[int] = indexes
            ) -> tf.Tensor:
                for index in indexes:
                    average, weight = averages[index], weights[index]
                    average.assign_sub(rates[number] * (average - weight))
                return tf.constant(True)

            # Not tf.cond, whose dead branches the executor would walk.
            case(runs[number], [lambda: tf.constant(False), move])
        updates.assign_add(tf.cast(tf.stack(runs), tf.int64))

    def _without(self) -> list[str]:
        """Names of the weights that have no average yet."""
        updates = keras.ops.convert_to_numpy(self._updates.value)
        return [
            self._names[index]
            for count, indexes in zip(
                updates, self._groups.values(), strict=True
            )
            if not count
            for index in indexes
        ]

    def stand_ins(
        self, weights: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What a checkpoint holds where there is no average yet.

        Args:
            weights: The last ones by name.

        Returns:
            They themselves, by their names in a checkpoint.
        """
        return {f"{_PREFIX}{name}": weights[name] for name in self._without()}

    def restored(self) -> None:
        """After a restore: what stood in for an average is none."""
        for name in self._without():
            average = self.variables[f"{_PREFIX}{name}"]
            average.assign(np.zeros(average.shape, np.float32))


def averaging(
    train_step: TrainStep, averages: AveragedWeights, every: int
) -> TrainStep:
    """A training step that moves the averages as well, when it is time.

    Args:
        train_step: From `make_train_step`.
        averages: Of the weights that it trains.
        every: Steps from one update to the next.
    """

    def step(batch: Any, number: tf.Tensor) -> StepResult:
        if (int(number) + 1) % every:
            return train_step(batch, number)
        before = averages.iterations()
        result = train_step(batch, number)
        averages.update(result.path, before)
        return result

    return step
