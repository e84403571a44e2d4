"""NAS-Bench-201 and the smaller spaces of the paper's Table 8.

One cell of four nodes is repeated; each of its six edges is an operation, a
node is the sum of the edges that end in it, and the fourth is the output.
"""

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spos_tf.blocks.cell import (
    AveragePool,
    CellHead,
    CellStem,
    ConvEdge,
    ReductionBlock,
    Zero,
)
from spos_tf.blocks.mobile import Identity
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.ops.protocol import Block
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces._macro import Macro, with_arguments

_OPS: dict[str, Block] = {
    "none": Zero(),
    "skip_connect": Identity(),
    "nor_conv_1x1": ConvEdge(1),
    "nor_conv_3x3": ConvEdge(3),
    "avg_pool_3x3": AveragePool(),
}
OPS = tuple(_OPS)
# (from, to), in the order of the encoding and of architecture strings.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_OUTPUT = 3

_BENCHMARK = Macro(
    image_size=32,
    num_classes=10,
    stem_width=16,
    stem_stride=1,
    stage_widths=(16, 32, 64),
    stage_repeats=(5, 5, 5),
    stage_strides=(1, 2, 2),
    dropout=0.0,
    input_kind="standard",
)
PRESETS = {
    "cifar": _BENCHMARK,
    "demo": dataclasses.replace(
        _BENCHMARK,
        image_size=8,
        stem_width=8,
        stage_widths=(8, 16),
        stage_repeats=(1, 1),
        stage_strides=(1, 2),
    ),
}
# What each space leaves out.
_WITHOUT = {
    "nasbench201": (),
    "nasbench201_reduce1": ("nor_conv_1x1",),
    "nasbench201_reduce2": ("avg_pool_3x3",),
    "nasbench201_reduce3": ("nor_conv_1x1", "avg_pool_3x3"),
}


def _nasbench201(
    name: str, /, *, preset: str = "cifar", **arguments: Any
) -> Blueprint:
    """One of the spaces; arguments are fields of `Macro`.

    `stage_repeats` are cells. A residual block stands before a stage that
    halves the image or has another width.
    """
    macro, differ = with_arguments(name, PRESETS, preset, arguments)
    legal = tuple(i for i, op in enumerate(OPS) if op not in _WITHOUT[name])
    branches = tuple(
        block if index in legal else None
        for index, block in enumerate(_OPS.values())
    )
    stem = CellStem(macro.stem_width, macro.stem_stride, macro.input_kind)
    body = [Segment("stem", (stem,))]
    # Names of the segments whose sum goes on.
    current: tuple[str, ...] = ("stem",)
    width = macro.stem_width
    for stage, stage_width in enumerate(macro.stage_widths):
        strides = macro.stage_strides[stage]
        if strides > 1 or stage_width != width:
            block = ReductionBlock(stage_width, strides)
            reduction = f"stage{stage + 1}.reduction"
            body.append(Segment(reduction, (block,), inputs=current))
            current, width = (reduction,), stage_width
        for cell in range(macro.stage_repeats[stage]):
            edges = _cell(f"stage{stage + 1}.cell{cell + 1}", branches, current)
            body += edges
            current = _into(edges, _OUTPUT)
    head = CellHead(macro.num_classes, macro.dropout)
    return Blueprint(
        search_space=SearchSpace(
            name,
            tuple(Choice(_edge_name(edge), OPS) for edge in EDGES),
            (legal,) * len(EDGES) if len(legal) < len(OPS) else None,
        ),
        space_arguments=differ,
        image_size=macro.image_size,
        num_classes=macro.num_classes,
        segments=(*body, Segment("head", (head,), inputs=current)),
        stage_widths=macro.stage_widths,
        further_costs=("flops_benchmark",),
    )


def _edge_name(edge: tuple[int, int]) -> str:
    return "edge{}{}".format(*edge)


def _cell(
    name: str, branches: tuple[Block | None, ...], inputs: tuple[str, ...]
) -> list[Segment]:
    """The edges of a cell; all cells share one choice an edge."""
    edges: list[Segment] = []
    for edge in EDGES:
        edges.append(
            Segment(
                f"{name}.{_edge_name(edge)}",
                branches,
                _edge_name(edge),
                inputs=_into(edges, edge[0]) if edge[0] else inputs,
            )
        )
    return edges


def _into(edges: Sequence[Segment], node: int) -> tuple[str, ...]:
    """Names of the edges that end in a node."""
    return tuple(
        segment.name
        for segment, edge in zip(edges, EDGES, strict=False)
        if edge[1] == node
    )


SPACES = {name: functools.partial(_nasbench201, name) for name in _WITHOUT}


_STRING = re.compile(
    r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|"
)


def parse_arch_string(text: str) -> npt.NDArray[np.int32]:
    """Reads the benchmark's architecture string.

    Args:
        text: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.

    Returns:
        int32 `[6]`, an encoding.

    Raises:
        UserError: It has another form, or an operation is unknown.

    >>> parse_arch_string("|none~0|+|none~0|none~1|+"
    ...              "|skip_connect~0|none~1|nor_conv_3x3~2|").tolist()
    [0, 0, 0, 1, 0, 3]
    """
    found = _STRING.fullmatch(text)
    if found is None:
        raise UserError(
            "An architecture of NAS-Bench-201 is written "
            f"|op~0|+|op~0|op~1|+|op~0|op~1|op~2|; got {text!r}."
        )
    for op in found.groups():
        if op not in _OPS:
            raise UserError(
                f"NAS-Bench-201 has no operation {op!r}, as in {text!r}. Its "
                f"operations are: {', '.join(OPS)}."
            )
    return np.array([OPS.index(op) for op in found.groups()], np.int32)
