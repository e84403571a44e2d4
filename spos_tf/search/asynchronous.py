"""The loop of a search without generations."""

import collections
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from spos_tf.search.driver import (
    CostMapping,
    Evaluate,
    Evaluation,
    OnCandidate,
    check_same,
    evaluated,
    proposed,
    the_best,
)
from spos_tf.search.generations import Encoding
from spos_tf.space import SearchSpace
from spos_tf.space.candidate import Candidate
from spos_tf.space.record import Record


class SteadyAlgorithm(Protocol):
    """Proposes candidates one by one; see `SteadyEvolution`."""

    def ask(self) -> Sequence[tuple[int, Encoding]]:
        """Candidates by number; none while it waits or when it is over."""

    def tell(self, i: int, accuracy: float) -> None:
        """Takes the result of one of them, in any order."""


class Stream(Protocol):
    """Evaluates candidates as they come."""

    def submit(self, position: int, encoding: Encoding) -> None:
        """Has a candidate evaluated."""

    def take(self) -> Evaluation:
        """Waits for one of those submitted; each is given once."""


class InTurn:
    """A stream that evaluates in the order of submission, when asked.

    Args:
        evaluate: As `run_search` takes it.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self._queue: collections.deque[tuple[int, Encoding]] = (
            collections.deque()
        )

    def submit(self, position: int, encoding: Encoding) -> None:
        """Puts a candidate last."""
        self._queue.append((position, encoding))

    def take(self) -> Evaluation:
        """Evaluates the first."""
        position, encoding = self._queue.popleft()
        (result,) = self._evaluate([encoding])
        return Evaluation(*result)._replace(position=position)


def run_asynchronous(
    algorithm: SteadyAlgorithm,
    stream: Stream,
    *,
    population: int,
    space: SearchSpace,
    cost_functions: CostMapping,
    record: Record,
    on_candidate: OnCandidate | None = None,
) -> Candidate:
    """Searches until the algorithm has nothing more to propose.

    Like `run_search`: a search that was killed and is run again with its
    record ends like one that was not.

    Args:
        algorithm: Fresh; nothing told yet.
        stream: Evaluates.
        population: Candidates that the record calls a generation.
        space: Names the choices in the record.
        cost_functions: Costs of int32 `[n, num_choices]`, `[n]`, by name.
        record: Of this search: empty, or from a run of the same that ended.
        on_candidate: Called with every candidate, `population`, and whether
            the record held it.

    Returns:
        The most accurate of everything evaluated; of equals the earliest.

    Raises:
        UserError: The record is of another search, or an accuracy is not a
            finite number.
    """
    waiting: dict[int, Candidate] = {}
    done: list[Candidate] = []

    def take_in(candidate: Candidate, resumed: bool) -> None:
        done.append(candidate)
        algorithm.tell(candidate.i, candidate.accuracy)
        if on_candidate:
            on_candidate(candidate, population, resumed)

    while True:
        new = algorithm.ask()
        if not new and not waiting:
            return the_best(record, done)
        for i, encoding in new:
            (proposal,) = proposed(
                [encoding], i, i // population, space, cost_functions
            )
            known = record.get(i)
            if known is None:
                waiting[i] = proposal
                stream.submit(i, np.asarray(encoding, np.int32))
            else:
                check_same(record, known, proposal)
                take_in(known, True)
        if not new:
            result = stream.take()
            candidate = evaluated(waiting.pop(result.position), result)
            record.append(candidate)
            take_in(candidate, False)
