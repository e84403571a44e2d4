"""The report's part on searches: curves, fronts, chosen options."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spos_tf.report.charts import Mark, Series, chart
from spos_tf.report.files import is_number
from spos_tf.report.found import Network
from spos_tf.report.statistics import (
    best_so_far,
    option_shares,
    option_text,
    top_candidates,
)
from spos_tf.report.work_dir import Candidate, Run

FrontOf = Callable[[Sequence[Any], str], Sequence[Candidate]]

TITLES = {
    "macs": "multiply-adds",
    "params": "weights",
    "bit_ops": "BitOps [Gi]",
    "latency_ms": "predicted latency [ms]",
}
# More searches than this in one chart show their lines alone.
_MOST_CLOUDS = 3


def by_accuracy(runs: Sequence[Run]) -> list[Run]:
    """Searches, the one that found the most accurate candidate first."""

    def accuracy(run: Run) -> float:
        accuracies = [one.accuracy for one in run.record]
        return max(accuracies, default=run.best.number("accuracy") or 0.0)

    return sorted(runs, key=lambda run: (-accuracy(run), run.name))


def search_curves(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Accuracy over evaluations: a chart for each supernet and space."""
    groups: dict[object, list[Run]] = {}
    for run in runs:
        if run.record:
            key = run.flag("supernet_name"), tuple(run.record[0].choices)
            groups.setdefault(key, []).append(run)
    charts = []
    for group in groups.values():
        series = []
        for number, run in enumerate(group):
            best = best_so_far(run.record)
            if len(group) <= _MOST_CLOUDS:
                series.append(
                    Series(
                        None,
                        [
                            (n, 100 * one.accuracy)
                            for n, one in enumerate(run.record, start=1)
                        ],
                        "dots",
                        number,
                        [f"{run.name}: {_told(one)}" for one in run.record],
                    )
                )
            points = [(n, 100 * y) for n, y in enumerate(best, start=1)]
            label = f"{run.name}: best so far, {100 * best[-1]:.2f} %"
            series.append(Series(label, points, "steps", number))
        drawn = chart(
            sorted(series, key=lambda one: one.kind),
            title="Supernet accuracy over evaluations, "
            + ", ".join(run.name for run in group),
            x_label="evaluations",
            y_label="supernet accuracy [%]",
        )
        charts.append({"runs": group, "chart": drawn})
    return charts


def search_front(run: Run, front_of: FrontOf) -> dict[str, Any] | None:
    """Accuracy over cost of one search; None without candidates or costs."""
    objective = run.flag("objective") or "macs"
    if run.flag("strategy") != "nsga2":
        objective = "macs"
    known = dict.fromkeys(name for one in run.record for name in one.costs)
    name = objective.rpartition(":")[2]
    cost = next((one for one in (objective, name, *known) if one in known), "")
    priced = [one for one in run.record if cost in one.costs]
    if not priced:
        return None
    front = front_of(priced, cost)
    winner = top_candidates(priced, 1)

    def points(candidates: Sequence[Candidate]) -> list[tuple[float, float]]:
        return [(one.costs[cost], 100 * one.accuracy) for one in candidates]

    series = [
        Series(
            f"{len(priced)} candidates",
            points(priced),
            "dots",
            -1,
            list(map(_told, priced)),
        ),
        Series(
            f"front, {len(front)}",
            points(front),
            "front",
            1,
            list(map(_told, front)),
        ),
        Series(
            f"best, {100 * winner[0].accuracy:.2f} %",
            points(winner),
            "winner",
            3,
            list(map(_told, winner)),
        ),
    ]
    title = TITLES.get(cost, cost)
    return {
        "name": run.name,
        "cost": title,
        "chart": chart(
            series,
            title=f"Supernet accuracy over {title}, search {run.name}",
            x_label=title,
            y_label="supernet accuracy [%]",
            marks=_limits(run, cost),
        ),
    }


def _limits(run: Run, cost: str) -> list[Mark]:
    marks = []
    for side in ("max", "min"):
        text = run.flag(f"{side}_{cost}")
        try:
            value = float(text or "")
        except ValueError:
            continue
        if is_number(value):
            marks.append(Mark(value, f"{side}_{cost}"))
    return marks


def _told(one: Candidate) -> str:
    costs = ", ".join(
        f"{name} {value:,.6g}"
        if isinstance(value, float)
        else f"{name} {value:,}"
        for name, value in one.costs.items()
    )
    options = " ".join(map(option_text, one.choices.values()))
    return f"{100 * one.accuracy:.2f} %, {costs}; number {one.i}: {options}"


def search_choices(
    run: Run, networks: Sequence[Network]
) -> dict[str, Any] | None:
    """The chosen options beside those of the top candidates."""
    if not run.record:
        return None
    top = top_candidates(run.record)
    chosen: Mapping[str, Any] = run.best.fields("choices").values
    found = [n for n in networks if f"{run.stage}/{run.name}" in n.runs]
    options = {}
    for network in found:
        chosen = network.architecture["choices"]
        if network.described is not None:
            options = _all_options(network.described)
    return {
        "name": run.name,
        "count": len(top),
        "tables": option_shares(top, chosen, options),
    }


def _all_options(described: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    names = described["architecture"]["choices"]
    options = {}
    for slot in described["slots"]:
        for short, choice in slot["choices"].items():
            own = (f"{slot['name']}.{short}", slot["name"], short)
            for name in own:
                if name in names:
                    options[name] = choice["options"]
                    break
    return options
