"""What training runs logged for TensorBoard, and pictures of it."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spos_tf.errors import UserError
from spos_tf.report.drawing import (
    STYLES,
    add_legend,
    drawable,
    label,
    write_png,
)
from spos_tf.report.event_scalars import read_scalars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# (step, value), by rising step.
Curve = Sequence[tuple[int, float]]


def read_curve(
    events: str | pathlib.Path, name: str
) -> list[tuple[int, float]]:
    """Reads a scalar that a training run logged.

    A run that went on may have logged a step twice: the later one counts.

    Args:
        events: A run's folder `events/`.
        name: For example `"validation/accuracy"`.

    Returns:
        (step, value), by rising step.

    Raises:
        UserError: The folder holds no such scalar.
    """
    problems: list[str] = []
    scalars = read_scalars(pathlib.Path(events), problems)
    if name not in scalars:
        raise UserError(
            f"The events in {str(events)!r} have no {name!r}. They have: "
            f"{', '.join([*scalars, *problems]) or 'nothing'}."
        )
    return list(scalars[name].items())


def plot_curves(
    curves: Mapping[str, Curve], path: str | pathlib.Path, *, y_label: str
) -> None:
    """Draws shares over training steps, in percent (the paper's Figure 1).

    Args:
        curves: By the name of the run.
        path: A PNG file; it appears whole or not at all.
        y_label: What the shares are.

    Raises:
        UserError: There is nothing to draw or the file cannot be written.
    """
    if not any(curves.values()):
        raise UserError("A plot of training curves needs at least one value.")
    percent = {
        name: [(step, 100 * value) for step, value in curve]
        for name, curve in curves.items()
    }
    write_png(
        lambda figure: draw_curves(figure, percent, f"{y_label} [%]"), path
    )


def draw_curves(
    figure: "Figure", curves: Mapping[str, Curve], y_label: str
) -> None:
    """Draws figures over training steps.

    Args:
        figure: An empty one.
        curves: By what they are of.
        y_label: With the unit.
    """
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(curves.items()):
        color, marker, line = STYLES[number % len(STYLES)]
        axes.plot(
            [step for step, _ in curve],
            [drawable(value) for _, value in curve],
            color=color,
            marker=marker,
            markersize=4,
            markevery=max(1, len(curve) // 20),
            linestyle=line,
            label=label(name),
        )
    axes.set_xlabel("training steps")
    axes.set_ylabel(label(y_label))
    axes.set_xlim(left=0)
    add_legend(figure)
