"""The loop of a search: ask, evaluate, record, tell; resumes by replaying."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.evaluation.measured import finite_halves
from spos_tf.evaluation.scorer import Score, Scorer
from spos_tf.search.generations import Encoding, GenerationSearch, as_key
from spos_tf.space import SearchSpace
from spos_tf.space.candidate import (
    ACCURACY,
    Candidate,
    Direction,
    best_of,
    is_score,
)
from spos_tf.space.record import Record

CostMapping = Mapping[str, Callable[[npt.ArrayLike], npt.NDArray[Any]]]
# The candidate, the size of its generation, whether the record had it.
OnCandidate = Callable[[Candidate, int, bool], None]


def run_search(
    algorithm: GenerationSearch,
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

    Every result enters the record as it comes and the algorithm in the order
    of proposal, so a search that was killed and is run again with its record
    ends like one that was not; what the record holds is not evaluated again.

    Args:
        algorithm: Fresh; nothing told yet.
        scorer: Scores candidates; nobody else submits to it.
        cost_functions: Costs of int32 `[n, num_choices]`, `[n]`, by name; all
            of them are recorded.
        record: Of this search: empty, or from a run of the same that ended.
        metric: Name of what the scorer scores.
        direction: Whether more or less of it is better.
        on_candidate: Called with every candidate, the size of its generation
            and whether the record held it.
        stop: Asked after every evaluation: whether to end now. The scorer is
            then of no more use.

    Returns:
        The best of everything evaluated; of equals the earliest.

    Raises:
        UserError: The record is of another search, or a score is not finite.
        ValueError: The algorithm is not fresh, or the scorer does not give
            one score for each candidate.
    """
    if algorithm.generation:
        raise ValueError("run_search() starts with an algorithm told nothing.")
    done: list[Candidate] = []
    propose = Proposals(algorithm.space, cost_functions, metric, direction)
    while encodings := algorithm.ask():
        proposals = propose(encodings, len(done), algorithm.generation)
        for proposal in proposals:
            check_same(record, proposal)
            known = record.get(proposal.i)
            if known is not None and on_candidate:
                on_candidate(known, len(proposals), True)
        for candidate in _evaluated(
            [one for one in proposals if record.get(one.i) is None], scorer
        ):
            record.append(candidate)
            if on_candidate:
                on_candidate(candidate, len(proposals), False)
            if stop():
                return best_of(record.candidates)
        scored = [record.get(one.i) for one in proposals]
        generation = [one for one in scored if one is not None]
        algorithm.tell(encodings, [one.merit for one in generation])
        done += generation
    return the_best(record, done)


def the_best(record: Record, done: Sequence[Candidate]) -> Candidate:
    """The best candidate of a search that is over.

    Raises:
        UserError: The record holds more than the search proposed.
        ValueError: It proposed nothing.
    """
    if len(record) > len(done):
        raise UserError(
            f"This search ends after {len(done)} evaluations; "
            f"{record} has {len(record)}, so it is of another search. Give "
            "the options of that search, or another `name`."
        )
    if not done:
        raise ValueError("The algorithm proposed nothing.")
    return best_of(done)


def evaluated(proposal: Candidate, result: Score) -> Candidate:
    """A proposal with its score.

    Raises:
        UserError: The score is not a finite number, or an accuracy not from 0
            to 1.
    """
    score = float(result.score)
    if not is_score(score, proposal.metric):
        rule = (
            "numbers from 0 to 1" if proposal.metric == ACCURACY else "finite"
        )
        raise UserError(
            f"Scores of {proposal.metric} are {rule}; candidate {proposal.i} "
            f"got {score}. Check the supernet and the images."
        )
    return dataclasses.replace(
        proposal,
        score=score,
        seconds=round(float(result.seconds), 4),
        worker=result.worker,
        time=round(time.time(), 3),
        halves=finite_halves(result.halves),
    )


@dataclasses.dataclass(frozen=True)
class Proposals:
    """Makes candidates as they will stand in the record, without scores.

    Attributes:
        space: Names the choices.
        cost_functions: As `run_search` takes them.
        metric: Name of what is scored.
        direction: Whether more or less of it is better.
    """

    space: SearchSpace
    cost_functions: CostMapping
    metric: str
    direction: Direction

    def __call__(
        self, encodings: Sequence[Encoding], first: int, generation: int
    ) -> list[Candidate]:
        """Candidates of a generation.

        Args:
            encodings: int32 `[num_choices]` each.
            first: Number of the first; the others follow.
            generation: Of all of them.
        """
        stacked = np.stack(encodings)
        costs = {
            name: np.asarray(function(stacked)).tolist()
            for name, function in self.cost_functions.items()
        }
        return [
            Candidate(
                i=first + position,
                generation=generation,
                encoding=as_key(encoding),
                choices=self.space.decode(encoding),
                costs={name: all_[position] for name, all_ in costs.items()},
                score=0.0,
                metric=self.metric,
                direction=self.direction,
                seconds=0.0,
                worker="",
                time=0.0,
            )
            for position, encoding in enumerate(encodings)
        ]


def check_same(record: Record, proposal: Candidate) -> None:
    """A search goes on with its own record only.

    Raises:
        UserError: The record's candidate of that number is another one.
    """
    known = record.recorded(proposal.i)
    if known is None:
        return
    for field in (
        *("generation", "encoding", "choices", "costs"),
        *("metric", "direction"),
    ):
        was, now = getattr(known, field), getattr(proposal, field)
        if was != now:
            if isinstance(was, Mapping):
                keys = sorted(
                    k for k in {*was, *now} if was.get(k) != now.get(k)
                )
                was, now = (
                    {k: side.get(k) for k in keys} for side in (was, now)
                )
            raise UserError(
                f"A search is resumed with its own record only; candidate "
                f"{known.i} of {record} has {field} {was}, this search "
                f"proposes {now}. Give the options that it was made with or "
                "another `name`."
            )


def _evaluated(
    proposals: Sequence[Candidate], scorer: Scorer
) -> Iterator[Candidate]:
    positions = scorer.submit([one.encoding for one in proposals])
    missing = dict(zip(positions, proposals, strict=True))
    for result in scorer.results():
        if result.position not in missing:
            raise ValueError(
                f"The scorer gave position {result.position}, which it was "
                "not asked for or gave before."
            )
        yield evaluated(missing.pop(result.position), result)
    if missing:
        raise ValueError(
            f"The scorer left out {len(missing)} of {len(proposals)} "
            "candidates."
        )
