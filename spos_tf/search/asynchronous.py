"""The loop of a search without generations."""

from collections.abc import Callable

from spos_tf.evaluation.scorer import Scorer
from spos_tf.search.driver import (
    CostMapping,
    OnCandidate,
    Proposals,
    check_same,
    evaluated,
    the_best,
)
from spos_tf.search.steady_state import SteadyEvolution
from spos_tf.space.candidate import ACCURACY, Candidate, Direction, best_of
from spos_tf.space.record import Record


def run_asynchronous(
    algorithm: SteadyEvolution,
    scorer: Scorer,
    *,
    cost_functions: CostMapping,
    record: Record,
    metric: str = ACCURACY,
    direction: Direction = "max",
    on_candidate: OnCandidate | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Candidate:
    """Searches until the algorithm has nothing more to propose.

    What it takes, gives and raises is as in `run_search`; `population` is the
    size of a generation. A search that was killed and is run again with its
    record ends like one that was not.
    """
    # What the record calls a generation.
    population = algorithm.options.population
    waiting: dict[int, Candidate] = {}
    done: list[Candidate] = []
    propose = Proposals(algorithm.space, cost_functions, metric, direction)

    def take_in(candidate: Candidate, resumed: bool) -> None:
        done.append(candidate)
        algorithm.tell(candidate.i, candidate.merit)
        if on_candidate:
            on_candidate(candidate, population, resumed)

    def ask() -> bool:
        new = algorithm.ask()
        for i, encoding in new:
            (proposal,) = propose([encoding], i, i // population)
            check_same(record, proposal)
            known = record.get(i)
            if known is None:
                (position,) = scorer.submit([proposal.encoding])
                waiting[position] = proposal
            else:
                take_in(known, True)
        return bool(new)

    def ask_for_all() -> None:
        while ask():
            pass

    ask_for_all()
    for result in scorer.results():
        candidate = evaluated(waiting.pop(result.position), result)
        record.append(candidate)
        take_in(candidate, False)
        if stop():
            return best_of(record.candidates)
        ask_for_all()
    if waiting:
        raise ValueError(f"The scorer left out {len(waiting)} candidates.")
    return the_best(record, done)
