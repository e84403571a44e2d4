"""ProxylessNAS's space, in the four widths that were released (Table 5).

Structure and widths are those of the official code and configurations
(mit-han-lab/proxylessnas, han-cai/files): a fixed block without expansion
after the stem, ReLU6, batch-norm epsilon 1e-3, classifier with bias. The paper
does not say which widths its supernet had, and prints 7^21 architectures;
where a block halves the image or changes the width there is nothing to skip
to, so there are 7^15 x 6^6. The 5.3M parameters that the paper's Table 5 has
for ProxylessNAS (GPU) are not those of the released network, whose 465M
multiply-adds agree and which has 7,119,848 parameters.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from spos_tf.blocks.mobile import Identity, InvertedResidual, Style
from spos_tf.networks.blueprint import Blueprint
from spos_tf.ops.protocol import Block
from spos_tf.spaces._macro import WidenedMacro, check_positive, with_arguments
from spos_tf.spaces._mobile_blueprint import mobile_blueprint
from spos_tf.spaces._registry import NamedNetwork

# (kernel size, expansion) of every option but the last.
_BLOCKS = ((3, 3), (5, 3), (7, 3), (3, 6), (5, 6), (7, 6))
OPTIONS = (*(f"k{kernel}e{times}" for kernel, times in _BLOCKS), "skip")
STYLE = Style(relu_maximum=6.0, epsilon=1e-3)


@dataclasses.dataclass(frozen=True)
class ProxylessMacro(WidenedMacro):
    """A macro with a fixed block between stem and stages.

    Attributes:
        first_width: Channels after that block.
    """

    first_width: int


_DEFAULT = ProxylessMacro(
    image_size=224,
    num_classes=1000,
    stem_width=32,
    stem_stride=2,
    first_width=16,
    stage_widths=(24, 40, 80, 96, 192, 320),
    stage_repeats=(4, 4, 4, 4, 4, 1),
    stage_strides=(2, 2, 2, 1, 2, 1),
    last_width=1280,
    dropout=0.0,
    input_kind="standard",
)
MACROS = {
    "proxyless_default": _DEFAULT,
    "proxyless_mobile": dataclasses.replace(
        _DEFAULT, stage_widths=(32, 40, 80, 96, 192, 320)
    ),
    "proxyless_gpu": dataclasses.replace(
        _DEFAULT,
        stem_width=40,
        first_width=24,
        stage_widths=(32, 56, 112, 128, 256, 432),
        last_width=1728,
    ),
    "proxyless_cpu": dataclasses.replace(
        _DEFAULT,
        stem_width=40,
        first_width=24,
        stage_widths=(32, 48, 88, 104, 216, 360),
        last_width=1432,
    ),
}


def _narrow(width: int) -> int:
    """0.35 of a width, to a multiple of 4."""
    return max(8, round(0.35 * width / 4) * 4)


def _presets(macro: ProxylessMacro) -> dict[str, ProxylessMacro]:
    return {
        "imagenet": macro,
        # Narrow enough for two CPU cores; three halvings, since 32 px
        # collapse under five.
        "cifar": dataclasses.replace(
            macro,
            image_size=32,
            num_classes=10,
            stem_width=_narrow(macro.stem_width),
            stem_stride=1,
            first_width=_narrow(macro.first_width),
            stage_widths=tuple(map(_narrow, macro.stage_widths)),
            stage_strides=(2, 2, 1, 1, 2, 1),
            last_width=256,
        ),
        # The same for all four: large enough to learn the digits.
        "demo": dataclasses.replace(
            macro,
            image_size=8,
            num_classes=10,
            stem_width=8,
            stem_stride=1,
            first_width=8,
            stage_widths=(8, 16),
            stage_repeats=(2, 3),
            stage_strides=(1, 2),
            last_width=64,
        ),
    }


PRESETS = _presets(_DEFAULT)


def _branches(
    width: int, strides: int, may_skip: bool
) -> Sequence[Block | None]:
    blocks = [
        InvertedResidual(kernel, times, width, STYLE, strides)
        for kernel, times in _BLOCKS
    ]
    return (*blocks, Identity() if may_skip else None)


def _proxyless(
    name: str, /, *, preset: str = "imagenet", **arguments: Any
) -> Blueprint:
    """One of the four spaces; arguments are fields of `ProxylessMacro`."""
    macro, differ = with_arguments(
        name, _presets(MACROS[name]), preset, arguments
    )
    check_positive("first_width", macro.first_width)
    first = InvertedResidual(3, 1, macro.first_width, STYLE, expands=False)
    return mobile_blueprint(
        name,
        macro,
        differ,
        options=OPTIONS,
        branches_of=_branches,
        style=STYLE,
        first=first,
    )


SPACES = {name: functools.partial(_proxyless, name) for name in MACROS}


def _network(space: str, ops: str) -> NamedNetwork:
    encoding = [OPTIONS.index(op) for op in ops.split()]
    return NamedNetwork(space, tuple(encoding))


# The released networks "Proxyless-R (mobile)" and "Proxyless (GPU)".
NETWORKS: Mapping[str, NamedNetwork] = {
    "proxyless_mobile": _network(
        "proxyless_mobile",
        "k5e3 k3e3 skip skip  k7e3 k3e3 k5e3 k5e3  k7e6 k5e3 k5e3 k5e3 "
        "k5e6 k5e3 k5e3 k5e3  k7e6 k7e6 k7e3 k7e3  k7e6",
    ),
    "proxyless_gpu": _network(
        "proxyless_gpu",
        "k5e3 skip skip skip  k7e3 skip skip k3e3  k7e6 skip skip k5e3 "
        "k5e6 skip k3e3 k5e3  k7e6 k7e6 k7e6 k5e6  k7e6",
    ),
}
