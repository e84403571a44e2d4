"""What search algorithms that ask for whole generations have in common."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.feasible import (
    Canonical,
    check_feasible,
    sample_feasible,
    unchanged,
)
from spos_tf.errors import UserError
from spos_tf.options import SearchOptions
from spos_tf.space import SearchSpace

Encoding = npt.NDArray[np.int32]


class Scored(NamedTuple):
    """An architecture that was evaluated.

    Attributes:
        i: Order of proposal, from 0.
        encoding: One option index a choice.
        score: Higher is better.
    """

    i: int
    encoding: tuple[int, ...]
    score: float


def ranked(scored: Sequence[Scored]) -> list[Scored]:
    """Best first; of two that are equal the one proposed earlier."""
    return sorted(scored, key=lambda one: (-one.score, one.i))


@dataclasses.dataclass(eq=False, repr=False)
class Proposer:
    """What all algorithms propose from: legal architectures, each only once.

    Args:
        space: What can be chosen.
        constraints: All hard.
        options: How many candidates, how they are made, and the seed.
        canonical: See `sample_feasible`; all proposals have this form, so
            that no network is proposed under two encodings.

    Raises:
        UserError: No architecture keeps the constraints.
    """

    space: SearchSpace
    constraints: Sequence[Constraint]
    options: SearchOptions
    canonical: Canonical = unchanged

    def __post_init__(self) -> None:
        check_feasible(self.space, self.constraints)
        self._proposed: set[tuple[int, ...]] = set()
        self._stopped_early = ""

    @property
    def stopped_early(self) -> str:
        """Why the search ended before its budget; empty if it did not."""
        return self._stopped_early

    def _random(self, rng: np.random.Generator, count: int) -> list[Encoding]:
        """Legal ones that were not proposed; fewer where there are no more."""
        return list(
            sample_feasible(
                self.space,
                self.constraints,
                rng,
                count,
                avoid=self._proposed,
                canonical=self.canonical,
            )
        )

    def _stop_early(self) -> None:
        rules = " and ".join(one.describe() for one in self.constraints)
        self._stopped_early = (
            "Found no more architectures"
            f"{' with ' * bool(rules)}{rules}: the search ends with "
            f"{len(self._proposed)} of {self.options.budget} evaluations."
        )


class GenerationSearch(Proposer, abc.ABC):
    """Proposes generations with `ask()` and learns from them with `tell()`.

    Within a run no architecture is proposed twice and each one keeps every
    constraint. The proposals follow from the options and the scores told
    alone: replaying a record through `ask` and `tell` continues the run that
    wrote it. Every generation draws from a generator of its own, seeded with
    (seed, generation).

    Its arguments are those of `Proposer`.

    Attributes:
        scored: Everything told so far, in the order of proposal.
        generation: How many were told; the number of the one to ask for next.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.scored: list[Scored] = []
        self.generation = 0
        self._pending: list[Encoding] | None = None

    def ask(self) -> list[Encoding]:
        """The next generation.

        Asking again before telling gives the same.

        Returns:
            int32 `[num_choices]` each: as many as the population, fewer where
            no more legal architectures are left, none when the search is over.
        """
        if self._pending is None:
            self._pending = self._next_generation()
        return [encoding.copy() for encoding in self._pending]

    def tell(
        self, encodings: Sequence[npt.ArrayLike], scores: Sequence[float]
    ) -> None:
        """Takes the scores of the generation that was asked for.

        Args:
            encodings: What `ask` gave, in its order.
            scores: One each; higher is better.

        Raises:
            ValueError: It is another generation, or not one number each.
            UserError: A score is not a finite number.
        """
        told = [as_key(encoding) for encoding in encodings]
        if not told or told != [as_key(one) for one in self._pending or ()]:
            raise ValueError(
                "tell() takes the generation that ask() gave, in its order."
            )
        if len(scores) != len(told):
            raise ValueError(
                f"tell() takes a score for each of {len(told)} "
                f"architectures; got {len(scores)}."
            )
        for key, score in zip(told, scores, strict=True):
            if not np.isfinite(score):
                raise UserError(
                    f"Scores are finite numbers; architecture {key} got "
                    f"{score}. Check the supernet and the images."
                )
        for key, score in zip(told, scores, strict=True):
            self.scored.append(Scored(len(self.scored), key, float(score)))
        self._pending = None
        self.generation += 1

    @abc.abstractmethod
    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        """New legal architectures, at most the population.

        What is missing is filled up with random ones.
        """

    def _next_generation(self) -> list[Encoding]:
        population = self.options.population
        if self._stopped_early or self.generation >= self.options.generations:
            return []
        rng = np.random.default_rng((self.options.seed, self.generation))
        proposals = self._propose(rng)
        self._proposed.update(as_key(one) for one in proposals)
        missing = population - len(proposals)
        if missing:
            proposals += self._random(rng, missing)
        self._proposed.update(as_key(one) for one in proposals)
        if len(proposals) < population:
            self._stop_early()
        return proposals


class RandomSearch(GenerationSearch):
    """Distinct random legal architectures, population * generations of them.

    With the same seed its first generation is the evolution's: the two start
    level, and an evaluator that remembers scores saves that work.
    """

    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        return []


def as_key(encoding: npt.ArrayLike) -> tuple[int, ...]:
    """An encoding as a tuple of Python ints."""
    return tuple(np.asarray(encoding).tolist())
