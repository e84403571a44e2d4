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

    Like `run_search`: a search that was killed and is run again with its
    record ends like one that was not.

    Args:
        algorithm: Fresh; nothing told yet.
        scorer: Scores candidates; nobody else submits to it.
        cost_functions: Costs of int32 `[n, num_choices]`, `[n]`, by name.
        record: Of this search: empty, or from a run of the same that ended.
        metric: Name of what the scorer scores.
        direction: Whether more or less of it is better.
        on_candidate: Called with every candidate, `population`, and whether
            the record held it.
        stop: See `run_search`.

    Returns:
        The best of everything evaluated; of equals the earliest.

    Raises:
        UserError: The record is of another search, or a score is not finite.
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
