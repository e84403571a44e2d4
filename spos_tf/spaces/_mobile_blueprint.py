"""How the spaces of inverted residual blocks are put together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spos_tf.blocks.mobile import (
    InvertedResidual,
    MobileHead,
    MobileStem,
    Style,
)
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.ops.protocol import Block
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces._macro import WidenedMacro

# From the width of the output, the stride, and whether the input may be passed
# on as it is, to one block an option; None for an option that is not legal.
BranchesOf = Callable[[int, int, bool], Sequence[Block | None]]


def mobile_blueprint(
    name: str,
    macro: WidenedMacro,
    arguments: Mapping[str, Any],
    *,
    options: Sequence[str],
    branches_of: BranchesOf,
    style: Style,
    first: InvertedResidual | None = None,
) -> Blueprint:
    """Stem, a fixed block, stages of choice blocks, head.

    Args:
        name: Of the space.
        macro: What is not chosen.
        arguments: What tells the macro from the paper's.
        options: Of every choice block.
        branches_of: Blocks of a slot by output width, stride, and whether
            input and output have one shape.
        style: Of stem and head.
        first: The fixed block, if there is one.
    """
    choices, legal, body = [], [], []
    width = macro.stem_width
    if first is not None:
        body.append(Segment("first", (first,)))
        width = first.out_channels
    for stage, stage_width in enumerate(macro.stage_widths):
        for block in range(macro.stage_repeats[stage]):
            strides = 1 if block else macro.stage_strides[stage]
            may_skip = strides == 1 and width == stage_width
            width = stage_width
            branches = tuple(branches_of(width, strides, may_skip))
            slot = f"stage{stage + 1}.block{block + 1}"
            choices.append(Choice(f"{slot}.op", tuple(options)))
            legal.append(
                tuple(
                    index
                    for index, branch in enumerate(branches)
                    if branch is not None
                )
            )
            body.append(Segment(slot, branches, f"{slot}.op"))
    stem = MobileStem(
        macro.stem_width, macro.stem_stride, macro.input_kind, style
    )
    head = MobileHead(macro.last_width, macro.num_classes, macro.dropout, style)
    return Blueprint(
        search_space=SearchSpace(name, tuple(choices), tuple(legal)),
        space_arguments=arguments,
        image_size=macro.image_size,
        num_classes=macro.num_classes,
        segments=(Segment("stem", (stem,)), *body, Segment("head", (head,))),
        stage_widths=macro.stage_widths,
    )
