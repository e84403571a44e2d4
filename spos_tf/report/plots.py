"""Pictures of a search."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError

# Told apart by every kind of eye, and in grey by marker and line style
# (Okabe and Ito's palette).
STYLES = (
    ("#D55E00", "o", "-"),
    ("#0072B2", "^", "--"),
    ("#009E73", "s", "-."),
    ("#CC79A7", "D", ":"),
)
TOP = 10


class Point(Protocol):
    """What a plot needs of a candidate; see `search.candidate.Candidate`."""

    @property
    def i(self) -> int:
        """Order of proposal, from 0."""

    @property
    def generation(self) -> int:
        """Generation, from 0."""

    @property
    def accuracy(self) -> float:
        """Share of the scored images that were right."""


def plot_search(
    records: Mapping[str, Sequence[Point]], path: str | pathlib.Path
) -> None:
    """Draws accuracy over evaluations and generations (the paper's Figure 2).

    Dots are candidates, the thick line the best so far, the thin one the mean
    of the ten best so far: what the next generation descends from.

    Args:
        records: Candidates by the name of the search, in any order.
        path: A PNG file; it appears whole or not at all.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    drawn = {
        name: sorted(record, key=lambda one: one.i)
        for name, record in records.items()
        if record
    }
    if not drawn:
        raise UserError(
            "A plot of a search needs at least one evaluated candidate; the "
            f"records of {', '.join(records) or 'no search'} have none."
        )
    figure = Figure(figsize=(8, 5.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, record) in enumerate(drawn.items()):
        _draw(axes, name, record, STYLES[number % len(STYLES)])
    axes.set_xlabel("evaluations")
    axes.set_ylabel("supernet accuracy [%]")
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    # Below, where it hides no candidate; one column a search.
    figure.legend(
        loc="outside lower center",
        ncols=len(drawn),
        frameon=False,
        markerscale=2,
    )
    _mark_generations(axes, max(drawn.values(), key=len))
    save_png(figure, pathlib.Path(path))


def _draw(
    axes: Axes,
    name: str,
    record: Sequence[Point],
    style: tuple[str, str, str],
) -> None:
    color, marker, line = style
    evaluations = np.arange(1, len(record) + 1)
    percent = 100 * np.array([one.accuracy for one in record])
    best = np.maximum.accumulate(percent)
    axes.scatter(
        evaluations,
        percent,
        s=12,
        c=color,
        marker=marker,
        alpha=0.35,
        linewidths=0,
        label=f"{name}: candidates",
    )
    axes.step(
        evaluations,
        best,
        where="post",
        color=color,
        linestyle=line,
        linewidth=2.2,
        label=f"{name}: best so far, {best[-1]:.2f} %",
    )
    # Before the first ten it would be a mean of whatever came first.
    axes.plot(
        evaluations[TOP - 1 :],
        [np.sort(percent[:n])[-TOP:].mean() for n in evaluations[TOP - 1 :]],
        color=color,
        linestyle=line,
        linewidth=1,
        label=f"{name}: mean of the {TOP} best so far",
    )


def _mark_generations(axes: Axes, record: Sequence[Point]) -> None:
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
    ticks = range(0, generations + 1, max(1, -(-generations // 20)))
    top.set_xticks([tick * size for tick in ticks], [str(t) for t in ticks])
    top.set_xlabel("generations")
    top.spines["top"].set_color("0.6")


def save_png(figure: Figure, path: pathlib.Path) -> None:
    """Writes a picture, whole or not at all.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        with unfinished(path) as temporary:
            figure.savefig(temporary, format="png")
    except OSError as error:
        raise UserError(
            f"Cannot write {str(path)!r}: {error.strerror}."
        ) from None


class Priced(Protocol):
    """What a plot of a front needs of a candidate."""

    @property
    def costs(self) -> Mapping[str, int | float]:
        """By name."""

    @property
    def accuracy(self) -> float:
        """Share of the scored images that were right."""


def plot_front(
    candidates: Sequence[Priced],
    front: Sequence[Priced],
    cost: str,
    path: str | pathlib.Path,
) -> None:
    """Draws accuracy over a cost, and the front as a staircase.

    Args:
        candidates: Everything evaluated.
        front: Those that none beats in both, by rising cost.
        cost: Name of the cost.
        path: A PNG file; it appears whole or not at all.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    if not front:
        raise UserError("A plot of a front needs at least one candidate.")
    figure = Figure(figsize=(8, 5.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(
        [one.costs[cost] for one in candidates],
        [100 * one.accuracy for one in candidates],
        s=12,
        c="0.6",
        linewidths=0,
        label=f"candidates ({len(candidates)})",
    )
    color, marker, line = STYLES[0]
    axes.step(
        [one.costs[cost] for one in front],
        [100 * one.accuracy for one in front],
        where="post",
        color=color,
        marker=marker,
        markersize=4,
        linestyle=line,
        label=f"front ({len(front)})",
    )
    axes.set_xlabel(cost)
    axes.set_ylabel("supernet accuracy [%]")
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save_png(figure, pathlib.Path(path))
