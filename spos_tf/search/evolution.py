"""Evolutionary architecture search (the paper's Algorithm 1)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from spos_tf.cost.constraint import Constraint, all_allow
from spos_tf.errors import UserError
from spos_tf.search.generations import (
    Encoding,
    GenerationSearch,
    Scored,
    SearchOptions,
    as_key,
    check_whole,
    ranked,
)
from spos_tf.space import SearchSpace

# Offspring that are drawn for each one wanted, as in the official code.
TRIES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvolutionOptions(SearchOptions):
    """Numbers of Algorithm 1; the defaults are the paper's.

    Args:
        population: P, evaluations a generation.
        generations: T; generation 0 is random.
        seed: Decides every proposal, together with the accuracies told.
        top_k: How many of the best seen so far are parents.
        crossover: n, offspring of two parents a generation; None is P/2.
        mutation: m, mutated copies a generation; None is the rest. Where
            crossover and mutation are fewer than P, random architectures
            fill the generation.
        mutation_probability: Chance of each choice to be drawn anew, uniformly
            over its options, the old one included.

    Raises:
        UserError: A number is out of its range.
    """

    top_k: int = 10
    crossover: int | None = None
    mutation: int | None = None
    mutation_probability: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("top_k", self.top_k, 1)
        for name in ("crossover", "mutation"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 0)
        if self.num_crossover + self.num_mutation > self.population:
            raise UserError(
                "Crossover and mutation together give at most a population of "
                f"{self.population}; got {self.num_crossover} + "
                f"{self.num_mutation}."
            )
        if not 0 < self.mutation_probability <= 1:
            raise UserError(
                "mutation_probability is above 0 and at most 1; got "
                f"{self.mutation_probability!r}."
            )

    @property
    def num_crossover(self) -> int:
        """Offspring of two parents a generation."""
        if self.crossover is not None:
            return self.crossover
        if self.mutation is not None:
            return max(self.population - self.mutation, 0)
        return self.population // 2

    @property
    def num_mutation(self) -> int:
        """Mutated copies of one parent a generation."""
        if self.mutation is not None:
            return self.mutation
        return max(self.population - self.num_crossover, 0)


class Evolution(GenerationSearch):
    """Algorithm 1 behind `ask()` and `tell()`.

    Generation 0 is random under the constraints. Each later one consists of
    offspring of the best `top_k` of everything seen: crossover draws two
    parents independently and takes each choice from either with probability
    1/2; mutation draws one parent and redraws each of its choices with
    probability `mutation_probability`. Offspring that break a constraint or
    were proposed before are dropped; at most `TRIES` are drawn for each one
    wanted, and random legal architectures fill what is missing.

    Args:
        space: What can be chosen.
        constraints: All hard.
        options: See `EvolutionOptions`.

    Raises:
        UserError: No architecture keeps the constraints.
    """

    def __init__(
        self,
        space: SearchSpace,
        constraints: Sequence[Constraint],
        options: EvolutionOptions,
    ) -> None:
        super().__init__(space, constraints, options)
        self.options = options

    @property
    def top_k(self) -> list[Scored]:
        """The parents of the next generation, best first."""
        return ranked(self._scored)[: self.options.top_k]

    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        if not self._scored:
            return []
        parents = np.array([one.encoding for one in self.top_k], np.int32)
        wanted = self.options.num_crossover
        crossed = self._new_and_legal(
            crossover(rng, parents, TRIES * wanted), wanted, set()
        )
        wanted = self.options.num_mutation
        mutated = self._new_and_legal(
            mutate(
                rng,
                parents,
                TRIES * wanted,
                self.space,
                self.options.mutation_probability,
            ),
            wanted,
            {as_key(one) for one in crossed},
        )
        return crossed + mutated

    def _new_and_legal(
        self, offspring: Encoding, wanted: int, taken: set[tuple[int, ...]]
    ) -> list[Encoding]:
        # The first `wanted`, as if they were drawn one by one.
        kept: list[Encoding] = []
        for one in offspring[all_allow(self.constraints, offspring)]:
            key = as_key(one)
            if len(kept) == wanted:
                break
            if key not in self._proposed and key not in taken:
                taken.add(key)
                kept.append(one)
        return kept


def crossover(
    rng: np.random.Generator, parents: Encoding, count: int
) -> Encoding:
    """Takes each choice from either of two parents with probability 1/2.

    Args:
        rng: Draws the parents, independently, and who gives what.
        parents: int32 `[k, num_choices]`.
        count: Offspring.

    Returns:
        int32 `[count, num_choices]`.
    """
    first, second = rng.integers(len(parents), size=(2, count))
    from_first = rng.random((count, parents.shape[1])) < 0.5
    crossed: Encoding = np.where(from_first, parents[first], parents[second])
    return crossed


def mutate(
    rng: np.random.Generator,
    parents: Encoding,
    count: int,
    space: SearchSpace,
    probability: float,
) -> Encoding:
    """Draws each choice of a parent anew with some probability.

    Args:
        rng: Draws the parents and the choices.
        parents: int32 `[k, num_choices]`.
        count: Offspring.
        space: Of the parents.
        probability: Of each choice; it may get the option that it had.

    Returns:
        int32 `[count, num_choices]`.
    """
    parent = parents[rng.integers(len(parents), size=count)]
    redrawn = rng.random(parent.shape) < probability
    return np.where(redrawn, space.sample(rng, count), parent)


class RandomSearch(GenerationSearch):
    """The baseline at the same budget (Figure 2): random architectures.

    Distinct random legal architectures, population * generations of them.

    With the same seed its first generation is the evolution's: the two start
    level, and an evaluator that remembers scores saves that work.
    """

    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        return []
