"""NSGA-II in pymoo's terms: its operators over the options of a space.

The extra `nsga2` installs pymoo; nothing imports this module without need.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.ux import UniformCrossover

from spos_tf.cost.constraint import Constraint, all_allow
from spos_tf.cost.feasible import Canonical
from spos_tf.search.generations import Encoding, as_key
from spos_tf.space import SearchSpace


class Genes:
    """Encodings as pymoo sees them: indexes into the legal options.

    Without the options that nothing but the legality mask knows of, every
    combination of values in bounds is an architecture of the space.

    Args:
        space: The choices.
        canonical: See `GenerationSearch`.
    """

    def __init__(self, space: SearchSpace, canonical: Canonical) -> None:
        self._canonical = canonical
        self.num_legal = space.num_legal
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
        """The other way, in canonical form."""
        found: Encoding = self._table[self._rows, genes.astype(np.int32)]
        return self._canonical(found)


def make_algorithm(
    genes: Genes,
    constraints: Sequence[Constraint],
    proposed: set[tuple[int, ...]],
    population: int,
    mutation_probability: float,
) -> Any:
    """pymoo's algorithm, told nothing yet.

    Args:
        genes: Of the space.
        constraints: All hard.
        proposed: Encodings that are not wanted again; may grow.
        population: Survivors of a generation, and offspring.
        mutation_probability: Chance of each choice to be drawn anew.
    """
    num_legal = genes.num_legal
    problem = Problem(
        n_var=len(num_legal),
        n_obj=2,
        xl=np.zeros(len(num_legal), np.int32),
        xu=num_legal - 1,
        vtype=int,
    )
    algorithm = NSGA2(
        pop_size=population,
        crossover=UniformCrossover(prob=0.9),
        mutation=_Redraw(num_legal, mutation_probability),
        eliminate_duplicates=_Unwanted(genes, constraints, proposed),
    )
    algorithm.setup(problem, termination=NoTermination(), seed=0)
    return algorithm


def population_of(genes: Encoding, objectives: npt.NDArray[np.float64]) -> Any:
    """What pymoo is told: genes `[n, num_choices]`, objectives `[n, 2]`."""
    told = Population.new(X=genes, F=objectives)
    # There are no constraints in pymoo's eyes: all that it sees is legal.
    told.set("G", np.zeros((len(told), 0)), "H", np.zeros((len(told), 0)))
    return told


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
        genes: Genes,
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
        seen = {
            as_key(encoding)
            for other in others
            if len(other)
            for encoding in self._genes.encodings(other.get("X"))
        }
        encodings = self._genes.encodings(pop.get("X"))
        kept = []
        legal = all_allow(self._constraints, encodings)
        for index, encoding in enumerate(encodings):
            key = as_key(encoding)
            new = key not in self._proposed and key not in seen
            if legal[index] and new:
                seen.add(key)
                kept.append(index)
        return pop[kept]
