"""The report's parts on training, correlation, latency and exports."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spos_tf.report.charts import Series, chart, scalar_chart
from spos_tf.report.files import Fields
from spos_tf.report.found import measured_rows, plain_settings
from spos_tf.report.work_dir import LatencyTable, Run

_CURVES = {
    "loss": "loss",
    "accuracy": "accuracy [%]",
    "paths": "accuracy of fixed paths [%]",
    "learning_rate": "learning rate",
}
_PATH = re.compile(r"path\d+")
# Given in words, or of no interest to a reader of results.
_NO_CURVES = ("images_per_second", "sampler_fallbacks")
_SPLITS = {"train": "training", "validation": "validation"}


def newest_first(runs: Sequence[Run]) -> list[Run]:
    """By their newest file; equals by name."""
    return sorted(runs, key=lambda run: (-run.newest, run.name))


def training_curves(run: Run) -> dict[str, Any]:
    """Charts of one training, a figure each; none without events."""
    figures: dict[str, dict[str, Mapping[int, float]]] = {}
    for tag, series in run.scalars.items():
        split, _, name = tag.rpartition("/")
        label = _SPLITS.get(split, split or "value")
        if _PATH.fullmatch(name):
            # Validation of a supernet: each of a few fixed paths.
            name, label = "paths", name.replace("path", "path ")
        figures.setdefault(name, {})[label] = series
    speed = figures.get("images_per_second", {}).get("training", {})
    names = [name for name in _CURVES if name in figures]
    names += [name for name in figures if name not in (*_CURVES, *_NO_CURVES)]
    charts = [
        scalar_chart(
            figures[name],
            title=f"{name} of {run.stage}/{run.name} over steps",
            y_label=_CURVES.get(name, name),
            percent=name in ("accuracy", "paths"),
        )
        for name in names
    ]
    return {
        "name": f"{run.stage}/{run.name}",
        "charts": [one for one in charts if one is not None],
        "step": run.step,
        "steps": run.flag("steps"),
        "images_per_second": float(np.median(list(speed.values())))
        if speed
        else None,
        "seconds": run.metrics.number("seconds"),
        "test_accuracy": run.metrics.number("test_accuracy"),
        "deploy_form": run.metrics.number("deploy_form_accuracy"),
    }


def correlation(run: Run) -> dict[str, Any]:
    """Figures of one correlation, as rows of a name and a text."""
    data = run.correlation
    tau, low, high = kendall(data)
    rows: list[tuple[str, str]] = []
    if tau is not None:
        between = (
            f" ({low:.3f} to {high:.3f})"
            if low is not None and high is not None
            else ""
        )
        rows.append(("Kendall tau", f"{tau:.3f}{between}"))
    spearman = data.number("spearman")
    if spearman is not None:
        rows.append(("Spearman", f"{spearman:.3f}"))
    for one in data.rows("top"):
        recall, chance = one.number("recall"), one.number("by_chance")
        if recall is not None:
            by_chance = "" if chance is None else f" (by chance {chance:.0%})"
            name = f"recall of the top {one.values.get('k', '?')}"
            rows.append((name, f"{recall:.0%}{by_chance}"))
    for name in ("best_accuracy", "chosen_accuracy", "regret"):
        value = data.number(name)
        if value is not None:
            rows.append((name.replace("_", " "), f"{value:.4g}"))
    for name in ("num_architectures", "step", "images"):
        value = data.number(name)
        if value is not None:
            rows.append((name.replace("_", " "), f"{value:,}"))
    for name in ("accuracy_column", "statistics", "supernet", "search_space"):
        text = data.text(name)
        if text is not None:
            rows.append((name.replace("_", " "), text))
    baselines = data.fields("baselines")
    for name in baselines:
        alone = baselines.fields(name).number("tau")
        if alone is not None:
            rows.append((f"Kendall tau of {name} alone", f"{alone:.3f}"))
    return {"name": run.name, "rows": rows, "pictures": run.pictures}


def kendall(data: Fields) -> tuple[float | None, float | None, float | None]:
    """Tau and its interval, flat or in an object of their own."""
    for name in ("kendall", "kendall_tau"):
        if isinstance(data.values.get(name), dict):
            inner = data.fields(name)
            tau = inner.number("tau")
            if tau is None:
                tau = inner.number("kendall_tau")
            return tau, inner.number("low"), inner.number("high")
    return data.number("kendall_tau"), data.number("low"), data.number("high")


def measured(run: Run) -> dict[str, Any] | None:
    """Latencies that a search measured end to end."""
    rows = measured_rows(run)
    if not rows:
        return None
    settings = run.best.fields("measured")
    return {
        "name": run.name,
        "settings": plain_settings(settings, ("candidates",)),
        "rows": rows,
    }


def latency_table(table: LatencyTable) -> dict[str, Any]:
    """What the report beside a latency table says of its predictions."""
    report = table.report
    rows = []
    for name in ("spread", "uniform"):
        one = report.fields(name)
        if one:
            rows.append(
                {
                    "name": name,
                    **{
                        field: one.number(field)
                        for field in (
                            "architectures",
                            "fastest_ms",
                            "slowest_ms",
                            "error_percent",
                            "bias_percent",
                            "tau",
                            "repeatability_percent",
                        )
                    },
                }
            )
    series = []
    points: dict[str, list[tuple[float, float]]] = {}
    for one in report.rows("networks"):
        x, y = one.number("predicted_ms"), one.number("measured_ms")
        if x is not None and y is not None:
            points.setdefault(one.text("set") or "networks", []).append((x, y))
    for number, (name, some) in enumerate(points.items()):
        series.append(Series(f"{name}, {len(some)}", some, "dots", number))
    every = [x for some in points.values() for x, _ in some]
    if every:
        ends = [(min(every), min(every)), (max(every), max(every))]
        series.insert(0, Series("equal", ends, "line", -1))
    return {
        "path": table.path,
        "settings": plain_settings(
            report, ("spread", "uniform", "marks", "networks")
        ),
        "rows": rows,
        "chart": chart(
            series,
            title="Measured over predicted latency",
            x_label="predicted [ms]",
            y_label="measured [ms]",
        ),
    }


def exported(run: Run) -> dict[str, Any]:
    """The files of one export and how well each agrees."""
    files = run.manifest.fields("files")
    names = ("bytes", "max_abs_difference", "top1_agreement", "accuracy")
    rows = []
    for name in files:
        entry = files.fields(name)
        rows.append(
            {
                "format": name,
                "path": entry.text("path"),
                "sha256": entry.text("sha256"),
                "images": entry.number("images"),
                "near_ties": entry.number("near_ties"),
                **{field: entry.number(field) for field in names},
            }
        )
    form = run.manifest.fields("deploy_form")
    if form:
        rows.append(
            {
                "format": "(deploy form)",
                "path": None,
                "sha256": None,
                "images": form.number("images"),
                "near_ties": form.number("near_ties"),
                **{field: form.number(field) for field in names},
            }
        )
    versions = run.manifest.fields("versions").values
    return {
        "name": run.name,
        "rows": rows,
        "versions": ", ".join(
            f"{name} {version}" for name, version in versions.items() if version
        ),
    }


def limits_table(run: Run) -> dict[str, Any]:
    """The rows of a table over limits."""
    costs = dict.fromkeys(
        name for row in run.table for name in row.numbers("costs")
    )
    return {
        "name": run.name,
        "costs": list(costs),
        "rows": [
            {
                "limit": row.text("limit") or row.text("name") or "-",
                "space": row.text("search_space"),
                "costs": [row.numbers("costs").get(name) for name in costs],
                "accuracy": row.number("accuracy"),
                "test_accuracy": row.number("test_accuracy"),
                "encoding": ",".join(map(str, row.values_of("encoding")))
                or "-",
            }
            for row in run.table
        ],
    }
