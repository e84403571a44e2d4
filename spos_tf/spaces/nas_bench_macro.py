"""NAS-Bench-Macro: eight layers, three options, the truth of all 6,561 codes.

Structure: train/model.py of github.com/xiusu/NAS-Bench-Macro (Apache-2.0) at
61a2bfc, the benchmark of MCT-NAS (arXiv 2103.11922). Multiply-adds and params
are the benchmark's for all codes. Its padding is symmetric; ours is
TensorFlow's "same", so that the windows of convolutions of stride 2 lie one
pixel apart.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from spos_tf.blocks.mobile import Identity, InvertedResidual, Projection, Style
from spos_tf.networks.blueprint import Blueprint
from spos_tf.ops.protocol import Block
from spos_tf.spaces._macro import WidenedMacro, with_arguments
from spos_tf.spaces._mobile_blueprint import mobile_blueprint

# In the order of the benchmark's digits.
OPTIONS = ("identity", "k3e3", "k5e6")
STYLE = Style()

_BENCHMARK = WidenedMacro(
    image_size=32,
    num_classes=10,
    stem_width=32,
    stem_stride=1,
    stage_widths=(64, 128, 256),
    stage_repeats=(2, 3, 3),
    stage_strides=(2, 2, 2),
    last_width=1280,
    dropout=0.0,
    input_kind="standard",
)
PRESETS = {
    # The benchmark's network.
    "cifar": _BENCHMARK,
    "demo": dataclasses.replace(
        _BENCHMARK,
        image_size=8,
        stem_width=8,
        stage_widths=(8, 16),
        stage_repeats=(2, 3),
        stage_strides=(1, 2),
        last_width=64,
    ),
}


def _branches(width: int, strides: int, may_skip: bool) -> Sequence[Block]:
    return (
        # Legal everywhere: where the shape changes it has weights.
        Identity() if may_skip else Projection(width, STYLE, strides),
        InvertedResidual(3, 3, width, STYLE, strides),
        InvertedResidual(5, 6, width, STYLE, strides),
    )


def _nas_bench_macro(*, preset: str = "cifar", **arguments: Any) -> Blueprint:
    """The space; arguments are fields of `WidenedMacro`.

    With `stem_stride=2` a path costs a quarter.
    """
    macro, differ = with_arguments(
        "nas_bench_macro", PRESETS, preset, arguments
    )
    return mobile_blueprint(
        "nas_bench_macro",
        macro,
        differ,
        options=OPTIONS,
        branches_of=_branches,
        style=STYLE,
    )


SPACES = {"nas_bench_macro": _nas_bench_macro}
