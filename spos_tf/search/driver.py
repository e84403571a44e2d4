"""The loop of a search: ask, evaluate, record, tell; resumes by replaying."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.search.generations import Encoding, as_key
from spos_tf.space import SearchSpace
from spos_tf.space.candidate import Candidate, best_of, is_share
from spos_tf.space.record import Record


class Algorithm(Protocol):
    """Proposes whole generations; see `GenerationSearch`."""

    @property
    def generation(self) -> int:
        """Generations told so far."""

    def ask(self) -> list[Encoding]:
        """The next generation, empty when the search is over."""

    def tell(
        self, encodings: Sequence[npt.ArrayLike], accuracies: Sequence[float]
    ) -> None:
        """Takes the accuracies of what `ask` gave, in its order."""


class Evaluation(NamedTuple):
    """A result, in whatever order results come.

    Attributes:
        position: Index into the encodings that were to be evaluated.
        accuracy: Share of the scored images that were right.
        seconds: Time it took.
        worker: Who did it.
    """

    position: int
    accuracy: float
    seconds: float
    worker: str = "local"


# Plain tuples (position, accuracy, seconds[, worker]) do as well.
Evaluate = Callable[[list[Encoding]], Iterable[tuple[Any, ...]]]
CostMapping = Mapping[str, Callable[[npt.ArrayLike], npt.NDArray[Any]]]
# The candidate, the size of its generation, whether the record had it.
OnCandidate = Callable[[Candidate, int, bool], None]


def run_search(
    algorithm: Algorithm,
    evaluate: Evaluate,
    *,
    space: SearchSpace,
    cost_functions: CostMapping,
    record: Record,
    on_candidate: OnCandidate | None = None,
) -> Candidate:
    """Searches until the algorithm has nothing more to propose.

    Every result enters the record as it comes and the algorithm in the order
    of proposal, so a search that was killed and is run again with its record
    ends like one that was not; what the record holds is not evaluated again.

    Args:
        algorithm: Fresh; nothing told yet.
        evaluate: Takes int32 `[num_choices]` encodings and gives an
            `Evaluation` for each, in any order, best as soon as it is known.
        space: Names the choices in the record.
        cost_functions: Costs of int32 `[n, num_choices]`, `[n]`, by name; all
            of them are recorded.
        record: Of this search: empty, or from a run of the same that ended.
        on_candidate: Called with every candidate, the size of its generation
            and whether the record held it.

    Returns:
        The most accurate of everything evaluated; of equals the earliest.

    Raises:
        UserError: The record is of another search, or an accuracy is not a
            number from 0 to 1.
        ValueError: The algorithm is not fresh, or `evaluate` does not give
            one result for each encoding.
    """
    if algorithm.generation:
        raise ValueError("run_search() starts with an algorithm told nothing.")
    done: list[Candidate] = []
    while encodings := algorithm.ask():
        proposals = proposed(
            encodings, len(done), algorithm.generation, space, cost_functions
        )
        for proposal in proposals:
            known = record.get(proposal.i)
            if known is not None:
                check_same(record, known, proposal)
                if on_candidate:
                    on_candidate(known, len(proposals), True)
        for candidate in _evaluated(
            [one for one in proposals if record.get(one.i) is None], evaluate
        ):
            record.append(candidate)
            if on_candidate:
                on_candidate(candidate, len(proposals), False)
        scored = [record.get(one.i) for one in proposals]
        generation = [one for one in scored if one is not None]
        algorithm.tell(encodings, [one.accuracy for one in generation])
        done += generation
    return the_best(record, done)


def the_best(record: Record, done: Sequence[Candidate]) -> Candidate:
    """The most accurate of a search that is over.

    Raises:
        UserError: The record holds more than the search proposed.
        ValueError: It proposed nothing.
    """
    if len(record) > len(done):
        raise UserError(
            f"This search ends after {len(done)} evaluations; record "
            f"{str(record.path)!r} has {len(record)}. It is of another "
            "search: give that one's flags or another --name."
        )
    if not done:
        raise ValueError("The algorithm proposed nothing.")
    return best_of(done)


def evaluated(proposal: Candidate, result: Evaluation) -> Candidate:
    """A proposal with its result.

    Raises:
        UserError: The accuracy is not a number from 0 to 1.
    """
    accuracy = float(result.accuracy)
    if not is_share(accuracy):
        raise UserError(
            f"Accuracies are numbers from 0 to 1; candidate {proposal.i} got "
            f"{accuracy}. Check the supernet and the images."
        )
    return dataclasses.replace(
        proposal,
        accuracy=accuracy,
        seconds=round(float(result.seconds), 4),
        worker=result.worker,
        time=round(time.time(), 3),
    )


def proposed(
    encodings: Sequence[Encoding],
    first: int,
    generation: int,
    space: SearchSpace,
    cost_functions: CostMapping,
) -> list[Candidate]:
    """Candidates as they will stand in the record, without their results.

    Args:
        encodings: int32 `[num_choices]` each.
        first: Number of the first; the others follow.
        generation: Of all of them.
        space: Names the choices.
        cost_functions: As `run_search` takes them.
    """
    stacked = np.stack(encodings)
    costs = {
        name: np.asarray(function(stacked)).tolist()
        for name, function in cost_functions.items()
    }
    return [
        Candidate(
            i=first + position,
            generation=generation,
            encoding=as_key(encoding),
            choices=space.decode(encoding),
            costs={name: values[position] for name, values in costs.items()},
            accuracy=0.0,
            seconds=0.0,
            worker="",
            time=0.0,
        )
        for position, encoding in enumerate(encodings)
    ]


def check_same(record: Record, known: Candidate, proposal: Candidate) -> None:
    """A search goes on with its own record only.

    Raises:
        UserError: The record's candidate is another than the proposed one.
    """
    for field in ("generation", "encoding", "choices", "costs"):
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
                f"A search goes on with its own record only; candidate "
                f"{known.i} of {str(record.path)!r} has {field} {was}, this "
                f"search proposes {now}. Give the flags that it was made with "
                "or another --name."
            )


def _evaluated(
    proposals: Sequence[Candidate], evaluate: Evaluate
) -> Iterator[Candidate]:
    missing = dict(enumerate(proposals))
    if not missing:
        return
    encodings = [np.array(one.encoding, np.int32) for one in proposals]
    for result in (Evaluation(*one) for one in evaluate(encodings)):
        if result.position not in missing:
            raise ValueError(
                f"evaluate() gave position {result.position}, which it was "
                "not asked for or gave before."
            )
        yield evaluated(missing.pop(result.position), result)
    if missing:
        raise ValueError(
            f"evaluate() left out {len(missing)} of {len(proposals)} encodings."
        )
