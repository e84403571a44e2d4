"""Evolutionary architecture search (the paper's Algorithm 1)."""

import numpy as np

from spos_tf.cost.constraint import all_allow
from spos_tf.search.generations import (
    Encoding,
    GenerationSearch,
    Scored,
    as_key,
    ranked,
)
from spos_tf.space import SearchSpace

# Offspring that are drawn for each one wanted, as in the official code.
TRIES = 10


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
        options: The numbers of Algorithm 1; the defaults are the paper's.
        canonical: See `GenerationSearch`.

    Raises:
        UserError: No architecture keeps the constraints.
    """

    @property
    def top_k(self) -> list[Scored]:
        """The parents of the next generation, best first."""
        return ranked(self.scored)[: self.options.top_k]

    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        if not self.scored:
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
        offspring = self.canonical(offspring)
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
