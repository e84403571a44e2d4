"""What families of spaces share: the sizes of a network that are not chosen."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from spos_tf.errors import UserError
from spos_tf.ops.protocol import INPUT_KINDS

# Far beyond any network. Larger ones, as in a damaged file, would not be
# refused but counted, block by block.
MOST = 10**6
MOST_BLOCKS = 1000


@dataclasses.dataclass(frozen=True)
class Macro:
    """Everything about the network that is not chosen.

    The fields are the arguments of a space, beside `preset`.

    Attributes:
        image_size: Pixels.
        num_classes: Logits.
        stem_width: Channels of the stem.
        stem_stride: 1 or 2.
        stage_widths: Output channels of every stage.
        stage_repeats: Blocks of every stage.
        stage_strides: Stride of every stage's first block, 1 or 2.
        dropout: Rate before the classifier.
        input_kind: See `ops.protocol.INPUT_KINDS`.
    """

    image_size: int
    num_classes: int
    stem_width: int
    stem_stride: int
    stage_widths: tuple[int, ...]
    stage_repeats: tuple[int, ...]
    stage_strides: tuple[int, ...]
    dropout: float
    input_kind: str


@dataclasses.dataclass(frozen=True)
class WidenedMacro(Macro):
    """A macro whose networks widen before the pool.

    Attributes:
        last_width: Channels there.
    """

    last_width: int


_Macro = TypeVar("_Macro", bound=Macro)


def with_arguments(
    name: str,
    presets: Mapping[str, _Macro],
    preset: str,
    arguments: Mapping[str, Any],
) -> tuple[_Macro, dict[str, Any]]:
    """A preset's macro with some values replaced.

    Args:
        name: Of the space.
        presets: By name; the first is the paper's network.
        preset: One of them.
        arguments: By field.

    Returns:
        The macro, and the arguments that tell it from the paper's.

    Raises:
        UserError: There is no such argument, or a value is out of its range.
    """
    base = presets[preset]
    fields = [field.name for field in dataclasses.fields(base)]
    for argument in arguments:
        if argument not in fields:
            raise UserError(
                f"Space {name!r} has no argument {argument!r}. "
                f"Its arguments are: preset, {', '.join(fields)}."
            )
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, (list, tuple)) else value
        for key, value in arguments.items()
    }
    macro = dataclasses.replace(base, **given)
    _check(macro)
    differ = {
        key: value
        for key, value in given.items()
        if value != getattr(base, key)
    }
    if preset != next(iter(presets)):
        differ["preset"] = preset
    return macro, differ


def check_positive(name: str, *values: Any) -> None:
    """Refuses what is no whole number of at least 1.

    Raises:
        UserError: It is not.
    """
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(
                f"{name} takes positive whole numbers; got {value!r}."
            )
        if value > MOST:
            raise UserError(
                f"{name} takes whole numbers up to {MOST:,}; got {value:,}."
            )


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
    for name in ("image_size", "num_classes", "stem_width"):
        check_positive(name, getattr(macro, name))
    if isinstance(macro, WidenedMacro):
        check_positive("last_width", macro.last_width)
    check_positive("stage_widths", *macro.stage_widths)
    check_positive("stage_repeats", *macro.stage_repeats)
    blocks = sum(macro.stage_repeats)
    if blocks > MOST_BLOCKS:
        raise UserError(
            f"stage_repeats are up to {MOST_BLOCKS:,} blocks; got {blocks:,}."
        )
    for stride in (macro.stem_stride, *macro.stage_strides):
        if type(stride) is not int or stride not in (1, 2):
            raise UserError(f"Strides are 1 or 2; got {stride!r}.")
    number = type(macro.dropout) in (int, float)
    if not number or not 0 <= macro.dropout < 1:
        raise UserError(f"A dropout rate is in [0, 1); got {macro.dropout!r}.")
    if macro.input_kind not in INPUT_KINDS:
        raise UserError(
            f"input_kind is one of {INPUT_KINDS}; got {macro.input_kind!r}."
        )
