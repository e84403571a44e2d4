"""NSGA-II: the front of score and one cost in one search (Deb 2002)."""

import dataclasses
import importlib
import types
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spos_tf.cost.constraint import Constraint, CostFunction
from spos_tf.errors import missing_extra
from spos_tf.search.generations import Encoding, GenerationSearch, as_key


def _operators() -> types.ModuleType:
    """What is built on pymoo.

    Raises:
        UserError: It is not installed.
    """
    try:
        return importlib.import_module("spos_tf.search.pymoo_operators")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pymoo":
            raise
        raise missing_extra("`strategy=nsga2`", "nsga2") from None


@dataclasses.dataclass(eq=False, repr=False)
class NSGA2(GenerationSearch):
    """pymoo's NSGA-II behind `ask()` and `tell()`.

    The score is to be high and the cost low. Parents are chosen by tournament
    on rank and crowding distance among the survivors, offspring by uniform
    crossover and by redrawing choices. Offspring that break a constraint or
    were proposed before are dropped, and mating goes on, with a bound; random
    legal architectures fill what is missing. Generation 0 is that of the
    other strategies with this seed.

    Args:
        space: What can be chosen.
        constraints: All hard.
        options: `population` is also the number of survivors, and
            `mutation_probability` that of each choice of an offspring.
        cost: The second objective.
        canonical: See `GenerationSearch`.

    Raises:
        UserError: No architecture keeps the constraints, or pymoo is not
            installed.
    """

    cost: CostFunction = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        operators = _operators()
        self._genes = operators.Genes(self.space, self.canonical)
        self._pymoo = operators.make_algorithm(
            self._genes,
            self.constraints,
            self._proposed,
            self.options.population,
            self.options.mutation_probability,
        )

    def tell(
        self, encodings: Sequence[npt.ArrayLike], scores: Sequence[float]
    ) -> None:
        """Takes the scores of what `ask` gave; see `GenerationSearch`.

        Raises:
            UserError: Besides, the cost gives something else than numbers.
        """
        super().tell(encodings, scores)
        stacked = np.array([as_key(one) for one in encodings], np.int32)
        costs = Constraint(self.cost).values(stacked)
        objectives = np.column_stack([-np.asarray(scores), costs])
        told = _operators().population_of(
            self._genes.of(stacked), objectives.astype(np.float64)
        )
        self._pymoo.tell(infills=told)

    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        if not self.scored:
            return []
        # A generator of the generation's own, like everything else here.
        self._pymoo.random_state = rng
        offspring = self._pymoo.ask()
        # Where mating finds nothing new, pymoo would end; here random
        # architectures fill the generation.
        self._pymoo.termination.force_termination = False
        if offspring is None or not len(offspring):
            return []
        return list(self._genes.encodings(offspring.get("X")))
