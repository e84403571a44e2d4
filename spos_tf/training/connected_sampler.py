"""Paths of cells in which every node has something coming in."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from spos_tf.ops.selection import Path
from spos_tf.randomness import Purpose, derive_seed
from spos_tf.space import SearchSpace
from spos_tf.training.samplers import Draw, step_seed


class ConnectedSampler:
    """Uniform among the paths that leave no node of a cell without input.

    What drawing uniformly and drawing a node anew whose inputs are all `none`
    would give (AngleNAS trains NAS-Bench-201 so), without a loop: the settings
    of a node's inputs are numbered with all of them `none` as number 0, and a
    number from 1 on is drawn.

    Args:
        space: The choices.
        connections: From `networks.shared_choices`: for every node (choice,
            option that is `none`) of its inputs. No choice is of two nodes.
        seed: Seed.
    """

    def __init__(
        self,
        space: SearchSpace,
        connections: Sequence[Sequence[tuple[int, int]]],
        *,
        seed: int,
    ) -> None:
        self._seed = derive_seed(seed, Purpose.CONNECTED_PATH)
        legal = [list(options) for options in space.legal_options]
        groups: list[tuple[list[int], int]] = []
        grouped: set[int] = set()
        for terms in connections:
            # A term that cannot be none leaves nothing to see to.
            if any(zero not in legal[choice] for choice, zero in terms):
                continue
            for choice, zero in terms:
                legal[choice].remove(zero)
                legal[choice].insert(0, zero)
            groups.append(([choice for choice, _ in terms], 1))
            grouped |= {choice for choice, _ in terms}
        groups += [([one], 0) for one in {*range(len(legal))} - grouped]
        # How many settings each group has, and the first that is allowed.
        self._first = np.array([first for _, first in groups], np.int32)
        self._count = np.array(
            [
                np.prod([len(legal[choice]) for choice in choices]) - first
                for choices, first in groups
            ],
            np.float32,
        )
        # The group of each choice, and its digit in the setting's number.
        self._group = np.zeros(len(legal), np.int32)
        self._divisor = np.ones(len(legal), np.int32)
        self._base = np.array([len(options) for options in legal], np.int32)
        for index, (choices, _) in enumerate(groups):
            divisor = 1
            for choice in choices:
                self._group[choice] = index
                self._divisor[choice] = divisor
                divisor *= len(legal[choice])
        most = int(self._base.max())
        self._legal = np.array(
            [options + [0] * (most - len(options)) for options in legal],
            np.int32,
        )

    def __call__(self, step: tf.Tensor) -> Draw:
        draws = tf.random.stateless_uniform(
            [len(self._count)], step_seed(self._seed, step)
        )
        numbers = tf.cast(draws * self._count, tf.int32) + self._first
        places = tf.gather(numbers, self._group) // self._divisor % self._base
        offsets = np.arange(len(self._base), dtype=np.int32)
        path = tf.gather(
            self._legal.ravel(), places + offsets * self._legal.shape[1]
        )
        return Draw(Path(path), tf.constant(False))
