"""What search algorithms that ask for whole generations have in common."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.feasible import check_feasible, sample_feasible
from spos_tf.errors import UserError
from spos_tf.space import SearchSpace

Encoding = npt.NDArray[np.int32]


class Scored(NamedTuple):
    """An architecture that was evaluated.

    Attributes:
        i: Order of proposal, from 0.
        encoding: One option index a choice.
        accuracy: Higher is better.
    """

    i: int
    encoding: tuple[int, ...]
    accuracy: float


def ranked(scored: Sequence[Scored]) -> list[Scored]:
    """Best first; of two that are equal the one proposed earlier."""
    return sorted(scored, key=lambda one: (-one.accuracy, one.i))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Numbers of any search by generations.

    Args:
        population: Evaluations a generation, P in the paper.
        generations: T in the paper; the budget is P * T evaluations.
        seed: Decides every proposal, together with the accuracies told.

    Raises:
        UserError: A number is out of its range.
    """

    population: int = 50
    generations: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("population", self.population, 1)
        check_whole("generations", self.generations, 1)
        check_whole("seed", self.seed, 0)

    @property
    def budget(self) -> int:
        """Evaluations of a whole search."""
        return self.population * self.generations


class GenerationSearch(abc.ABC):
    """Proposes generations with `ask()` and learns from them with `tell()`.

    Within a run no architecture is proposed twice and each one keeps every
    constraint. The proposals follow from the options and the accuracies told
    alone: replaying a record through `ask` and `tell` continues the run that
    wrote it. Every generation draws from a generator of its own, seeded with
    (seed, generation).

    Args:
        space: What can be chosen.
        constraints: All hard.
        options: See `SearchOptions`.

    Raises:
        UserError: No architecture keeps the constraints.
    """

    def __init__(
        self,
        space: SearchSpace,
        constraints: Sequence[Constraint],
        options: SearchOptions,
    ) -> None:
        check_feasible(space, constraints)
        self.space = space
        self.constraints = tuple(constraints)
        self._options = options
        self._generation = 0
        self._scored: list[Scored] = []
        self._proposed: set[tuple[int, ...]] = set()
        self._pending: list[Encoding] | None = None
        self._stopped_early = ""

    @property
    def generation(self) -> int:
        """Generations told so far; the number of the one to ask for next."""
        return self._generation

    @property
    def scored(self) -> tuple[Scored, ...]:
        """Everything told so far, in the order of proposal."""
        return tuple(self._scored)

    @property
    def best(self) -> Scored | None:
        """The best of everything told so far; of equals the earliest."""
        return ranked(self._scored)[0] if self._scored else None

    @property
    def stopped_early(self) -> str:
        """Why the search ended before its budget; empty if it did not."""
        return self._stopped_early

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
        self,
        encodings: Sequence[npt.ArrayLike],
        accuracies: Sequence[float],
    ) -> None:
        """Takes the accuracies of the generation that was asked for.

        Args:
            encodings: What `ask` gave, in its order.
            accuracies: One each; higher is better.

        Raises:
            ValueError: It is another generation, or not one number each.
            UserError: An accuracy is not a finite number.
        """
        told = [as_key(encoding) for encoding in encodings]
        if not told or told != [as_key(one) for one in self._pending or ()]:
            raise ValueError(
                "tell() takes the generation that ask() gave, in its order."
            )
        if len(accuracies) != len(told):
            raise ValueError(
                f"tell() takes an accuracy for each of {len(told)} "
                f"architectures; got {len(accuracies)}."
            )
        for key, accuracy in zip(told, accuracies, strict=True):
            if not np.isfinite(accuracy):
                raise UserError(
                    f"Accuracies are finite numbers; architecture {key} got "
                    f"{accuracy}. Check the supernet and the images."
                )
        for key, accuracy in zip(told, accuracies, strict=True):
            self._scored.append(Scored(len(self._scored), key, float(accuracy)))
        self._pending = None
        self._generation += 1

    @abc.abstractmethod
    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        """New legal architectures, at most the population.

        What is missing is filled up with random ones.
        """

    def _next_generation(self) -> list[Encoding]:
        population = self._options.population
        if self._stopped_early or self._generation >= self._options.generations:
            return []
        rng = np.random.default_rng((self._options.seed, self._generation))
        proposals = self._propose(rng)
        self._proposed.update(as_key(one) for one in proposals)
        missing = population - len(proposals)
        if missing:
            proposals += list(
                sample_feasible(
                    self.space,
                    self.constraints,
                    rng,
                    missing,
                    avoid=self._proposed,
                )
            )
        self._proposed.update(as_key(one) for one in proposals)
        if len(proposals) < population:
            rules = " and ".join(one.describe() for one in self.constraints)
            self._stopped_early = (
                "Found no more architectures"
                f"{' with ' * bool(rules)}{rules}: the search ends with "
                f"{len(self._proposed)} of {self._options.budget} evaluations."
            )
        return proposals


def as_key(encoding: npt.ArrayLike) -> tuple[int, ...]:
    """An encoding as a tuple of Python ints."""
    return tuple(np.asarray(encoding).tolist())


def check_whole(name: str, value: object, least: int) -> None:
    """Refuses what is no whole number of at least `least`.

    Raises:
        UserError: It is not.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise UserError(
            f"{name} is a whole number of at least {least}; got {value!r}."
        )
