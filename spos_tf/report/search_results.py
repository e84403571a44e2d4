"""The report's part on searches: curves, fronts, chosen options."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from spos_tf.report.drawing import draw_svg
from spos_tf.report.found import Network
from spos_tf.report.plots import COSTS, draw_front, draw_search
from spos_tf.report.scores import best_score, metric_of
from spos_tf.report.statistics import option_shares, option_text, top_candidates
from spos_tf.report.work_dir import Run
from spos_tf.space.front import front_of


def by_score(runs: Sequence[Run]) -> list[Run]:
    """Searches, the one that found the best candidate first."""

    def rank(run: Run) -> float:
        score, metric = best_score(run.best)
        for one in top_candidates(run.record, 1):
            score, metric = one.score, metric_of(run.record)
        return -math.inf if score is None else metric.rank(score)

    return sorted(runs, key=lambda run: (-rank(run), run.name))


def search_curves(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Scores over evaluations: a chart for what can be compared.

    Searches stand in one chart if they share the supernet, the choices and
    the metric.
    """
    groups: dict[object, dict[str, Run]] = {}
    for run in runs:
        if run.record:
            key = (
                run.options.text("supernet_name"),
                tuple(run.record[0].choices),
                metric_of(run.record),
            )
            groups.setdefault(key, {})[run.name] = run
    return [_curves(group) for group in groups.values()]


def _curves(group: Mapping[str, Run]) -> dict[str, Any]:
    records = {name: run.record for name, run in group.items()}
    svg = draw_svg(
        lambda figure: draw_search(figure, records),
        title=f"Scores over evaluations, {', '.join(group)}",
    )
    return {"caption": " and ".join(group), "chart": svg, "rows": []}


def search_front(run: Run) -> dict[str, Any] | None:
    """Scores over cost of one search; None without candidates or costs."""
    objective = "macs"
    if run.options.text("strategy") == "nsga2":
        objective = run.options.text("objective") or objective
    known = dict.fromkeys(name for one in run.record for name in one.costs)
    name = objective.rpartition(":")[2]
    cost = next((one for one in (objective, name, *known) if one in known), "")
    priced = [one for one in run.record if cost in one.costs]
    if not priced:
        return None
    front = front_of(priced, cost)
    metric = metric_of(priced)
    title = COSTS.get(cost, cost)
    limits = {
        name: value
        for name in (f"max_{cost}", f"min_{cost}")
        if (value := run.options.number(name)) is not None
    }
    return {
        "caption": f"{run.name}: {metric.name} over {title}",
        "titles": (metric.name, title),
        "chart": draw_svg(
            lambda figure: draw_front(figure, priced, front, cost, limits),
            title=f"Scores over {title}, search {run.name}",
        ),
        "rows": [
            {
                "score": metric.text(one.score),
                "cost": one.costs[cost],
                "number": one.i,
                "choices": " ".join(map(option_text, one.choices.values())),
            }
            for one in reversed(front)
        ],
    }


def search_trust(run: Run) -> dict[str, Any] | None:
    """What a search says of its own scores; None where it says nothing."""
    lines = run.best.texts("trust_in_words")
    return {"name": run.name, "lines": lines} if lines else None


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
