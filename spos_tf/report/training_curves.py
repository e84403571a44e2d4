"""What training runs logged for TensorBoard, and pictures of it."""

import pathlib
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from spos_tf.errors import UserError
from spos_tf.report.event_scalars import read_scalars
from spos_tf.report.plots import STYLES, save_png

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
    curves: Mapping[str, Curve],
    path: str | pathlib.Path,
    *,
    y_label: str,
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
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(curves.items()):
        color, marker, line = STYLES[number % len(STYLES)]
        axes.plot(
            [step for step, _ in curve],
            [100 * value for _, value in curve],
            color=color,
            marker=marker,
            markersize=4,
            linestyle=line,
            label=name,
        )
    axes.set_xlabel("training steps")
    axes.set_ylabel(f"{y_label} [%]")
    axes.set_xlim(left=0)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save_png(figure, pathlib.Path(path))
