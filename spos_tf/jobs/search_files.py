"""The files of a search, and what of them other searches share."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from spos_tf.analysis.reliability import Confirmed
from spos_tf.analysis.trust import Trust
from spos_tf.atomic_write import write_json
from spos_tf.errors import UserError
from spos_tf.jobs.notes import warn
from spos_tf.jobs.run_folder import RUN_FILE
from spos_tf.jobs.scoring import ScoringTask
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import (
    LimitOptions,
    PinOptions,
    RunOptions,
    SearchOptions,
    SourceOptions,
)
from spos_tf.report.plots import plot_search
from spos_tf.space.candidate import Candidate
from spos_tf.space.record import read_record, write_best
from spos_tf.strict_json import parse_json

RECORD_FILE, FRONT_FILE = "record.jsonl", "front.json"
# Beside the folders of the searches.
MEMO_FILE = "scores.jsonl"
_WITH_FILE = "scored_with.json"
_KINDS = (RunOptions, SourceOptions, SearchOptions, PinOptions, LimitOptions)
# Options in which two searches may differ and still stand in one plot.
_OF_STRATEGY = frozenset(
    (
        *("strategy", "objective", "top_k", "crossover", "mutation"),
        *("mutation_probability", "asynchronous", "lag"),
    )
)


class BestWriter:
    """Writes `best.json` of a search.

    Args:
        path: Of the file.
        blueprint: Of the candidates.
    """

    def __init__(self, path: pathlib.Path, blueprint: Blueprint) -> None:
        self._path = path
        self._blueprint = blueprint
        self._written: tuple[int, Trust] | None = None

    def _before(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """What the file says, if it is of the same network."""
        try:
            data = parse_json(self._path.read_bytes())
            same = data["choices"] == json.loads(json.dumps(dict(choices)))
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return dict(data) if same else {}

    def confirmed(self, best: Candidate) -> Confirmed | None:
        """What the file says of this candidate's confirmation."""
        try:
            stored = self._before(best.choices)["trust"]["confirmed"]
            ends = [stored["low"], stored["high"]]
            winner, random_mean, difference = (
                float(stored[name])
                for name in ("winner", "random_mean", "difference")
            )
        except (ValueError, KeyError, TypeError):
            return None
        if any(isinstance(one, str) for one in ends):
            return None
        low, high = (None if one is None else float(one) for one in ends)
        return Confirmed(winner, random_mean, difference, low, high)

    def __call__(self, best: Candidate, trust: Trust, **further: Any) -> None:
        """Writes a candidate, unless it is there.

        Args:
            best: The candidate.
            trust: How far its score can be trusted.
            **further: Is written too.
        """
        if self._written == (best.i, trust) and not further:
            return
        architecture = self._blueprint.architecture(best.encoding)
        before = self._before(architecture.choices)
        kept = {key: before[key] for key in ("measured",) if key in before}
        write_best(
            self._path,
            architecture,
            best,
            trust=trust.to_dict(),
            trust_in_words=trust.lines,
            **{**kept, **further},
        )
        self._written = best.i, trust


def check_unchanged(folder: pathlib.Path, task: ScoringTask) -> None:
    """A record mixes no scores of other weights, images or metrics.

    Args:
        folder: Of the search.
        task: What its scores depend on.

    Raises:
        UserError: The search began with something else.
    """
    path = folder / _WITH_FILE
    if not path.exists():
        write_json(path, task.scored_with)
        return
    try:
        before = parse_json(path.read_bytes())
    except ValueError:
        before = None
    if before != task.scored_with:
        raise UserError(
            "The supernet, the images or the metric changed since the search "
            f"in {str(folder)!r} began (see {path.name}). Its supernet "
            f"is {task.supernet.words()}. Choose another `name`, or delete "
            "the search's folder."
        )


def draw_search(folder: pathlib.Path, strategy: str) -> None:
    """Writes `search.png`, with other strategies of the same search.

    Args:
        folder: Of the search.
        strategy: Its own.

    Raises:
        UserError: The file cannot be written.
    """
    plot_search(_siblings(folder, strategy), folder / "search.png")


def _siblings(
    folder: pathlib.Path, strategy: str
) -> dict[str, list[Candidate]]:
    """Records of this search and of the other strategies', for the plot."""
    records = {strategy: read_record(folder / RECORD_FILE)}
    own = {**_comparable(folder), "strategy": None}
    for other in sorted(folder.parent.glob(f"*/{RUN_FILE}")):
        options = _comparable(other.parent)
        kind = options.get("strategy")
        if kind is None or kind in records:
            continue
        if {**options, "strategy": None} != own:
            continue
        try:
            records[kind] = read_record(other.parent / RECORD_FILE)
        except UserError as error:
            warn(f"{error} It is left out of the plot.")
    return records


def _comparable(folder: pathlib.Path) -> dict[str, Any]:
    """Options that make a search comparable with another strategy's.

    Returns:
        With `strategy`; nothing if the folder holds no search.
    """
    try:
        data = parse_json((folder / RUN_FILE).read_bytes())
        options: dict[str, Any] = dict(data["options"])
        if data["tool"] != "search":
            return {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    left_out = {
        *(_OF_STRATEGY - {"strategy"}),
        *(
            one.name
            for kind in _KINDS
            for one in kind.described()
            if not one.about.decides_result
        ),
    }
    return {k: v for k, v in options.items() if k not in left_out}
