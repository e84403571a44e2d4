"""Draws the two diagrams of the documentation: `python docs/draw.py`.

`images/method.svg` shows the method from supernet to exported files, and
`images/house.svg` the rooms of the package on their floors. The floors are
those that `tests/test_layering.py` holds the imports to.
"""

import ast
import pathlib
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

_HERE = pathlib.Path(__file__).resolve().parent
_LAYERING = _HERE.parent / "tests" / "test_layering.py"
_FILL, _EDGE, _TEXT = "#eef3fb", "#4a6fa5", "#1f2937"
_STRONG = "#c2410c"

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


def draw_method(path: pathlib.Path) -> None:
    """Draws the method: supernet, search, retraining, export."""
    width, height = 10.0, 3.7
    figure, axes = _sheet(width, height)
    panels = (
        (_draw_supernet, "1. Train one supernet", "train_supernet"),
        (_draw_search, "2. Search it", "search_supernet"),
        (_draw_winner, "3. Train the winner", "train_subnet"),
        (_draw_files, "4. Export and compare", "export_subnet"),
    )
    says = (
        "It holds every candidate. A step\ntrains one random path.",
        "Paths are scored with its weights;\nno candidate breaks the limit.",
        "The best path becomes a network\nof its own, trained from scratch.",
        "Each file runs in its own runtime\nand must agree with the network.",
    )
    for index, (draw, title, function) in enumerate(panels):
        left = 0.15 + index * 2.48
        axes.add_patch(
            FancyBboxPatch(
                (left, 0.1),
                2.26,
                height - 0.2,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=_FILL,
                edgecolor=_EDGE,
            )
        )
        middle = left + 1.13
        write = {"ha": "center", "color": _TEXT}
        axes.text(middle, 3.28, title, weight="bold", fontsize=10, **write)
        axes.text(middle, 0.56, says[index], fontsize=7.5, **write)
        axes.text(
            middle, 0.24, function, fontsize=7.5, family="monospace", **write
        )
        draw(axes, left)
        if index:
            axes.annotate(
                "",
                xy=(left, 2.1),
                xytext=(left - 0.22, 2.1),
                arrowprops={"arrowstyle": "-|>", "color": _EDGE, "lw": 1.5},
            )
    _save(figure, axes, width, height, path)


# Options of the four choices in the picture, and the path that wins.
_OPTIONS = ("3x3", "5x5", "7x7")
_PATH = (0, 2, 1, 0)


def _draw_supernet(axes: Any, left: float) -> None:
    places = [
        [(left + 0.12 + 0.53 * block, 2.65 - 0.6 * row) for row in range(3)]
        for block in range(4)
    ]
    chosen = [places[block][option] for block, option in enumerate(_PATH)]
    line = [(x + dx, y + 0.15) for x, y in chosen for dx in (0.0, 0.44)]
    axes.plot(*zip(*line, strict=True), color=_STRONG, lw=2)
    for column in places:
        for option, corner in enumerate(column):
            _option(axes, corner, _OPTIONS[option], corner in chosen)


def _draw_search(axes: Any, left: float) -> None:
    low, limit = left + 0.3, left + 1.45
    axes.plot([low, low, left + 2.1], [3.0, 1.4, 1.4], color=_TEXT, lw=0.8)
    axes.plot([limit, limit], [1.4, 3.0], color=_STRONG, lw=1, ls="--")
    axes.text(limit + 0.05, 2.92, "limit", fontsize=7, color=_STRONG)
    axes.text(left + 1.2, 1.22, "cost", fontsize=7, ha="center", color=_TEXT)
    axes.text(
        left + 0.18, 2.2, "score", fontsize=7, rotation=90, va="center",
        color=_TEXT,
    )  # fmt: skip
    draws = np.random.default_rng(2)
    costs = draws.uniform(0.1, 1.1, 30)
    scores = 1.5 + 0.9 * costs**0.5 + draws.normal(0, 0.13, 30)
    best = int(scores.argmax())
    axes.scatter(low + costs, scores, s=10, color=_EDGE, alpha=0.5, lw=0)
    axes.scatter(low + costs[best], scores[best], s=45, color=_STRONG)


def _draw_winner(axes: Any, left: float) -> None:
    line = [(left + 0.12, 2.2), (left + 2.15, 2.2)]
    axes.plot(*zip(*line, strict=True), color=_STRONG, lw=2)
    for block, option in enumerate(_PATH):
        corner = (left + 0.12 + 0.53 * block, 2.05)
        _option(axes, corner, _OPTIONS[option], True)


def _draw_files(axes: Any, left: float) -> None:
    for row, name in enumerate(("SavedModel", "TFLite", "ONNX")):
        bottom = 2.62 - 0.6 * row
        axes.add_patch(
            FancyBboxPatch(
                (left + 0.3, bottom),
                1.25,
                0.38,
                boxstyle="round,pad=0,rounding_size=0.04",
                facecolor="white",
                edgecolor=_EDGE,
            )
        )
        axes.text(
            left + 0.92, bottom + 0.19, name, fontsize=8, ha="center",
            va="center", color=_TEXT,
        )  # fmt: skip
        check = [left + 1.68, left + 1.76, left + 1.92]
        heights = [bottom + 0.2, bottom + 0.1, bottom + 0.32]
        axes.plot(check, heights, color=_STRONG, lw=2)


def _option(
    axes: Any, corner: tuple[float, float], name: str, is_chosen: bool
) -> None:
    axes.add_patch(
        FancyBboxPatch(
            corner,
            0.44,
            0.3,
            boxstyle="round,pad=0,rounding_size=0.04",
            facecolor=_STRONG if is_chosen else "white",
            edgecolor=_STRONG if is_chosen else _EDGE,
            zorder=3,
        )
    )
    axes.text(
        corner[0] + 0.22,
        corner[1] + 0.14,
        name,
        fontsize=7,
        ha="center",
        va="center",
        color="white" if is_chosen else _TEXT,
        zorder=4,
    )


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
    draw_method(_HERE / "images" / "method.svg")
