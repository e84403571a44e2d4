"""The picture of a search whose truth is known."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.report.drawing import GREY, STYLES, add_legend, label, write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class AtLimit(NamedTuple):
    """What a way to choose reaches under a limit.

    Attributes:
        limit: Largest cost.
        mean: Mean true accuracy over repetitions.
        spread: Their standard deviation; 0 where there is one.
    """

    limit: float
    mean: float
    spread: float


def plot_truth(
    costs: npt.ArrayLike,
    truth: npt.ArrayLike,
    ways: Mapping[str, Sequence[AtLimit]],
    path: str | pathlib.Path,
    *,
    cost_label: str,
    lowest: float | None = None,
) -> None:
    """Draws true accuracy over cost: all networks, and what was chosen.

    All networks are grey dots. At every limit each way to choose has its mean
    and spread; ways stand beside each other around the limit, so that none
    hides another.

    Args:
        costs: `[networks]`.
        truth: `[networks]`, percent.
        ways: By name, at most as many as there are styles.
        path: A PNG file; it appears whole or not at all.
        cost_label: Of the axis.
        lowest: Accuracy at which the axis begins; networks below are counted
            in the legend.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    x, y = np.asarray(costs, np.float64), np.asarray(truth, np.float64)
    if not len(x):
        raise UserError("A picture of networks needs at least one.")
    if len(ways) > len(STYLES):
        raise UserError(
            f"The picture tells {len(STYLES)} ways to choose apart; got "
            f"{len(ways)}. Draw fewer."
        )
    below = 0 if lowest is None else int((y < lowest).sum())

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        name = f"all networks ({len(x):,})"
        if below:
            name = f"all networks ({len(x):,}; {below:,} are below)"
        axes.scatter(x, y, s=3, c=GREY, alpha=0.4, linewidths=0, label=name)
        step = 0.012 * np.ptp(x)
        for number, (way, points) in enumerate(ways.items()):
            color, marker, _ = STYLES[number]
            axes.errorbar(
                [
                    one.limit + step * (number - (len(ways) - 1) / 2)
                    for one in points
                ],
                [one.mean for one in points],
                yerr=[one.spread for one in points],
                color=color,
                marker=marker,
                linestyle="none",
                capsize=3,
                label=label(way),
            )
        for limit in sorted({p.limit for one in ways.values() for p in one}):
            axes.axvline(limit, color="0.6", linewidth=0.8, zorder=0)
        if lowest is not None:
            # Room for what is shown, not for what lies below.
            shown = y >= lowest
            margin = 0.04 * (y.max() - lowest)
            axes.set_ylim(lowest, y.max() + margin)
            if shown.any():
                axes.set_xlim(x[shown].min() - 2 * step, x.max() + 2 * step)
        axes.set_xlabel(cost_label)
        axes.set_ylabel("true accuracy, %")
        add_legend(figure)

    write_png(draw, path)
