"""Pictures of how a supernet ranks architectures."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spos_tf.analysis.correlation import RankCorrelation
from spos_tf.errors import UserError
from spos_tf.report.drawing import (
    MANY,
    PNG_SIZE,
    STYLES,
    add_legend,
    label,
    write_png,
)
from spos_tf.report.scores import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_ACCURACY = Metric()


@dataclasses.dataclass(frozen=True)
class TrainedTau:
    """A rank correlation after so much training.

    Attributes:
        amount: Steps, or images seen.
        kendall: The correlation.
    """

    amount: float
    kendall: RankCorrelation


def plot_scatter(
    scores: npt.ArrayLike,
    accuracies: npt.ArrayLike,
    path: str | pathlib.Path,
    *,
    title: str,
    accuracy_label: str,
    metric: Metric = _ACCURACY,
) -> None:
    """Draws the benchmark's accuracy over the supernet's, a dot each.

    Beside it the same by rank, which is what tau compares: few architectures
    that do not learn take much of the axes of accuracy. The dot that the
    supernet would choose is marked.

    Args:
        scores: The metric's values, `[architectures]`.
        accuracies: `[architectures]`, in the benchmark's unit.
        path: A PNG file; it appears whole or not at all.
        title: What was found.
        accuracy_label: Of the benchmark's axis.
        metric: What the scores are.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    ours = np.asarray(scores, np.float64)
    theirs = np.asarray(accuracies, np.float64)
    if not len(ours):
        raise UserError("A scatter plot needs at least one architecture.")

    def draw(figure: "Figure") -> None:
        from scipy.stats import rankdata

        left, right = figure.subplots(1, 2)
        ranks = np.array([metric.rank(one) for one in ours])
        best = ranks == ranks.max()
        drawn = np.array([metric.on_axis(one) for one in ours])
        _dots(left, drawn, theirs, best)
        left.set_xlabel(metric.axis)
        left.set_ylabel(accuracy_label)
        _dots(right, rankdata(ranks), rankdata(theirs), best)
        right.set_xlabel(f"rank by supernet {metric.name}")
        right.set_ylabel(f"rank by {accuracy_label}")
        figure.suptitle(title, fontsize="medium")
        add_legend(figure)

    write_png(draw, path, size=(11, 5.5))


def _dots(
    axes: "Axes",
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    best: npt.NDArray[np.bool_],
) -> None:
    axes.scatter(
        x,
        y,
        s=14 if len(x) <= MANY else 3,
        c=STYLES[1][0],
        alpha=0.45,
        linewidths=0,
        label=f"architectures ({len(x)})",
    )
    axes.scatter(
        x[best],
        y[best],
        s=60,
        marker=STYLES[1][1],
        facecolors="none",
        edgecolors=STYLES[0][0],
        linewidths=1.8,
        label="highest score",
    )


def plot_over_training(
    series: Mapping[str, Sequence[TrainedTau]],
    path: str | pathlib.Path,
    *,
    amount_label: str,
) -> None:
    """Draws tau over training, with its 95 % interval as a band.

    Points where tau is not defined are left out.

    Args:
        series: Points by the name of the run, in any order.
        path: A PNG file; it appears whole or not at all.
        amount_label: What the points' amount is.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    drawn = {
        name: sorted(
            (one for one in points if one.kendall.tau is not None),
            key=lambda one: one.amount,
        )
        for name, points in series.items()
    }
    drawn = {name: points for name, points in drawn.items() if points}
    if not drawn:
        raise UserError(
            "A plot over training needs at least one point where tau is "
            "defined; there is none."
        )

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(drawn.items()):
            color, marker, line = STYLES[number % len(STYLES)]
            amounts = [one.amount for one in points]
            ends = [_ends(one.kendall) for one in points]
            low, high = zip(*ends, strict=True)
            axes.fill_between(amounts, low, high, color=color, alpha=0.15, lw=0)
            axes.plot(
                amounts,
                [one.kendall.tau or 0.0 for one in points],
                color=color,
                marker=marker,
                linestyle=line,
                label=f"{label(name)}, last {points[-1].kendall}",
            )
        axes.axhline(0, color="0.6", linewidth=1)
        axes.set_xlabel(amount_label)
        axes.set_ylabel("Kendall tau")
        add_legend(figure)

    write_png(draw, path)


def plot_beside(
    runs: Mapping[str, RankCorrelation], path: str | pathlib.Path
) -> None:
    """Draws the tau of several runs beside each other, with intervals.

    Args:
        runs: By name, in the order of drawing, from the top.
        path: A PNG file; it appears whole or not at all.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    if not runs:
        raise UserError("A comparison needs at least one run.")

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        color, marker, _ = STYLES[1]
        for place, kendall in enumerate(runs.values()):
            if kendall.tau is None:
                axes.annotate("not defined", (0, place), va="center")
                continue
            axes.plot(_ends(kendall), [place, place], color=color, linewidth=2)
            axes.plot([kendall.tau], [place], color=color, marker=marker)
            axes.annotate(
                f"{kendall.tau:.3f}",
                (kendall.tau, place),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize="small",
            )
        axes.axvline(0, color="0.6", linewidth=1)
        axes.set_yticks(range(len(runs)), list(runs))
        axes.set_ylim(len(runs) - 0.4, -0.6)
        axes.set_xlabel("Kendall tau, 95 % interval over architectures")

    write_png(draw, path, size=(PNG_SIZE[0], 1.4 + 0.45 * len(runs)))


def _ends(kendall: RankCorrelation) -> tuple[float, float]:
    """The interval; where there is none, the point alone."""
    middle = 0.0 if kendall.tau is None else kendall.tau
    return (
        middle if kendall.low is None else kendall.low,
        middle if kendall.high is None else kendall.high,
    )
