"""ShuffleNet-like spaces of the paper (Table 2 and section 4)."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from spos_tf.errors import UserError
from spos_tf.layers.blocks import Head, ShuffleBlock, Stem
from spos_tf.layers.ops import INPUT_KINDS, ElasticWidth, Width
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.space import Choice, SearchSpace

OPS = ("3x3", "5x5", "7x7", "xception")
WIDTHS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)


@dataclasses.dataclass(frozen=True)
class Macro:
    """Everything about the network that is not chosen."""

    image_size: int
    num_classes: int
    stem_width: int
    stem_stride: int
    stage_widths: tuple[int, ...]
    stage_repeats: tuple[int, ...]
    stage_strides: tuple[int, ...]
    last_width: int
    dropout: float
    input_kind: str


_FIELDS = frozenset(field.name for field in dataclasses.fields(Macro))

PRESETS = {
    "imagenet": Macro(
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
    "cifar": Macro(
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
    "demo": Macro(
        image_size=8,
        num_classes=10,
        stem_width=8,
        stem_stride=1,
        stage_widths=(16, 32),
        stage_repeats=(2, 3),
        stage_strides=(1, 2),
        last_width=64,
        dropout=0.0,
        input_kind="standard",
    ),
}


def _shufflenet(
    name: str,
    ops: Sequence[str],
    scales: Sequence[float],
    *,
    preset: str = "imagenet",
    image_size: int | None = None,
    num_classes: int | None = None,
    stem_width: int | None = None,
    stem_stride: int | None = None,
    stage_widths: Sequence[int] | None = None,
    stage_repeats: Sequence[int] | None = None,
    stage_strides: Sequence[int] | None = None,
    last_width: int | None = None,
    dropout: float | None = None,
    input_kind: str | None = None,
) -> Blueprint:
    """One of the three spaces.

    Args:
        name: Of the space.
        ops: Operations of every block; one alone is no choice.
        scales: Inner widths as shares of half the stage's width; one alone is
            no choice.
        preset: A key of `PRESETS`; every other argument replaces one of its
            values.
        image_size: Pixels.
        num_classes: Logits.
        stem_width: Channels of the stem.
        stem_stride: 1 or 2.
        stage_widths: Output channels of every stage, multiples of 4.
        stage_repeats: Blocks of every stage.
        stage_strides: Stride of every stage's first block, 1 or 2. A first
            block of stride 1 projects as one of stride 2 does, since its
            width changes.
        last_width: Channels before the pool.
        dropout: Rate before the classifier.
        input_kind: See `layers.ops.INPUT_KINDS`.

    Raises:
        UserError: A value is out of its range.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in locals().copy().items()
        if name in _FIELDS and value is not None
    }
    macro = dataclasses.replace(PRESETS[preset], **given)
    _check(macro)
    arguments = {
        name: value
        for name, value in given.items()
        if value != getattr(PRESETS[preset], name)
    }
    if preset != "imagenet":
        arguments["preset"] = preset
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
        space_arguments=arguments,
        image_size=macro.image_size,
        num_classes=macro.num_classes,
        segments=(
            Segment("stem", (stem,)),
            *body,
            Segment("head", (head,)),
        ),
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


def _check(macro: Macro) -> None:
    for name in ("stage_widths", "stage_repeats", "stage_strides"):
        value = getattr(macro, name)
        if not isinstance(value, tuple) or not value:
            raise UserError(
                f"{name} is a list of one number a stage; got {value!r}."
            )
    stages = len(macro.stage_widths)
    if not len(macro.stage_repeats) == len(macro.stage_strides) == stages:
        raise UserError(
            "stage_widths, stage_repeats and stage_strides have one value a "
            f"stage; got {macro.stage_widths}, {macro.stage_repeats} and "
            f"{macro.stage_strides}."
        )
    _positive("image_size", macro.image_size)
    _positive("num_classes", macro.num_classes)
    _positive("stem_width", macro.stem_width)
    _positive("last_width", macro.last_width)
    _positive("stage_repeats", *macro.stage_repeats)
    previous = macro.stem_width
    for width in macro.stage_widths:
        # The shuffle needs multiples of 4, the main branch of a projecting
        # block at least one channel.
        if not isinstance(width, int) or width % 4 or width <= previous:
            raise UserError(
                "Stage widths are multiples of 4 and grow from the stem's "
                f"{macro.stem_width} on; got {macro.stage_widths}."
            )
        previous = width
    for stride in (macro.stem_stride, *macro.stage_strides):
        if stride not in (1, 2):
            raise UserError(f"Strides are 1 or 2; got {stride!r}.")
    number = isinstance(macro.dropout, (int, float))
    if not number or not 0 <= macro.dropout < 1:
        raise UserError(f"A dropout rate is in [0, 1); got {macro.dropout!r}.")
    if macro.input_kind not in INPUT_KINDS:
        raise UserError(
            f"input_kind is one of {INPUT_KINDS}; got {macro.input_kind!r}."
        )


def _positive(name: str, *values: Any) -> None:
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(
                f"{name} takes positive whole numbers; got {value!r}."
            )
