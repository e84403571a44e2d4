"""NSGA-II: the front of accuracy and one cost in one search (Deb 2002)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spos_tf.cost.constraint import Constraint, CostFunction, all_allow
from spos_tf.errors import UserError, missing_extra
from spos_tf.search.generations import (
    Encoding,
    GenerationSearch,
    SearchOptions,
    as_key,
)
from spos_tf.space import SearchSpace

try:
    from pymoo.algorithms.moo.nsga2 import NSGA2 as PymooNSGA2
    from pymoo.core.duplicate import DuplicateElimination
    from pymoo.core.mutation import Mutation
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.operators.crossover.ux import UniformCrossover
except ImportError:
    raise missing_extra("Strategy 'nsga2'", "nsga2") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class NSGA2Options(SearchOptions):
    """Numbers of NSGA-II.

    Args:
        population: Evaluations a generation, and survivors of one.
        generations: Generation 0 is random.
        seed: Decides every proposal, together with the accuracies told.
        mutation_probability: Chance of each choice of an offspring to be
            drawn anew, uniformly over its options, the old one included.

    Raises:
        UserError: A number is out of its range.
    """

    mutation_probability: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.mutation_probability <= 1:
            raise UserError(
                "mutation_probability is above 0 and at most 1; got "
                f"{self.mutation_probability!r}."
            )


class NSGA2(GenerationSearch):
    """pymoo's NSGA-II behind `ask()` and `tell()`.

    Accuracy is to be high and the cost low. Parents are chosen by tournament
    on rank and crowding distance among the survivors, offspring by uniform
    crossover and by redrawing choices. Offspring that break a constraint or
    were proposed before are dropped, and mating goes on, with a bound; random
    legal architectures fill what is missing. Generation 0 is that of the
    other strategies with this seed.

    Args:
        space: What can be chosen.
        constraints: All hard.
        options: See `NSGA2Options`.
        cost: The second objective.

    Raises:
        UserError: No architecture keeps the constraints.
    """

    def __init__(
        self,
        space: SearchSpace,
        constraints: Sequence[Constraint],
        options: NSGA2Options,
        *,
        cost: CostFunction,
    ) -> None:
        super().__init__(space, constraints, options)
        self.options = options
        self._cost = cost
        self._genes = _Genes(space)
        self._pymoo: Any = None

    def tell(
        self,
        encodings: Sequence[npt.ArrayLike],
        accuracies: Sequence[float],
    ) -> None:
        """Takes the accuracies of what `ask` gave; see `GenerationSearch`.

        Raises:
            UserError: Besides, the cost gives something else than numbers.
        """
        super().tell(encodings, accuracies)
        stacked = np.array([as_key(one) for one in encodings], np.int32)
        costs = Constraint(self._cost).values(stacked)
        objectives = np.column_stack([-np.asarray(accuracies), costs])
        told = Population.new(
            X=self._genes.of(stacked), F=objectives.astype(np.float64)
        )
        # There are no constraints in pymoo's eyes: all that it sees is legal.
        told.set("G", np.zeros((len(told), 0)), "H", np.zeros((len(told), 0)))
        if self._pymoo is None:
            self._pymoo = self._start()
        self._pymoo.tell(infills=told)

    def _start(self) -> Any:
        num_legal = self.space.num_legal
        problem = Problem(
            n_var=len(num_legal),
            n_obj=2,
            xl=np.zeros(len(num_legal), np.int32),
            xu=num_legal - 1,
            vtype=int,
        )
        unwanted = _Unwanted(self._genes, self.constraints, self._proposed)
        algorithm = PymooNSGA2(
            pop_size=self.options.population,
            crossover=UniformCrossover(prob=0.9),
            mutation=_Redraw(num_legal, self.options.mutation_probability),
            eliminate_duplicates=unwanted,
        )
        algorithm.setup(problem, termination=NoTermination(), seed=0)
        return algorithm

    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        if self._pymoo is None:
            return []
        # A generator of the generation's own, like everything else here.
        self._pymoo.random_state = rng
        offspring = self._pymoo.ask()
        if offspring is None or not len(offspring):
            return []
        return list(self._genes.encodings(offspring.get("X")))


class _Genes:
    """Encodings as pymoo sees them: indexes into the legal options.

    Without the options that nothing but the legality mask knows of, every
    combination of values in bounds is an architecture of the space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._table = space.legal_table
        self._rows = np.arange(space.num_choices)
        options = max(map(max, space.legal_options)) + 1
        self._index = np.zeros((space.num_choices, options), np.int32)
        for row, legal in enumerate(space.legal_options):
            self._index[row, list(legal)] = np.arange(len(legal))

    def of(self, encodings: Encoding) -> Encoding:
        """int32 `[n, num_choices]` encodings as genes of that shape."""
        genes: Encoding = self._index[self._rows, encodings]
        return genes

    def encodings(self, genes: npt.NDArray[Any]) -> Encoding:
        """The other way."""
        found: Encoding = self._table[self._rows, genes.astype(np.int32)]
        return found


class _Redraw(Mutation):  # type: ignore[misc]
    """Draws each choice anew with a probability."""

    def __init__(
        self, num_legal: npt.NDArray[np.int32], probability: float
    ) -> None:
        super().__init__()
        self._num_legal = num_legal
        self._probability = probability

    def _do(
        self,
        problem: Problem,
        X: npt.NDArray[Any],
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> npt.NDArray[Any]:
        redrawn = random_state.random(X.shape) < self._probability
        drawn = random_state.integers(self._num_legal, size=X.shape)
        return np.where(redrawn, drawn, X)


class _Unwanted(DuplicateElimination):  # type: ignore[misc]
    """Drops offspring that are illegal, or known, or twice among these."""

    def __init__(
        self,
        genes: _Genes,
        constraints: Sequence[Constraint],
        proposed: set[tuple[int, ...]],
    ) -> None:
        super().__init__()
        self._genes = genes
        self._constraints = constraints
        self._proposed = proposed

    def do(
        self, pop: Population, *others: Population, **kwargs: Any
    ) -> Population:
        """What is left of `pop`; `others` are not to be met again."""
        if not len(pop):
            return pop
        seen = {as_key(one.X) for other in others for one in other}
        encodings = self._genes.encodings(pop.get("X"))
        kept = []
        legal = all_allow(self._constraints, encodings)
        for index, (one, encoding) in enumerate(
            zip(pop, encodings, strict=True)
        ):
            key = as_key(one.X)
            new = as_key(encoding) not in self._proposed and key not in seen
            if legal[index] and new:
                seen.add(key)
                kept.append(index)
        return pop[kept]
