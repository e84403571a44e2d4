"""ResNets whose blocks choose a width and bits (paper, Table 6).

The networks are the usual ones of basic blocks (torchvision's resnet18 and
resnet34); the width that is chosen is that of a block's first convolution.
First convolution and classifier stay float.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from spos_tf.blocks.residual import ResidualBlock, ResidualHead
from spos_tf.blocks.shuffle import Stem
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.ops.protocol import (
    MOST_BITS,
    Bits,
    ElasticPrecision,
    ElasticWidth,
    Precision,
)
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces._macro import Macro, check_positive, with_arguments
from spos_tf.spaces._registry import NamedNetwork

WIDTHS = (0.5, 1.0, 1.5)
PRECISIONS = ((1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4))
CLIPS = ("by_bits", "shared")
_MOST_SHARE = 100


@dataclasses.dataclass(frozen=True)
class ResNetMacro(Macro):
    """A macro of residual blocks.

    Attributes:
        stem_kernel_size: Of the first convolution.
        stem_pool: Whether a 3x3 pool of stride 2 follows it.
        widths: Options of every block, as shares of the stage's width.
        precisions: Options of every block: bits of weights and of features;
            empty for a network in float.
        clip: `"by_bits"` learns a clip level for each number of bits,
            `"shared"` one for all of them.
    """

    stem_kernel_size: int
    stem_pool: bool
    widths: tuple[float, ...] = WIDTHS
    precisions: tuple[Any, ...] = PRECISIONS
    clip: str = "shared"


_IMAGENET = ResNetMacro(
    image_size=224,
    num_classes=1000,
    stem_width=64,
    stem_stride=2,
    stage_widths=(64, 128, 256, 512),
    stage_repeats=(2, 2, 2, 2),
    stage_strides=(1, 2, 2, 2),
    dropout=0.0,
    input_kind="standard",
    stem_kernel_size=7,
    stem_pool=True,
)
PRESETS = {
    "imagenet": _IMAGENET,
    # Narrow enough for two CPU cores.
    "cifar": dataclasses.replace(
        _IMAGENET,
        image_size=32,
        num_classes=10,
        stem_width=16,
        stage_widths=(16, 32, 64, 128),
        stem_kernel_size=3,
        stem_pool=False,
    ),
    "demo": dataclasses.replace(
        _IMAGENET,
        image_size=8,
        num_classes=10,
        stem_width=8,
        stem_stride=1,
        stage_widths=(8, 16),
        stage_repeats=(1, 2),
        stage_strides=(1, 2),
        stem_kernel_size=3,
        stem_pool=False,
    ),
}
_REPEATS = {"resnet18_bits": (2, 2, 2, 2), "resnet34_bits": (3, 4, 6, 3)}


def _presets(name: str) -> dict[str, ResNetMacro]:
    repeats = _REPEATS[name]
    return {
        preset: macro
        if len(macro.stage_widths) != len(repeats)
        else dataclasses.replace(macro, stage_repeats=repeats)
        for preset, macro in PRESETS.items()
    }


def _resnet(
    name: str, /, *, preset: str = "imagenet", **arguments: Any
) -> Blueprint:
    """One of the two spaces; arguments are fields of `ResNetMacro`."""
    macro, differ = with_arguments(name, _presets(name), preset, arguments)
    precisions = _precisions(macro)
    _check(macro)
    choices, body = [], []
    previous = macro.stem_width
    for stage, width in enumerate(macro.stage_widths):
        mid = ElasticWidth(
            tuple(max(1, int(width * scale)) for scale in macro.widths)
        )
        for block in range(macro.stage_repeats[stage]):
            slot = f"stage{stage + 1}.block{block + 1}"
            strides = 1 if block else macro.stage_strides[stage]
            own = [Choice(f"{slot}.width", macro.widths)]
            bits: Bits | None = None
            if precisions:
                pairs = tuple(tuple(one) for one in precisions)
                own.append(Choice(f"{slot}.bits", pairs))
                bits = ElasticPrecision(precisions, 1, macro.clip == "shared")
            choices += own
            body.append(
                Segment(
                    slot,
                    (
                        ResidualBlock(
                            width,
                            mid,
                            bits,
                            strides,
                            projects=strides > 1 or previous != width,
                        ),
                    ),
                    elastic=tuple(choice.name for choice in own),
                )
            )
            previous = width
    stem = Stem(
        macro.stem_width,
        macro.stem_stride,
        macro.input_kind,
        macro.stem_kernel_size,
        macro.stem_pool,
    )
    head = ResidualHead(macro.num_classes, macro.dropout)
    return Blueprint(
        search_space=SearchSpace(name, tuple(choices)),
        space_arguments=differ,
        image_size=macro.image_size,
        num_classes=macro.num_classes,
        segments=(Segment("stem", (stem,)), *body, Segment("head", (head,))),
        stage_widths=macro.stage_widths,
    )


def _precisions(macro: ResNetMacro) -> tuple[Precision, ...]:
    found = []
    if not isinstance(macro.precisions, tuple):
        raise UserError(
            "precisions is a list of pairs, bits of weights and of features; "
            f"got {macro.precisions!r}."
        )
    for pair in macro.precisions:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise UserError(
                "precisions is a list of pairs, bits of weights and of "
                f"features, such as [[2, 4]]; got {pair!r}."
            )
        for bits in pair:
            whole = isinstance(bits, int) and not isinstance(bits, bool)
            if not whole or not 1 <= bits <= MOST_BITS:
                raise UserError(
                    "Bits of weights and features are whole numbers from 1 "
                    f"to {MOST_BITS}; got {bits!r} in precisions."
                )
        found.append(Precision(*pair))
    if len(set(found)) != len(found):
        raise UserError(f"precisions repeats a pair: {macro.precisions}.")
    return tuple(found)


def _check(macro: ResNetMacro) -> None:
    scales = macro.widths
    fit = isinstance(scales, tuple) and scales
    if not fit or any(
        isinstance(scale, bool)
        or not isinstance(scale, (int, float))
        or not 0 < scale <= _MOST_SHARE
        for scale in scales
    ):
        raise UserError(
            "widths is a list of shares above 0 and up to "
            f"{_MOST_SHARE}, such as [0.5, 1.0]; got {scales!r}."
        )
    if len(set(scales)) != len(scales):
        raise UserError(f"widths repeats a share: {scales}.")
    check_positive("stem_kernel_size", macro.stem_kernel_size)
    if not isinstance(macro.stem_pool, bool):
        raise UserError(f"stem_pool is true or false; got {macro.stem_pool!r}.")
    if macro.clip not in CLIPS:
        raise UserError(f"clip is one of {CLIPS}; got {macro.clip!r}.")


SPACES = {name: functools.partial(_resnet, name) for name in _REPEATS}


def uniform(bits: int) -> dict[str, Any]:
    """Space arguments with which its only network is kWkA at full width."""
    return {"widths": [1.0], "precisions": [[bits, bits]]}


# The baselines of Table 6: kWkA.
NETWORKS = {
    f"{space.removesuffix('_bits')}_{bits}w{bits}a": NamedNetwork(
        space, None, always=uniform(bits)
    )
    for space in _REPEATS
    for bits in (2, 3, 4)
}
