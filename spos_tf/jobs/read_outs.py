"""Read-outs of a comparison beside each other: `read_outs.json` and `.md`.

The scores of this comparison come first, and everything else is compared with
them on the same architectures: other comparisons of the same sample (averaged
weights, the loss, more images), what can be made of these scores afterwards,
and counts that need no supernet.
"""

import pathlib
from typing import Any

import numpy as np

from spos_tf.analysis.correlation import RankCorrelation
from spos_tf.analysis.read_outs import (
    ReadOut,
    compare_read_outs,
    own_fit,
    rank_sum,
)
from spos_tf.analysis.stored_scores import StoredScores, read_scores
from spos_tf.atomic_write import write_json, write_text
from spos_tf.errors import UserError
from spos_tf.jobs.notes import warn

SCORES_FILE = "scores.npz"
_JSON, _MARKDOWN = "read_outs.json", "read_outs.md"
# What a read-out is; `beside` are not the paper's.
METHOD, BESIDE, COUNT = "method", "beside the method", "count"


def write_read_outs(
    folder: pathlib.Path,
    own: StoredScores,
    by_step: dict[int, np.ndarray],
    costs: dict[str, np.ndarray],
    *,
    resamples: int,
    seed: int,
) -> None:
    """Compares all read-outs and writes what was found.

    Args:
        folder: The comparison's; others are beside it.
        own: Its scores, with truth.
        by_step: Scores by training steps, better ones higher.
        costs: Costs and counts by name, `[architectures]`.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    scores = own.merits
    scored = {folder.name: own, **_siblings(folder, own)}
    kinds = dict.fromkeys(scored, METHOD)
    values = {name: one.merits for name, one in scored.items()}
    # What is made of scores has no halves, and a count has no noise.
    reliability = {
        name: one.settings.get("reliability") for name, one in scored.items()
    }
    made = {
        "additive fit to the scores": own_fit(own.encodings, scores),
        "rank sum with log MACs": rank_sum([scores, costs["macs"]]),
    }
    if len(by_step) > 1:
        mean = rank_sum([*by_step.values()])
        made = {f"mean rank of {len(by_step)} checkpoints": mean, **made}
    for name, made_of in made.items():
        kinds[name], values[name] = BESIDE, made_of
    for name, counted in costs.items():
        kinds[name], values[name] = COUNT, np.asarray(counted, np.float64)
    assert own.truth is not None
    found = compare_read_outs(
        values, own.truth, costs["macs"], resamples=resamples, seed=seed
    )
    entries = [
        {
            "name": name,
            "kind": kinds[name],
            **one.to_dict(),
            "reliability": reliability.get(name),
        }
        for name, one in found.items()
    ]
    write_json(
        folder / _JSON,
        {
            "table": own.settings["table"],
            "accuracy_column": own.settings["accuracy_column"],
            "num_architectures": len(scores),
            "read_outs": entries,
        },
    )
    write_text(folder / _MARKDOWN, _markdown(kinds, found, reliability))


def _siblings(
    folder: pathlib.Path, own: StoredScores
) -> dict[str, StoredScores]:
    """Other comparisons on the same architectures and accuracies."""
    found = {}
    for path in sorted(folder.parent.glob(f"*/{SCORES_FILE}")):
        if path.parent == folder:
            continue
        try:
            other = read_scores(path)
        except UserError as error:
            warn(f"{error} It is left out.")
            continue
        same = all(
            other.settings.get(key) == own.settings[key]
            for key in ("table", "accuracy_column")
        )
        if same and np.array_equal(other.encodings, own.encodings):
            found[path.parent.name] = other
    return found


def _markdown(
    kinds: dict[str, str],
    found: dict[str, ReadOut],
    reliability: dict[str, Any],
) -> str:
    """A table for people."""
    first = next(iter(found))
    rows = [
        [
            *("read-out", "kind", "tau", f"against {first}"),
            *("at equal MACs", "better half", "best tenth", "regret"),
            "reliability",
        ],
        ["---"] * 9,
    ]
    for name, one in found.items():
        difference = "-"
        if name != first and one.difference is not None:
            ends = (one.difference.low, one.difference.high)
            difference = "{:+.3f} ({:+.3f} to {:+.3f})".format(
                one.difference.value, *ends
            )
        rows.append(
            [
                name.replace("|", "\\|"),
                kinds[name],
                str(_shown(one.kendall)),
                difference,
                _tau(one.within_levels),
                _tau(one.better_half),
                f"{one.best_tenth:.0%}",
                f"{one.regret:.3g}",
                _value(reliability.get(name)),
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _shown(kendall: RankCorrelation) -> Any:
    return "-" if kendall.tau is None else kendall


def _value(reliability: Any) -> str:
    value = None if reliability is None else reliability.get("value")
    return "-" if value is None else f"{value:.2f}"


def _tau(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
