"""Draws the pictures of the design page: `python docs/draw.py`.

`images/house.svg` shows the rooms of the package on their floors, and
`images/job.svg` what flows through the whole job. The floors are those that
`tests/test_layering.py` holds the imports to.
"""

import ast
import pathlib
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

_HERE = pathlib.Path(__file__).resolve().parent
_LAYERING = _HERE.parent / "tests" / "test_layering.py"
_FILL, _EDGE, _TEXT = "#eef3fb", "#4a6fa5", "#1f2937"

_SAYS = {
    "space": "choices, encodings,\ncandidates, records",
    "quantization": "quantizers, layers,\nthe tfmot adapter",
    "data": "sources, splits,\npreprocessing",
    "ops": "what touches one tensor: the Ops protocol and all its readers",
    "blocks": "shuffle, mobile, residual and cell blocks",
    "networks": "blueprint, supernet, subnet, transfer of weights",
    "spaces": "one file a family",
    "cost": "counts, tables, constraints, latency",
    "evaluation": "recalibrate and\nscore: the Scorer",
    "analysis": "rank statistics,\nbenchmark tables",
    "lowbit": "integer graph,\ndeploy form",
    "training": "Trainer, step,\ncheckpoints",
    "search": "evolution,\nNSGA-II",
    "export": "formats, parity,\ntiming",
    "report": "the page,\nthe plots",
    "jobs": "the whole job, with plain arguments",
    "cli": "flags made of options; `spos COMMAND`",
}


def floors() -> list[list[str]]:
    """The rooms, lowest floor first, as the test of the imports has them."""
    for node in ast.parse(_LAYERING.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "FLOORS"
            for target in node.targets
        ):
            return [list(row) for row in ast.literal_eval(node.value)]
    raise LookupError("tests/test_layering.py has no FLOORS.")


def draw_house(path: pathlib.Path) -> None:
    """Draws one row a floor; imports go down only."""
    rows = floors()
    figure, axes = _sheet(9.0, 0.72 * len(rows) + 0.9)
    for level, rooms in enumerate(rows):
        width = 8.6 / len(rooms)
        for index, room in enumerate(rooms):
            _box(
                axes,
                (0.2 + index * width, 0.75 + level * 0.72),
                (width - 0.1, 0.62),
                room,
                _SAYS[room],
            )
    _box(
        axes,
        (0.2, 0.05),
        (8.5, 0.55),
        "open to all rooms",
        "errors, options, randomness, atomic writing, strict reading, locks",
    )
    _save(figure, axes, 9.0, 0.72 * len(rows) + 0.9, path)


def draw_job(path: pathlib.Path) -> None:
    """Draws the whole job from left to right."""
    figure, axes = _sheet(10.0, 3.6)
    boxes = {
        "images": ((0.1, 2.4), "arrays, folder,\nTFDS, tf.data"),
        "Blueprint": ((0.1, 0.5), "the networks,\ndescribed once"),
        "train_supernet": ((2.2, 1.45), "Trainer: one path\na step"),
        "search_supernet": ((4.3, 1.45), "proposals -> Scorer\n-> record"),
        "train_subnet": ((6.4, 1.45), "the winner as a\nkeras.Model"),
        "export_subnet": ((8.4, 1.45), "files, compared in\ntheir runtimes"),
    }
    size = (1.5, 0.75)
    for name, (corner, says) in boxes.items():
        _box(axes, corner, size, name, says)
    _arrow(axes, (1.6, 2.6), (2.3, 2.2), "batches", 0.12)
    _arrow(axes, (1.6, 1.0), (2.3, 1.45), "blocks", -0.2)
    _arrow(axes, (3.7, 1.82), (4.3, 1.82), "weights", 0.1)
    _arrow(axes, (5.8, 1.82), (6.4, 1.82), "encoding", 0.1)
    _arrow(axes, (7.9, 1.82), (8.4, 1.82), "network", 0.1)
    _arrow(axes, (1.6, 2.95), (5.0, 2.2), "held-out images", 0.1)
    _arrow(axes, (1.6, 0.7), (5.0, 1.45), "costs and limits", -0.25)
    _save(figure, axes, 10.0, 3.6, path)


def _sheet(width: float, height: float) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(width, height))
    return figure, axes


def _box(
    axes: Any,
    corner: tuple[float, float],
    size: tuple[float, float],
    name: str,
    says: str,
) -> None:
    axes.add_patch(
        FancyBboxPatch(
            corner,
            *size,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=_FILL,
            edgecolor=_EDGE,
        )
    )
    middle = corner[0] + size[0] / 2
    top = corner[1] + size[1]
    axes.text(
        middle,
        top - 0.07,
        name,
        ha="center",
        va="top",
        weight="bold",
        fontsize=9,
        color=_TEXT,
    )
    axes.text(
        middle,
        corner[1] + 0.05,
        says,
        ha="center",
        va="bottom",
        fontsize=6.5,
        color=_TEXT,
        linespacing=1.0,
    )


def _arrow(
    axes: Any,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str,
    above: float,
) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={"arrowstyle": "->", "color": _EDGE},
    )
    axes.text(
        (start[0] + end[0]) / 2,
        (start[1] + end[1]) / 2 + above,
        text,
        ha="center",
        fontsize=6.5,
        color=_TEXT,
    )


def _save(
    figure: Any, axes: Any, width: float, height: float, path: pathlib.Path
) -> None:
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "spos_tf", "svg.fonttype": "none"}
    draw_house(_HERE / "images" / "house.svg")
    draw_job(_HERE / "images" / "job.svg")
