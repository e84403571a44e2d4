"""Geometry of the report's charts; the template turns it into SVG.

Colours are not here: a series has a number, and the style sheet a colour for
it in light and in dark. So all text stays text, and small.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 40, 60
# More dots than this are one path, without the text that a dot shows.
_MANY = 1500
_MOST_OF_A_LINE = 500

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Series:
    """One thing that a chart shows.

    Attributes:
        label: In the legend; None for none.
        points: x and y.
        kind: `dots`, `line`, `steps` (a step after each point), `front`
            (steps and dots) or `winner` (one large dot).
        style: Number of its colour, dash and marker; -1 is grey.
        titles: Text that a dot shows, one a point.
    """

    label: str | None
    points: Sequence[Point]
    kind: str = "line"
    style: int = 0
    titles: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Mark:
    """A vertical line across a chart, such as a limit."""

    x: float
    label: str


def chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    marks: Sequence[Mark] = (),
) -> dict[str, object] | None:
    """Places everything in a chart of `WIDTH` x `HEIGHT`.

    Args:
        series: What is shown, the last on top.
        title: Says to whoever cannot see it what it shows.
        x_label: With the unit.
        y_label: With the unit.
        marks: They widen the range of x.

    Returns:
        What the template's `chart` draws; None if there is no point.
    """
    points = [point for one in series for point in one.points]
    if not points:
        return None
    x_ticks, x_of = _axis(
        [x for x, _ in points] + [mark.x for mark in marks],
        _LEFT,
        WIDTH - _RIGHT,
    )
    y_ticks, y_of = _axis([y for _, y in points], HEIGHT - _BOTTOM, _TOP)
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "top": _TOP,
        "bottom": HEIGHT - _BOTTOM,
        "x_label": x_label,
        "y_label": y_label,
        "x_ticks": x_ticks,
        "y_ticks": y_ticks,
        "marks": [{"at": x_of(mark.x), "label": mark.label} for mark in marks],
        "series": [
            _drawn(one, [(x_of(x), y_of(y)) for x, y in one.points])
            for one in series
            if one.points
        ],
    }


class _Scale:
    """Values to pixels, rounded: the same value gives the same text."""

    def __init__(self, low: float, high: float, start: int, end: int) -> None:
        self._low, self._start = low, start
        self._factor = (end - start) / (high - low)

    def __call__(self, value: float) -> float:
        return round(self._start + (value - self._low) * self._factor, 1)


def _axis(
    values: Sequence[float], start: int, end: int
) -> tuple[list[tuple[float, str]], _Scale]:
    """Ticks as (pixel, label), and the scale."""
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - (room if low != 0 else 0), high + room
    scale = _Scale(low, high, start, end)
    ticks = [
        float(tick)
        for tick in MaxNLocator(nbins=6, min_n_ticks=3).tick_values(low, high)
        if low <= tick <= high
    ]
    return [
        (scale(tick), text)
        for tick, text in zip(ticks, tick_labels(ticks), strict=True)
    ], scale


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Short labels, with k, M or G for large ones.

    >>> tick_labels([0.0, 50000.0, 100000.0])
    ['0', '50k', '100k']
    >>> tick_labels([0.0, 0.5, 1.0])
    ['0.0', '0.5', '1.0']
    """
    largest = max(map(abs, ticks), default=0.0)
    unit, letter = 1.0, ""
    for power, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if largest >= power:
            unit, letter = (1e3 if name == "k" else power), name
            break
    scaled = [tick / unit for tick in ticks]
    # As many digits as tell every tick exactly, if that is not too many.
    for digits in range(7):
        if all(
            math.isclose(round(one, digits), one, rel_tol=1e-6)
            for one in scaled
        ):
            return [f"{one:.{digits}f}{letter * bool(one)}" for one in scaled]
    return [f"{one:.3g}{letter}" for one in scaled]


def _drawn(one: Series, points: Sequence[Point]) -> dict[str, object]:
    number = max(one.style, 0)
    drawn: dict[str, object] = {
        "label": one.label,
        "kind": one.kind,
        "style": "grey" if one.style < 0 else f"s{number % 4}",
        "dash": number // 4 % 2 == 1,
        "line": "",
        "dots": [],
        "cloud": "",
        "marker": marker(number, 8, 6),
    }
    if one.kind in ("line", "steps", "front"):
        drawn["line"] = _line(points, stepped=one.kind != "line")
    if one.kind == "line":
        # A single point is no line.
        drawn["dots"] = [(marker(number, *points[0]), "")] * (len(points) == 1)
    elif one.kind != "steps":
        size = {"front": 3.4, "winner": 6.5}.get(one.kind, 2.8)
        titles = one.titles or [""] * len(points)
        if len(points) > _MANY:
            drawn["cloud"] = "".join(
                marker(number, x, y, size) for x, y in points
            )
        else:
            drawn["dots"] = [
                (marker(number, x, y, size), title)
                for (x, y), title in zip(points, titles, strict=True)
            ]
    return drawn


def _line(points: Sequence[Point], *, stepped: bool) -> str:
    if not stepped and len(points) > _MOST_OF_A_LINE:
        every = -(-len(points) // _MOST_OF_A_LINE)
        points = [*points[:-1:every], points[-1]]
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    before = points[0]
    for x, y in points[1:]:
        if not stepped:
            parts.append(f"L{x:g} {y:g}")
        elif y != before[1] or (x, y) == points[-1]:
            parts.append(f"H{x:g}V{y:g}")
        before = (x, y)
    return "".join(parts)


def marker(number: int, x: float, y: float, size: float = 2.8) -> str:
    """Path of a dot: shapes tell series apart where colours do not."""
    shape = number % 4
    r, d = size, 2 * size
    if shape == 0:
        arc = f"a{r:g} {r:g} 0 1 0"
        return f"M{x - r:g} {y:g}{arc} {d:g} 0{arc} {-d:g} 0z"
    if shape == 1:
        return f"M{x:g} {y - 1.3 * r:g}l{1.2 * r:g} {2.1 * r:g}h{-2.4 * r:g}z"
    if shape == 2:
        return f"M{x - r:g} {y - r:g}h{d:g}v{d:g}h{-d:g}z"
    w, h = 1.3 * r, 1.4 * r
    sides = f"l{w:g} {h:g}l{-w:g} {h:g}l{-w:g} {-h:g}"
    return f"M{x:g} {y - h:g}{sides}z"


def scalar_chart(
    series: Mapping[str, Mapping[int, float]],
    *,
    title: str,
    y_label: str,
    percent: bool,
) -> dict[str, object] | None:
    """Figures over training steps.

    Args:
        series: `{label: {step: value}}`.
        title: See `chart`.
        y_label: With the unit.
        percent: Values are shares.
    """
    factor = 100 if percent else 1
    return chart(
        [
            Series(
                label,
                [(step, factor * value) for step, value in values.items()],
                style=number,
            )
            for number, (label, values) in enumerate(series.items())
        ],
        title=title,
        x_label="training step",
        y_label=y_label,
    )
