"""Channel-Bench-Macro, MobileNet family: widths in quarters, and their truth.

Structure: github.com/xiusu/Channel-Bench-Macro at 4ff596e, the benchmark of
BCNetV2 (arXiv 2203.13714), seven widths of 1 to 4 quarters. Multiply-adds and
params are the benchmark's. A supernet shares the weights of widths inside a
block: the widths of the two stages are arguments, and the five others are
choices. Padding is TensorFlow's "same"; see `nas_bench_macro`.
"""

import dataclasses
from typing import Any

from spos_tf.blocks.mobile import MobileHead, MobileStem, Style, WideResidual
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.ops.protocol import ElasticWidth
from spos_tf.space import Choice, SearchSpace
from spos_tf.spaces._macro import WidenedMacro, check_positive, with_arguments

# In the order of the benchmark's digits, 1 to 4.
OPTIONS = (0.25, 0.5, 0.75, 1.0)
_PARTS = len(OPTIONS)
STYLE = Style()


@dataclasses.dataclass(frozen=True)
class ChannelMacro(WidenedMacro):
    """A macro whose widths are taken in quarters.

    Attributes:
        expansion: Inner width at four quarters, as a multiple of the full
            width of the stage that a block takes its input from.
        stage_quarters: Width of every stage, 1 to 4 quarters of
            `stage_widths`; the first is that of the stem too.
    """

    expansion: int
    stage_quarters: tuple[int, ...]


_BENCHMARK = ChannelMacro(
    image_size=32,
    num_classes=10,
    stem_width=128,
    stem_stride=2,
    stage_widths=(128, 256),
    stage_repeats=(2, 2),
    stage_strides=(1, 2),
    last_width=1024,
    dropout=0.0,
    input_kind="standard",
    expansion=6,
    stage_quarters=(4, 4),
)
PRESETS = {
    # The benchmark's network.
    "cifar": _BENCHMARK,
    # A sixteenth of the multiply-adds.
    "quarter": dataclasses.replace(
        _BENCHMARK, stem_width=32, stage_widths=(32, 64), last_width=256
    ),
    "demo": dataclasses.replace(
        _BENCHMARK,
        image_size=8,
        stem_width=16,
        stem_stride=1,
        stage_widths=(16, 32),
        last_width=64,
    ),
}


def _channel_bench_macro(
    *, preset: str = "cifar", **arguments: Any
) -> Blueprint:
    """The space; arguments are fields of `ChannelMacro`."""
    macro, differ = with_arguments(
        "channel_bench_macro", PRESETS, preset, arguments
    )
    _check(macro)
    widths = [
        width * quarters // _PARTS
        for width, quarters in zip(
            macro.stage_widths, macro.stage_quarters, strict=True
        )
    ]
    stem = MobileStem(widths[0], macro.stem_stride, macro.input_kind, STYLE)
    choices = [Choice("stem.width", OPTIONS)]
    legal: list[tuple[int, ...]] = [(macro.stage_quarters[0] - 1,)]
    body = [Segment("stem", _only(stem, macro.stage_quarters[0]), "stem.width")]
    full = macro.stage_widths[0]
    for stage, width in enumerate(widths):
        for block in range(macro.stage_repeats[stage]):
            slot = f"stage{stage + 1}.block{block + 1}"
            one = WideResidual(
                3,
                _quarters(macro.expansion * full),
                width,
                STYLE,
                1 if block else macro.stage_strides[stage],
            )
            full = macro.stage_widths[stage]
            branches: tuple[WideResidual | None, ...] = (one,)
            structural = None
            if stage and block == 1:
                # The stage's width stands where the benchmark has it.
                structural = f"stage{stage + 1}.channels"
                branches = _only(one, macro.stage_quarters[stage])
                choices.append(Choice(structural, OPTIONS))
                legal.append((macro.stage_quarters[stage] - 1,))
            choices.append(Choice(f"{slot}.width", OPTIONS))
            legal.append(tuple(range(_PARTS)))
            body.append(Segment(slot, branches, structural, (f"{slot}.width",)))
    choices.append(Choice("head.width", OPTIONS))
    legal.append(tuple(range(_PARTS)))
    head = MobileHead(
        _quarters(macro.last_width), macro.num_classes, macro.dropout, STYLE
    )
    body.append(Segment("head", (head,), elastic=("head.width",)))
    return Blueprint(
        search_space=SearchSpace(
            "channel_bench_macro", tuple(choices), tuple(legal)
        ),
        space_arguments=differ,
        image_size=macro.image_size,
        num_classes=macro.num_classes,
        segments=tuple(body),
        stage_widths=macro.stage_widths,
    )


def _quarters(full: int) -> ElasticWidth:
    """One to four quarters of a width."""
    return ElasticWidth(
        tuple(full * part // _PARTS for part in range(1, _PARTS + 1))
    )


def _only(block: Any, quarters: int) -> tuple[Any, ...]:
    """Branches of which one is legal: outputs of others have other shapes."""
    return tuple(
        block if part == quarters else None for part in range(1, _PARTS + 1)
    )


def _check(macro: ChannelMacro) -> None:
    check_positive("expansion", macro.expansion)
    if not isinstance(macro.stage_quarters, tuple) or len(
        macro.stage_quarters
    ) != len(macro.stage_widths):
        raise UserError(
            "stage_quarters has one value a stage; got "
            f"{macro.stage_quarters!r}."
        )
    check_positive("stage_quarters", *macro.stage_quarters)
    if max(macro.stage_quarters) > _PARTS:
        raise UserError(
            f"stage_quarters are 1 to {_PARTS}; got {macro.stage_quarters}."
        )
    for width in (*macro.stage_widths, macro.last_width):
        if width % _PARTS:
            raise UserError(
                f"Widths in quarters are multiples of {_PARTS}; got {width}."
            )
    if macro.stem_width != macro.stage_widths[0]:
        raise UserError(
            "The stem has the first stage's width; got stem_width "
            f"{macro.stem_width} and stage_widths {macro.stage_widths}."
        )
    if any(repeats < 2 for repeats in macro.stage_repeats[1:]):
        raise UserError(
            "Every stage but the first has at least two blocks; got "
            f"stage_repeats {macro.stage_repeats}."
        )


SPACES = {"channel_bench_macro": _channel_bench_macro}
