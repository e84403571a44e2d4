"""What the spaces of inverted residual blocks share: macro and assembly."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spos_tf.errors import UserError
from spos_tf.layers.mobile_blocks import MobileHead, MobileStem, Style
from spos_tf.layers.ops import INPUT_KINDS, Block
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.space import Choice, SearchSpace


@dataclasses.dataclass(frozen=True)
class MobileMacro:
    """Everything about a network that is not chosen.

    Attributes:
        first_width: Channels of a fixed block between stem and stages; None
            where the family has none.
    """

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
    first_width: int | None = None


_FIELDS = frozenset(field.name for field in dataclasses.fields(MobileMacro))

# Of (width of the output, stride): one block an option; None for the option
# that only a block of stride 1 and equal widths has.
BranchesOf = Callable[[int, int], Sequence[Block | None]]


def with_arguments(
    presets: Mapping[str, MobileMacro],
    preset: str,
    arguments: Mapping[str, Any],
    *,
    even_widths: bool = False,
) -> tuple[MobileMacro, dict[str, Any]]:
    """A preset's macro with some values replaced.

    Args:
        presets: By name; the first is the paper's network.
        preset: One of them.
        arguments: By field; what is None or no field is left out.
        even_widths: Whether the family splits channels into halves.

    Returns:
        The macro, and the arguments that tell it from the paper's.

    Raises:
        UserError: A value is out of its range.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in arguments.items()
        if name in _FIELDS and value is not None
    }
    macro = dataclasses.replace(presets[preset], **given)
    _check(macro, even_widths)
    differ = {
        name: value
        for name, value in given.items()
        if value != getattr(presets[preset], name)
    }
    if preset != next(iter(presets)):
        differ["preset"] = preset
    return macro, differ


def mobile_blueprint(
    name: str,
    macro: MobileMacro,
    arguments: Mapping[str, Any],
    *,
    options: Sequence[str],
    branches_of: BranchesOf,
    skip: Block,
    style: Style,
    first: Block | None = None,
) -> Blueprint:
    """Stem, a fixed block, stages of choice blocks, head.

    Args:
        name: Of the space.
        macro: What is not chosen.
        arguments: What tells the macro from the paper's.
        options: Of every choice block.
        branches_of: Blocks of a slot by output width and stride; None stands
            where `skip` comes if the shapes agree.
        skip: The block that leaves its input as it is.
        style: Of stem and head.
        first: The fixed block, if there is one.
    """
    choices, legal, body = [], [], []
    width = macro.stem_width
    if first is not None:
        body.append(Segment("first", (first,)))
        width = macro.first_width or width
    for stage, stage_width in enumerate(macro.stage_widths):
        for block in range(macro.stage_repeats[stage]):
            strides = 1 if block else macro.stage_strides[stage]
            may_skip = strides == 1 and width == stage_width
            width = stage_width
            branches = tuple(
                skip if branch is None and may_skip else branch
                for branch in branches_of(width, strides)
            )
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


def _check(macro: MobileMacro, even_widths: bool) -> None:
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
    for name in ("image_size", "num_classes", "stem_width", "last_width"):
        _positive(name, getattr(macro, name))
    _positive("stage_widths", *macro.stage_widths)
    _positive("stage_repeats", *macro.stage_repeats)
    if macro.first_width is not None:
        _positive("first_width", macro.first_width)
    widths = (macro.stem_width, *macro.stage_widths)
    if even_widths and any(width % 2 for width in widths):
        raise UserError(
            "Two groups need even stem_width and stage_widths; got "
            f"{macro.stem_width} and {macro.stage_widths}."
        )
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
