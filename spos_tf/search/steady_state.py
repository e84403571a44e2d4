"""Algorithm 1 without generations: no worker waits for the slowest of fifty."""

import numpy as np

from spos_tf.cost.constraint import all_allow
from spos_tf.errors import UserError
from spos_tf.search.evolution import TRIES, crossover, mutate
from spos_tf.search.generations import (
    Encoding,
    Proposer,
    Scored,
    as_key,
    ranked,
)


class SteadyEvolution(Proposer):
    """Algorithm 1 with a new candidate for every result.

    It begins with random candidates, `population` of them where the lag is
    not larger: then they are those of `Evolution`. After them,
    candidate i is one offspring (by crossover, by mutation, or random, in the
    proportions of the options) of the best `top_k` among the first
    i - lag + 1. Which results are in by then, and so how many workers there
    are, does not matter: a record is replayed like that of a search by
    generations.

    Args:
        space: What can be chosen.
        constraints: All hard.
        options: The numbers of Algorithm 1, and the lag: candidate i is a
            function of the results before i - lag + 1.
        canonical: See `GenerationSearch`.

    Raises:
        UserError: No architecture keeps the constraints.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._proposals: list[Encoding] = []
        # How many of them were asked for: those that it begins with are made
        # at once, even if there are fewer generations.
        self._asked = 0
        # Results by number, and those that all earlier ones are there for.
        self._results: dict[int, float] = {}
        self._known: list[Scored] = []

    @property
    def stopped_early(self) -> str:
        """Why the search ended before its budget; empty if it did not."""
        if len(self._proposals) >= self.options.budget:
            return ""
        return super().stopped_early

    def ask(self) -> list[tuple[int, Encoding]]:
        """All candidates that can be proposed now, each one once.

        Returns:
            Number and int32 `[num_choices]` of each; none while results are
            missing, or when the search is over.
        """
        first = self._asked
        end = min(
            self.options.budget, len(self._known) + self.options.most_under_way
        )
        while len(self._proposals) < end and not self._stopped_early:
            self._propose()
        self._asked = min(self.options.budget, len(self._proposals))
        return list(enumerate(self._proposals[first : self._asked], first))

    def tell(self, i: int, score: float) -> None:
        """Takes the result of candidate `i`, in any order.

        Raises:
            ValueError: It was not asked for, or is known.
            UserError: The score is not a finite number.
        """
        if not 0 <= i < self._asked or i in self._results:
            raise ValueError(f"tell() takes each candidate once; got {i}.")
        if not np.isfinite(score):
            raise UserError(
                f"Scores are finite numbers; candidate {i} got "
                f"{score}. Check the supernet and the images."
            )
        self._results[i] = float(score)
        while (n := len(self._known)) in self._results:
            key = as_key(self._proposals[n])
            self._known.append(Scored(n, key, self._results[n]))

    def _propose(self) -> None:
        i, first = len(self._proposals), self.options.num_random
        rng = np.random.default_rng((self.options.seed, i))
        offspring: list[Encoding] = []
        if i == 0:
            # As `Evolution` draws them.
            offspring = self._random(rng, first)
        else:
            offspring = self._offspring(rng, i) or self._random(rng, 1)
        self._proposals += offspring
        self._proposed.update(as_key(one) for one in offspring)
        if len(offspring) < (first if i == 0 else 1):
            self._stop_early()

    def _offspring(self, rng: np.random.Generator, i: int) -> list[Encoding]:
        # Later results may be known or not: that must not matter.
        known = self._known[: i - self.options.most_under_way + 1]
        best = ranked(known)[: self.options.top_k]
        parents = np.array([one.encoding for one in best], np.int32)
        kind = rng.random() * self.options.population
        if kind < self.options.num_crossover:
            drawn = crossover(rng, parents, TRIES)
        elif kind < self.options.num_crossover + self.options.num_mutation:
            drawn = mutate(
                rng,
                parents,
                TRIES,
                self.space,
                self.options.mutation_probability,
            )
        else:
            return []
        drawn = self.canonical(drawn)
        legal = drawn[all_allow(self.constraints, drawn)]
        new = (one for one in legal if as_key(one) not in self._proposed)
        return list(new)[:1]
