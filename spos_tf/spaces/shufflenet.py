"""ShuffleNet-like spaces of the paper (Table 2 and section 4)."""

import functools
from collections.abc import Sequence
from typing import Any

from spos_tf.blocks.shuffle import Head, ShuffleBlock, Stem
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.ops.protocol import ElasticWidth, Width
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces._macro import WidenedMacro, with_arguments

OPS = ("3x3", "5x5", "7x7", "xception")
WIDTHS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)


PRESETS = {
    "imagenet": WidenedMacro(
        image_size=224,
        num_classes=1000,
        stem_width=16,
        stem_stride=2,
        stage_widths=(64, 160, 320, 640),
        stage_repeats=(4, 4, 8, 4),
        stage_strides=(2, 2, 2, 2),
        last_width=1024,
        dropout=0.1,
        input_kind="bgr",
    ),
    # Narrow enough for two CPU cores; three halvings, since 32 px collapse
    # under the paper's five.
    "cifar": WidenedMacro(
        image_size=32,
        num_classes=10,
        stem_width=16,
        stem_stride=1,
        stage_widths=(24, 48, 96, 192),
        stage_repeats=(4, 4, 8, 4),
        stage_strides=(2, 2, 2, 1),
        last_width=256,
        dropout=0.1,
        input_kind="standard",
    ),
    # 8 px allow one full convolution; blocks at 4 and 2 px are wide for their
    # cost, and a pool over 2 x 2 keeps where a stroke was.
    "demo": WidenedMacro(
        image_size=8,
        num_classes=10,
        stem_width=16,
        stem_stride=1,
        stage_widths=(36, 72),
        stage_repeats=(2, 3),
        stage_strides=(2, 2),
        last_width=128,
        dropout=0.0,
        input_kind="standard",
    ),
}


def _shufflenet(
    name: str,
    ops: Sequence[str],
    scales: Sequence[float],
    /,
    *,
    preset: str = "imagenet",
    **arguments: Any,
) -> Blueprint:
    """One of the three spaces; arguments are fields of `WidenedMacro`.

    Stage widths are multiples of 4 and grow. A stage's first block of stride 1
    projects as one of stride 2 does, since its width changes. A single one of
    the `ops`, or of the `scales` (inner widths as shares of half the stage's
    width), is no choice.
    """
    macro, differ = with_arguments(name, PRESETS, preset, arguments)
    _check_widths(macro)
    choices, body = [], []
    for stage, width in enumerate(macro.stage_widths):
        mid = _mid_channels(width // 2, scales)
        for block in range(macro.stage_repeats[stage]):
            slot = f"stage{stage + 1}.block{block + 1}"
            op, size = (
                Choice(f"{slot}.op", OPS),
                Choice(f"{slot}.width", WIDTHS),
            )
            structural = [op] if len(ops) > 1 else []
            elastic = [size] if len(scales) > 1 else []
            choices += [*structural, *elastic]
            body.append(
                Segment(
                    slot,
                    tuple(
                        ShuffleBlock(
                            op=one,
                            out_channels=width,
                            mid_channels=mid,
                            strides=1 if block else macro.stage_strides[stage],
                            projects=block == 0,
                        )
                        for one in ops
                    ),
                    op.name if structural else None,
                    tuple(one.name for one in elastic),
                )
            )
    stem = Stem(macro.stem_width, macro.stem_stride, macro.input_kind)
    head = Head(macro.last_width, macro.num_classes, macro.dropout)
    return Blueprint(
        search_space=SearchSpace(name, tuple(choices)),
        space_arguments=differ,
        image_size=macro.image_size,
        num_classes=macro.num_classes,
        segments=(Segment("stem", (stem,)), *body, Segment("head", (head,))),
        stage_widths=macro.stage_widths,
    )


# Block search (Table 2), channel search with 3x3 blocks (Table 4), and both
# together (section 4.2).
SPACES = {
    name: functools.partial(_shufflenet, name, ops, scales)
    for name, ops, scales in (
        ("shufflenet_blocks", OPS, (1.0,)),
        ("shufflenet_channels", ("3x3",), WIDTHS),
        ("shufflenet_joint", OPS, WIDTHS),
    )
}


def _mid_channels(base: int, scales: Sequence[float]) -> Width:
    """Plain truncation, as in the official table of multiply-adds."""
    counts = tuple(int(base * scale) for scale in scales)
    if min(counts) < 1:
        raise UserError(
            f"A stage of {2 * base} channels is too narrow for an inner width "
            f"of {min(scales)} x {base}. Its width is at least 10."
        )
    return counts[0] if len(counts) == 1 else ElasticWidth(counts)


def _check_widths(macro: WidenedMacro) -> None:
    previous = macro.stem_width
    for width in macro.stage_widths:
        # The shuffle needs multiples of 4, the main branch of a projecting
        # block at least one channel.
        if width % 4 or width <= previous:
            raise UserError(
                "Stage widths are multiples of 4 and grow from the stem's "
                f"{macro.stem_width} on; got {macro.stage_widths}."
            )
        previous = width
