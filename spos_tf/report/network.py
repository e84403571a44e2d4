"""A network as a drawing: boxes, a cell's graph, or a grid of options."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from spos_tf.report.statistics import option_text

CELL_WIDTH, CELL_HEIGHT = 620, 300
# Options beyond these share colours; the label always says which it is.
COLOURS = 10
_MOST_BOXES = 60
_TIMES = "\N{MULTIPLICATION SIGN}"
_EDGE = re.compile(r"edge(\d)(\d)")


def draw_network(described: Mapping[str, Any]) -> dict[str, Any]:
    """Arranges the parts of one network for the template.

    Args:
        described: What `spos describe --format=json` prints of it.

    Returns:
        `fixed_share` of the multiply-adds that stem and head have, and
        `stages` (a column of boxes each, cut where the output shape changes),
        or `cell` (the one cell that all cells are) and `cells`, or `grid`.
    """
    macs = described["macs"]
    slots = [
        {
            "name": slot["name"],
            "choices": slot["choices"],
            "label": _label(slot),
            "colour": _colour(slot),
            "shape": _TIMES.join(map(str, slot["output_shape"])),
            "share": slot["macs"] / macs if macs else 0.0,
        }
        for slot in described["slots"]
    ]
    drawing: dict[str, Any] = {
        "fixed_share": 1 - sum(slot["share"] for slot in slots),
        "slots": len(slots),
        "options": _options(slots),
    }
    names = set(described["architecture"]["choices"])
    edges = [_EDGE.fullmatch(_last(slot["name"])) for slot in slots]
    if slots and all(edges) and _are_shared(slots, names):
        drawing |= {"cell": _cell(slots), "cells": _cells(slots)}
    elif (slots and all(edges)) or len(slots) > _MOST_BOXES:
        drawing |= {"grid": _grid(slots)}
    else:
        drawing |= {"stages": _stages(slots)}
    return drawing


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _label(slot: Mapping[str, Any]) -> str:
    chosen = (one["chosen"] for one in slot["choices"].values())
    return " · ".join(option_text(one) for one in chosen)


def _colour(slot: Mapping[str, Any]) -> int:
    """The number of the first choice's option: a block's operation."""
    first = next(iter(slot["choices"].values()))
    texts = [option_text(one) for one in first["options"]]
    return texts.index(option_text(first["chosen"])) % COLOURS


def _options(slots: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """What the colours mean: (colour, option)."""
    found: dict[str, int] = {}
    for slot in slots:
        first = next(iter(slot["choices"].values()))
        for index, option in enumerate(first["options"]):
            found.setdefault(option_text(option), index % COLOURS)
    return [(colour, option) for option, colour in found.items()]


def _are_shared(
    slots: Sequence[Mapping[str, Any]], choice_names: set[str]
) -> bool:
    """Whether one choice decides the same slot of every cell."""
    return len(choice_names) < len(slots) and all(
        _last(slot["name"]) in choice_names for slot in slots
    )


def _stages(slots: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    largest = max((slot["share"] for slot in slots), default=0) or 1.0
    stages = []
    for shape, group in itertools.groupby(slots, key=lambda one: one["shape"]):
        boxes = [{**slot, "bar": slot["share"] / largest} for slot in group]
        share = sum(box["share"] for box in boxes)
        stages.append({"title": shape, "share": share, "boxes": boxes})
    return stages


def _cell(slots: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Nodes on a line; edges that pass nodes over go round them."""
    by_edge = {_last(slot["name"]): slot for slot in slots}
    pairs = {name: (int(name[-2]), int(name[-1])) for name in sorted(by_edge)}
    nodes = sorted({node for pair in pairs.values() for node in pair})
    gap = (CELL_WIDTH - 60) / max(len(nodes) - 1, 1)
    x_of = {node: round(30 + i * gap, 1) for i, node in enumerate(nodes)}
    middle = CELL_HEIGHT * 0.6
    edges = []
    for name, (start, end) in pairs.items():
        length = nodes.index(end) - nodes.index(start)
        # Above and below in turn, the further the longer.
        side = 0 if length == 1 else (1 if nodes.index(start) % 2 else -1)
        lift = side * (length - 1) * 78
        x0, x1 = x_of[start], x_of[end]
        half = round((x0 + x1) / 2, 1)
        slot = by_edge[name]
        edges.append(
            {
                "path": f"M{x0:g} {middle:g}Q{half:g} {middle + 2 * lift:g} "
                f"{x1:g} {middle:g}",
                "x": half,
                "y": round(middle + lift, 1),
                "label": slot["label"],
                "colour": slot["colour"],
                "name": name,
                "is_none": slot["label"] == "none",
            }
        )
    return {
        "width": CELL_WIDTH,
        "height": CELL_HEIGHT,
        "nodes": [(x_of[node], middle, node) for node in nodes],
        "edges": edges,
    }


def _cells(slots: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where the cell stands: one row a resolution."""
    return [
        {
            "cells": list(
                dict.fromkeys(
                    box["name"].rpartition(".")[0] for box in stage["boxes"]
                )
            ),
            "shape": stage["title"],
            "share": stage["share"],
        }
        for stage in _stages(slots)
    ]


def _grid(slots: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row a cell or stage, a column a slot of it."""
    rows: dict[str, dict[str, Mapping[str, Any]]] = {}
    for slot in slots:
        prefix, _, last = slot["name"].rpartition(".")
        rows.setdefault(prefix, {})[last] = slot
    columns = list(dict.fromkeys(last for row in rows.values() for last in row))
    return {
        "columns": columns,
        "rows": [
            {
                "name": name,
                "shape": list(row.values())[-1]["shape"],
                "share": sum(slot["share"] for slot in row.values()),
                "slots": [row.get(column) for column in columns],
            }
            for name, row in rows.items()
        ],
    }
