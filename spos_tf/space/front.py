"""The front of a search: candidates that no other one beats in both ways."""

import pathlib
from collections.abc import Callable, Iterable, Sequence

from spos_tf.atomic_write import write_json
from spos_tf.errors import system_errors
from spos_tf.space import Architecture
from spos_tf.space.candidate import Candidate


def front_of(candidates: Iterable[Candidate], cost: str) -> list[Candidate]:
    """Candidates for which none has as good a score at no more cost.

    Among those equal in both it is the one proposed first.

    Args:
        candidates: With this cost.
        cost: Its name.

    Returns:
        By rising cost, and so from the worst score to the best.
    """
    front: list[Candidate] = []
    for one in sorted(
        candidates, key=lambda one: (one.costs[cost], -one.merit, one.i)
    ):
        if not front or one.merit > front[-1].merit:
            front.append(one)
    return front


def write_front(
    path: str | pathlib.Path,
    front: Sequence[Candidate],
    cost: str,
    architecture_of: Callable[[tuple[int, ...]], Architecture],
) -> None:
    """Writes `front.json`; every entry is also an architecture file's object.

    Args:
        path: Where to; an old file is replaced.
        front: From `front_of`.
        cost: Name of the cost that the front is over.
        architecture_of: The named form of an encoding.

    Raises:
        UserError: The file cannot be written.
    """
    data = {
        "objectives": [*{one.metric for one in front}, cost],
        "candidates": [
            {
                **architecture_of(one.encoding).to_dict(),
                "i": one.i,
                "encoding": list(one.encoding),
                "costs": dict(one.costs),
                **one.scores(),
            }
            for one in front
        ],
    }
    with system_errors("write", path):
        write_json(path, data, sort_keys=True)
