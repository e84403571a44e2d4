"""Pictures of a search and of a latency table."""

import bisect
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spos_tf.errors import UserError
from spos_tf.report.drawing import (
    GREY,
    MANY,
    STYLES,
    add_legend,
    drawable,
    label,
    write_png,
)
from spos_tf.report.scores import Metric, metric_of
from spos_tf.report.statistics import best_so_far
from spos_tf.space.candidate import Candidate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 10
# More searches than this in one chart show only their best so far.
_MOST_CLOUDS = 3
COSTS = {
    "macs": "multiply-adds",
    "params": "weights",
    "bit_ops": "BitOps [Gi]",
    "latency_ms": "predicted latency [ms]",
}


def plot_search(
    records: Mapping[str, Sequence[Candidate]], path: str | pathlib.Path
) -> None:
    """Draws scores over evaluations and generations (the paper's Figure 2).

    Args:
        records: Candidates by the name of the search, in any order.
        path: A PNG file; it appears whole or not at all.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    if not any(records.values()):
        raise UserError(
            "A plot of a search needs at least one evaluated candidate; the "
            f"records of {', '.join(records) or 'no search'} have none."
        )
    write_png(lambda figure: draw_search(figure, records), path)


def draw_search(
    figure: "Figure", records: Mapping[str, Sequence[Candidate]]
) -> None:
    """Draws scores over evaluations.

    Dots are candidates, the thick line is the best so far. The thin line is
    the mean of the ten best so far, from which the next generation descends.

    Args:
        figure: An empty one.
        records: Candidates by the name of the search; at least one.
    """
    drawn = {
        name: sorted(record, key=lambda one: one.i)
        for name, record in records.items()
        if record
    }
    axes = figure.add_subplot()
    for number, (name, record) in enumerate(drawn.items()):
        style = STYLES[number % len(STYLES)]
        _draw_record(axes, label(name, 24), record, style, len(drawn))
    axes.set_xlabel("evaluations")
    axes.set_ylabel(metric_of(next(iter(drawn.values()))).axis)
    add_legend(figure)
    _mark_generations(axes, max(drawn.values(), key=len))


def _draw_record(
    axes: "Axes",
    name: str,
    record: Sequence[Candidate],
    style: tuple[str, str, str],
    searches: int,
) -> None:
    color, marker, line = style
    metric = metric_of(record)
    evaluations = range(1, len(record) + 1)
    best = best_so_far(record)
    axes.step(
        evaluations,
        [metric.on_axis(one) for one in best],
        where="post",
        color=color,
        linestyle=line,
        linewidth=2.2,
        label=f"{name}: best so far, {metric.text(best[-1])}",
    )
    if searches > _MOST_CLOUDS:
        return
    axes.scatter(
        evaluations,
        [metric.on_axis(one.score) for one in record],
        s=12,
        c=color,
        marker=marker,
        alpha=0.35,
        linewidths=0,
        rasterized=len(record) > MANY,
        label=f"{name}: candidates",
    )
    # Before the first ten it would be a mean of whatever came first.
    axes.plot(
        evaluations[TOP - 1 :],
        _means(record, metric)[TOP - 1 :],
        color=color,
        linestyle=line,
        linewidth=1,
        label=f"{name}: mean of the {TOP} best",
    )


def _means(record: Sequence[Candidate], metric: Metric) -> list[float]:
    best: list[tuple[float, float]] = []
    means = []
    for one in record:
        score = one.score
        bisect.insort(best, (metric.rank(score), metric.on_axis(score)))
        del best[:-TOP]
        means.append(sum(value for _, value in best) / len(best))
    return means


def _mark_generations(axes: "Axes", record: Sequence[Candidate]) -> None:
    # A second axis on top counts generations where they are of one size.
    first = record[0].generation
    size = sum(one.generation == first for one in record)
    if len(record) < 2 * size or any(
        one.generation != position // size
        for position, one in enumerate(record)
    ):
        return
    generations = record[-1].generation + 1
    top = axes.secondary_xaxis("top")
    ticks = range(0, generations + 1, max(1, -(-generations // 10)))
    top.set_xticks([tick * size for tick in ticks], [str(t) for t in ticks])
    top.set_xlabel("generations")


def plot_front(
    candidates: Sequence[Candidate],
    front: Sequence[Candidate],
    cost: str,
    path: str | pathlib.Path,
) -> None:
    """Draws scores over a cost, and the front as a staircase.

    Args:
        candidates: Everything evaluated.
        front: From `space.front.front_of`.
        cost: Name of the cost.
        path: A PNG file; it appears whole or not at all.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    if not front:
        raise UserError("A plot of a front needs at least one candidate.")
    write_png(lambda figure: draw_front(figure, candidates, front, cost), path)


def draw_front(
    figure: "Figure",
    candidates: Sequence[Candidate],
    front: Sequence[Candidate],
    cost: str,
    limits: Mapping[str, float] | None = None,
) -> None:
    """Draws scores over a cost, the front, the best candidate and limits.

    Args:
        figure: An empty one.
        candidates: Everything evaluated that has the cost.
        front: Those of them that none beats in both, by rising cost.
        cost: Name of the cost.
        limits: Limits on the cost by name, each a dotted line.
    """
    from matplotlib.ticker import EngFormatter

    metric = metric_of(front)
    axes = figure.add_subplot()
    costs = [drawable(one.costs[cost]) for one in candidates]
    axes.scatter(
        costs,
        [metric.on_axis(one.score) for one in candidates],
        s=12,
        c=GREY,
        alpha=0.6,
        linewidths=0,
        rasterized=len(candidates) > MANY,
        label=f"{len(candidates):,} candidates",
    )
    color, marker, _ = STYLES[1]
    axes.step(
        [drawable(one.costs[cost]) for one in front],
        [metric.on_axis(one.score) for one in front],
        where="post",
        color=color,
        marker=marker,
        markersize=5,
        label=f"front, {len(front):,}",
    )
    axes.scatter(
        [drawable(front[-1].costs[cost])],
        [metric.on_axis(front[-1].score)],
        s=130,
        facecolors="none",
        edgecolors=STYLES[0][0],
        linewidths=2.2,
        label=f"best, {metric.text(front[-1].score)}",
    )
    for name, value in (limits or {}).items():
        axes.axvline(
            drawable(value),
            color=GREY,
            linestyle=":",
            linewidth=1.8,
            label=label(name),
        )
    axes.set_xlabel(label(COSTS.get(cost, cost)))
    axes.set_ylabel(metric.axis)
    if max(map(abs, costs)) >= 1e4:
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    add_legend(figure)


def draw_latency(
    figure: "Figure", points: Mapping[str, Sequence[tuple[float, float]]]
) -> None:
    """Draws measured over predicted latency, and the line of equals.

    Args:
        figure: An empty one.
        points: (predicted, measured) in milliseconds by the name of the set;
            at least one point.
    """
    axes = figure.add_subplot()
    for number, (name, some) in enumerate(points.items()):
        color, marker, _ = STYLES[number % len(STYLES)]
        axes.scatter(
            [drawable(x) for x, _ in some],
            [drawable(y) for _, y in some],
            s=22,
            c=color,
            marker=marker,
            alpha=0.7,
            linewidths=0,
            label=f"{label(name)}, {len(some):,}",
        )
    every = [drawable(x) for some in points.values() for x, _ in some]
    ends = [min(every), max(every)]
    axes.plot(ends, ends, color=GREY, linewidth=1.2, label="equal")
    axes.set_xlabel("predicted [ms]")
    axes.set_ylabel("measured [ms]")
    add_legend(figure)
