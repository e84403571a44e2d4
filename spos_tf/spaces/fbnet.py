"""FBNet's space, as its released networks of 2019 are built (Table 5).

Structure: the text graphs of facebookresearch/mobile-vision at 4826a08
(2019-05-20). Blocks of expansion 1 have the first 1x1 convolution, `g2` has
two groups in both 1x1 convolutions and a shuffle after the first, and `k33`
is two 3x3 depthwise convolutions in a row. The nine candidates of FBNet's
paper do not have `k33e6`; the released FBNet-B and FBNet-C do. The definition
of 2020 is another structure, and third-party copies differ again.

FBNet's paper, and Table 5 with it, gives FBNet-B 4.5M parameters and FBNet-C
375M multiply-adds. No released network has these; by its own README and by
this count B has 4.8M and C 383M.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from spos_tf.blocks.mobile import Identity, InvertedResidual, Style
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.ops.protocol import Block
from spos_tf.spaces._macro import WidenedMacro, with_arguments
from spos_tf.spaces._mobile_blueprint import mobile_blueprint
from spos_tf.spaces._registry import NamedNetwork

STYLE = Style()
# The block's arguments by option; None: skip.
_BLOCKS: Mapping[str, Mapping[str, Any] | None] = {
    "k3e1": {"kernel_size": 3, "expansion": 1},
    "k3e1g2": {"kernel_size": 3, "expansion": 1, "groups": 2},
    "k3e3": {"kernel_size": 3, "expansion": 3},
    "k3e6": {"kernel_size": 3, "expansion": 6},
    "k5e1": {"kernel_size": 5, "expansion": 1},
    "k5e1g2": {"kernel_size": 5, "expansion": 1, "groups": 2},
    "k5e3": {"kernel_size": 5, "expansion": 3},
    "k5e6": {"kernel_size": 5, "expansion": 6},
    "skip": None,
    "k33e6": {"kernel_size": 3, "expansion": 6, "num_depthwise": 2},
}
OPTIONS = tuple(_BLOCKS)

_IMAGENET = WidenedMacro(
    image_size=224,
    num_classes=1000,
    stem_width=16,
    stem_stride=2,
    stage_widths=(16, 24, 32, 64, 112, 184, 352),
    stage_repeats=(1, 4, 4, 4, 4, 4, 1),
    stage_strides=(1, 2, 2, 2, 1, 2, 1),
    last_width=1984,
    dropout=0.2,
    input_kind="standard",
)
PRESETS = {
    "imagenet": _IMAGENET,
    # Narrow enough for two CPU cores; three halvings, since 32 px collapse
    # under five.
    "cifar": dataclasses.replace(
        _IMAGENET,
        image_size=32,
        num_classes=10,
        stem_width=8,
        stem_stride=1,
        stage_widths=(8, 12, 16, 24, 40, 64, 112),
        stage_strides=(1, 2, 1, 2, 1, 2, 1),
        last_width=256,
        dropout=0.1,
    ),
    "demo": dataclasses.replace(
        _IMAGENET,
        image_size=8,
        num_classes=10,
        stem_width=8,
        stem_stride=1,
        stage_widths=(8, 16),
        stage_repeats=(2, 3),
        stage_strides=(1, 2),
        last_width=64,
        dropout=0.0,
    ),
}


def _branches(
    width: int, strides: int, may_skip: bool
) -> Sequence[Block | None]:
    skip = Identity() if may_skip else None
    return [
        skip
        if arguments is None
        else InvertedResidual(
            **arguments, out_channels=width, style=STYLE, strides=strides
        )
        for arguments in _BLOCKS.values()
    ]


def _fbnet(*, preset: str = "imagenet", **arguments: Any) -> Blueprint:
    """The space; arguments are fields of `WidenedMacro`.

    stem_width and stage_widths are even; last_width is 1504 in FBNet-A.
    """
    macro, differ = with_arguments("fbnet", PRESETS, preset, arguments)
    if any(width % 2 for width in (macro.stem_width, *macro.stage_widths)):
        raise UserError(
            "Two groups need even stem_width and stage_widths; got "
            f"{macro.stem_width} and {macro.stage_widths}."
        )
    return mobile_blueprint(
        "fbnet",
        macro,
        differ,
        options=OPTIONS,
        branches_of=_branches,
        style=STYLE,
    )


SPACES = {"fbnet": _fbnet}


def _network(ops: str, last_width: int | None = None) -> NamedNetwork:
    encoding = tuple(OPTIONS.index(op) for op in ops.split())
    arguments = {} if last_width is None else {"last_width": last_width}
    return NamedNetwork("fbnet", encoding, arguments)


# The released FBNet-A, -B and -C of 2019.
NETWORKS: Mapping[str, NamedNetwork] = {
    "fbnet_a": _network(
        "skip  k3e3 k3e1 skip skip  k5e6 k3e3 k5e1 k3e3 "
        "k5e6 k5e3 k3e1g2 k5e6  k3e6 k3e1g2 k5e3 k3e1g2 "
        "k5e6 k5e6 k5e3 k5e6  k5e6",
        last_width=1504,
    ),
    "fbnet_b": _network(
        "k3e1  k3e6 k5e1 k3e1 k3e1  k5e6 k5e3 k3e6 k33e6 "
        "k5e6 k5e1 skip k5e3  k5e6 k3e1 k5e1 k5e3 "
        "k5e6 k5e1 k5e6 k5e6  k3e6"
    ),
    "fbnet_c": _network(
        "k3e1  k3e6 skip k3e1 k3e1  k5e6 k5e3 k33e6 k3e6 "
        "k5e6 k5e3 k5e6 k5e6  k5e6 k33e6 k5e6 k5e3 "
        "k5e6 k5e6 k5e6 k5e6  k3e6"
    ),
}
