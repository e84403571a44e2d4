"""Figures of a search that its record holds between the lines."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spos_tf.report.scores import metric_of
from spos_tf.space.candidate import Candidate

TOP = 50


class OptionCount(NamedTuple):
    """An option of a choice.

    Attributes:
        option: As people read it.
        share: Of the top candidates, 0 to 1; None where it is not legal or
            unknown to the choice.
        chosen: Whether the search's result has it.
    """

    option: str
    share: float | None
    chosen: bool


class ChoiceRow(NamedTuple):
    """A choice, and how often the best candidates took each option."""

    name: str
    options: Sequence[OptionCount]


def option_text(option: Any) -> str:
    """An option as people read it.

    >>> option_text((1, 2)), option_text(0.5), option_text("3x3")
    ('(1, 2)', '0.5', '3x3')
    """
    if isinstance(option, list | tuple):
        return f"({', '.join(map(option_text, option))})"
    return str(option)


def top_candidates(
    record: Sequence[Candidate], count: int = TOP
) -> list[Candidate]:
    """Those with the best scores; of equals those proposed first."""
    rank = metric_of(record).rank
    return sorted(record, key=lambda one: (-rank(one.score), one.i))[:count]


def best_so_far(record: Sequence[Candidate]) -> list[float]:
    """The best score among the first 1, 2, ... candidates."""
    rank = metric_of(record).rank
    scores = (one.score for one in record)
    return [*itertools.accumulate(scores, lambda *two: max(two, key=rank))]


def option_shares(
    top: Sequence[Candidate],
    chosen: Mapping[str, Any],
    options: Mapping[str, Sequence[Any]],
) -> list[list[ChoiceRow]]:
    """How often the top candidates took each option of each choice.

    Args:
        top: The candidates.
        chosen: The result, `{choice name: option}`; may be empty.
        options: Of every choice, in order; those that it lacks have the
            options that occur in choices whose name ends alike.

    Returns:
        Tables: choices with the same options stand in one table.
    """
    names = list(
        dict.fromkeys([*chosen, *(name for one in top for name in one.choices)])
    )
    seen: dict[str, set[str]] = {}
    for choices in (chosen, *(one.choices for one in top)):
        for name, option in choices.items():
            kind = name.rpartition(".")[2]
            seen.setdefault(kind, set()).add(option_text(option))
    tables: dict[tuple[str, ...], list[ChoiceRow]] = {}
    for name in names:
        taken = [
            option_text(one.choices[name]) for one in top if name in one.choices
        ]
        result = option_text(chosen[name]) if name in chosen else None
        known = [option_text(one) for one in options.get(name, ())]
        found = {*taken} if result is None else {result, *taken}
        known += sorted(
            found - set(known) if known else seen[name.rpartition(".")[2]]
        )
        tables.setdefault(tuple(known), []).append(
            ChoiceRow(
                name,
                [
                    OptionCount(
                        option,
                        taken.count(option) / len(taken) if taken else None,
                        option == result,
                    )
                    for option in known
                ],
            )
        )
    return list(tables.values())
