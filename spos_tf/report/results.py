"""The report's parts on training, correlation, latency and exports."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spos_tf.analysis.correlation import RankCorrelation
from spos_tf.analysis.reliability import Reliability
from spos_tf.report.drawing import SMALL_SIZE, draw_svg
from spos_tf.report.files import Fields
from spos_tf.report.found import encoding_text, measured_rows, plain_settings
from spos_tf.report.plots import draw_latency
from spos_tf.report.scores import Metric, best_score
from spos_tf.report.training_curves import draw_curves
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
# What a comparison says of its scores.
_SCORES = {
    "chance": "accuracy of guessing",
    "mean": "mean of the scores",
    "spread": "spread of the scores",
    "standard_error": "standard error of one score",
}
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
    # Paths are scored by the metric of the training.
    shares = ("accuracy", "paths") if "accuracy" in figures else ()
    metric = Metric(run.metrics.text("metric") or "accuracy")
    tested = run.metrics.number(
        "test_score" if "test_score" in run.metrics.values else "test_accuracy"
    )
    form = run.metrics.number(f"deploy_form_{metric.name}")
    return {
        "name": f"{run.stage}/{run.name}",
        "charts": [
            _curves(run, name, figures[name], name in shares) for name in names
        ],
        "step": run.step,
        "steps": run.options.number("steps"),
        "images_per_second": float(np.median(list(speed.values())))
        if speed
        else None,
        "seconds": run.metrics.number("seconds"),
        "tested": None
        if tested is None
        else f"{metric.name} is {metric.text(tested)}",
        "deploy_form": None if form is None else metric.text(form),
    }


def _curves(
    run: Run,
    name: str,
    series: Mapping[str, Mapping[int, float]],
    is_share: bool,
) -> str:
    factor = 100 if is_share else 1
    label = _CURVES.get(name, name)
    if name == "paths" and not is_share:
        label = "scores of fixed paths"
    curves = {
        split: [(step, factor * value) for step, value in values.items()]
        for split, values in series.items()
    }
    return draw_svg(
        lambda figure: draw_curves(figure, curves, label),
        title=f"{name} of {run.stage}/{run.name} over training steps",
        size=SMALL_SIZE,
    )


def correlation(run: Run) -> dict[str, Any]:
    """Figures of one correlation, as rows of a name and a text."""
    data = run.correlation
    tau, low, high = kendall(data)
    rows: list[tuple[str, str]] = []
    if tau is not None:
        rows.append(("Kendall tau", str(RankCorrelation(tau, low, high, 0))))
    found = data.fields("reliability")
    value, low, high = (found.number(n) for n in ("value", "low", "high"))
    if value is not None:
        count = found.number("candidates")
        said = str(Reliability(value, low, high, int(count or 0)))
        rows.append(("reliability of the scores", said))
    metric = Metric(data.text("metric") or "accuracy")
    for name, title in _SCORES.items():
        value = data.number(name)
        if value is not None:
            rows.append((title, metric.text(value)))
    spearman = data.number("spearman")
    if spearman is not None:
        rows.append(("Spearman", f"{spearman:.3f}"))
    for one in data.rows("top"):
        recall, chance = one.number("recall"), one.number("by_chance")
        if recall is not None:
            by_chance = "" if chance is None else f" (by chance {chance:.0%})"
            name = f"recall of the top {one.values.get('k', '?')}"
            rows.append((name, f"{recall:.0%}{by_chance}"))
    for names, form in (
        (("best_accuracy", "chosen_accuracy", "regret"), ".4g"),
        (("num_architectures", "step", "images"), ","),
    ):
        for name in names:
            value = data.number(name)
            if value is not None:
                rows.append((name.replace("_", " "), f"{value:{form}}"))
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
    """Tau and the ends of its interval."""
    inner = data.fields("kendall")
    return inner.number("tau"), inner.number("low"), inner.number("high")


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
    fields = (
        *("architectures", "fastest_ms", "slowest_ms", "error_percent"),
        *("bias_percent", "tau", "repeatability_percent"),
    )
    rows = [
        {"name": name} | {field: one.number(field) for field in fields}
        for name in ("spread", "uniform")
        if (one := report.fields(name))
    ]
    points: dict[str, list[tuple[float, float]]] = {}
    for one in report.rows("networks"):
        x, y = one.number("predicted_ms"), one.number("measured_ms")
        if x is not None and y is not None:
            points.setdefault(one.text("set") or "networks", []).append((x, y))
    chart = None
    if points:
        chart = draw_svg(
            lambda figure: draw_latency(figure, points),
            title=f"Measured over predicted latency, table {table.path}",
        )
    return {
        "path": table.path,
        "settings": plain_settings(
            report, ("spread", "uniform", "marks", "networks")
        ),
        "rows": rows,
        "chart": chart,
    }


def exported(run: Run) -> dict[str, Any]:
    """The files of one export and how well each agrees."""
    files = run.manifest.fields("files")
    entries = [(name, files.fields(name)) for name in files]
    form = run.manifest.fields("deploy_form")
    if form:
        entries.append(("(deploy form)", form))
    names = (
        *("bytes", "max_abs_difference", "top1_agreement"),
        *("accuracy", "images", "near_ties"),
    )
    rows = [
        {
            "format": name,
            "path": entry.text("path"),
            "sha256": entry.text("sha256"),
            **{field: entry.number(field) for field in names},
        }
        for name, entry in entries
    ]
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
    rows = [(row, *best_score(row)) for row in run.table]
    return {
        "name": run.name,
        "costs": list(costs),
        "rows": [
            {
                "limit": row.text("limit") or row.text("name") or "-",
                "space": row.text("search_space"),
                "costs": [row.numbers("costs").get(name) for name in costs],
                "score": metric.text(score),
                "test_accuracy": row.number("test_accuracy"),
                "encoding": encoding_text(row),
            }
            for row, score, metric in rows
        ],
    }
