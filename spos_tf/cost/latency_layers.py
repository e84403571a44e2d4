"""Latency tables of ProxylessNAS and Once-for-All: one entry a layer.

Their keys describe a layer by its shapes, for example
`expanded_conv-input:56x56x24-output:28x28x40-expand:3-kernel:5-stride:2-
idskip:0`; `mean` is in milliseconds. `expand` is a ratio of the input's
channels in ProxylessNAS and the number of inner channels in Once-for-All,
which also says `se` (squeeze and excitation) and `hs` (hard swish).
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from spos_tf.cost.latency_entries import check_latency
from spos_tf.cost.table import SlotOption
from spos_tf.errors import UserError
from spos_tf.ops.shape_ops import Shape, ShapeOps

# Few digits: Python takes no time for them, and no layer has more.
_N = "[0-9]{1,9}"
_KEY = re.compile(
    rf"(?P<kind>\w+)-input:(?P<input>{_N}(x{_N})*)-output:(?P<output>{_N}(x{_N})*)"
    rf"(-expand:(?P<expand>{_N})-kernel:(?P<kernel>{_N})-stride:(?P<stride>{_N})"
    r"-idskip:(?P<idskip>[01]))?(-se:(?P<se>[01])-hs:(?P<hs>[01]))?"
)


class Layer(NamedTuple):
    """What these tables have an entry for.

    Attributes:
        kind: `Conv` (stem), `expanded_conv`, `Conv_1` (1x1 before the pool),
            `AvgPool2D` or `Logits`.
        input_shape: (height, width, channels).
        output_shape: The same, or (classes,).
        settings: Of an expanded_conv: inner channels, kernel size, stride,
            and whether its input is added to its output.
    """

    kind: str
    input_shape: Shape
    output_shape: Shape
    settings: tuple[int, ...] = ()

    def __str__(self) -> str:
        sizes = ["x".join(map(str, shape)) for shape in self[1:3]]
        key = f"{self.kind}-input:{sizes[0]}-output:{sizes[1]}"
        if self.settings:
            inner, kernel, stride, idskip = self.settings
            ratio = f"{inner / self.input_shape[-1]:g}"
            key += (
                f"-expand:{ratio}-kernel:{kernel}-stride:{stride}"
                f"-idskip:{idskip}"
            )
        return key


@dataclasses.dataclass(frozen=True)
class LayerTable:
    """Milliseconds of layers.

    Attributes:
        latencies: By layer.
        source: The file, for messages.
    """

    latencies: Mapping[Layer, float]
    source: str

    def latency_of(self, option: SlotOption) -> float | None:
        """The sum over the part's layers; None where one is missing.

        A part that does nothing (a skip) costs 0.
        """
        for layers in _readings(option):
            if all(layer in self.latencies for layer in layers):
                return float(sum(self.latencies[layer] for layer in layers))
        return None

    def name_of(self, option: SlotOption) -> str:
        """The keys that are missing."""
        readings = _readings(option)
        if not readings:
            settings = " ".join(map(str, option.choices.values()))
            return f"{option.name} {settings} (not one of its layers)"
        return ", ".join(
            str(layer) for layer in readings[0] if layer not in self.latencies
        )

    @classmethod
    def from_dict(cls, data: Any, *, source: str) -> "LayerTable":
        """Checks parsed YAML.

        Args:
            data: `is_layer_table(data)` holds.
            source: Where it came from, for messages.

        Raises:
            UserError: A key or a latency cannot be read.
        """
        parsed: list[tuple[str, re.Match[str], float]] = []
        for key, entry in data.items():
            found = _KEY.fullmatch(str(key))
            if found is None or not isinstance(entry, dict):
                raise UserError(
                    "Keys of a layer latency table are such as 'Conv-input:"
                    "224x224x3-output:112x112x32', each with a `mean`; "
                    f"{source} has {str(key)[:100]!r}. Correct it."
                )
            mean = check_latency(entry.get("mean"), str(key), source)
            parsed.append((str(key), found, mean))
        expansions = [
            (int(found["expand"]), _sizes(found["input"])[-1])
            for _, found, _ in parsed
            if found["expand"]
        ]
        # Inner channels are never fewer than the input's; ratios are small.
        is_ratio = all(expand < channels for expand, channels in expansions)
        latencies: dict[Layer, float] = {}
        for key, found, mean in parsed:
            # No space here has squeeze and excitation or hard swish.
            if "1" in (found["se"], found["hs"]):
                continue
            layer = _layer(found, is_ratio)
            if layer in latencies:
                raise UserError(
                    "A latency table has one entry a layer; "
                    f"{source} has two for {key!r}. Delete one."
                )
            latencies[layer] = mean
        return cls(latencies, source)


def is_layer_table(data: Any) -> bool:
    """Whether parsed YAML means to be such a table."""
    return isinstance(data, dict) and any("-input:" in str(k) for k in data)


def _sizes(text: str) -> Shape:
    return tuple(map(int, text.split("x")))


def _layer(found: "re.Match[str]", is_ratio: bool) -> Layer:
    shapes = _sizes(found["input"]), _sizes(found["output"])
    if not found["expand"]:
        return Layer(found["kind"], *shapes)
    inner = int(found["expand"]) * (shapes[0][-1] if is_ratio else 1)
    settings = (int(found[name]) for name in ("kernel", "stride", "idskip"))
    return Layer(found["kind"], *shapes, (inner, *settings))


class _Step(NamedTuple):
    """One operation of a block that does work."""

    kind: str
    input_shape: Shape
    output_shape: Shape
    kernel_size: int
    strides: int


# Part of the convolution before them in every runtime, or free.
_FREE = ("batch_norm", "relu", "normalize", "dropout", "channels")


class _Recorder:
    """The `Ops` of shapes that notes every step.

    It knows no block by its class: whatever does the same work is the same
    layer. An operation that these tables do not have is noted as well, so
    that the block matches nothing.
    """

    def __init__(self) -> None:
        self._ops = ShapeOps()
        self.steps: list[_Step] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        apply: Callable[..., Any] = getattr(self._ops, name)

        def noted(x: Any, *args: Any, **kwargs: Any) -> Any:
            y = apply(x, *args, **kwargs)
            if name in _FREE:
                return y
            self.steps.append(
                _Step(
                    name,
                    x,
                    y,
                    _kernel(name, args, kwargs),
                    int(kwargs.get("strides", 1)),
                )
            )
            return y

        return noted


def _kernel(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    given = {"conv": args[1:2], "depthwise": args[:1]}.get(name, ())
    return int(kwargs.get("kernel_size", given[0] if given else 1))


def _readings(option: SlotOption) -> list[list[Layer]]:
    """The part as layers, in the one or two ways that tables have them."""
    block: Any = option.block
    return _layers(block, option.input_shape)


@functools.lru_cache(maxsize=4096)
def _layers(block: Any, shape: Shape) -> list[list[Layer]]:
    recorder = _Recorder()
    output = block(recorder, shape)
    steps = recorder.steps
    kinds = [step.kind for step in steps]
    if not steps:
        return [[]] if output == shape else []
    if kinds in (["conv", "depthwise", "conv"], ["depthwise", "conv"]) or (
        kinds[-1] == "add"
        and kinds[:-1] in (["conv", "depthwise", "conv"], ["depthwise", "conv"])
    ):
        return list(_expanded(steps, shape, output))
    if kinds == ["conv"]:
        kind = "Conv_1" if steps[0].kernel_size == 1 else "Conv"
        return [[Layer(kind, shape, output)]]
    before: list[Layer] = []
    if kinds[0] == "conv" and steps[0].kernel_size == 1:
        before = [Layer("Conv_1", shape, steps[0].output_shape)]
        steps, kinds = steps[1:], kinds[1:]
    if kinds != ["global_average_pool", "dense"]:
        return []
    pool, dense = steps
    pooled = (1, 1, pool.output_shape[-1])
    return [
        [*before, Layer("Logits", pool.input_shape, dense.output_shape)],
        [
            *before,
            Layer("AvgPool2D", pool.input_shape, pooled),
            Layer("Logits", pooled, dense.output_shape),
        ],
    ]


def _expanded(
    steps: list[_Step], shape: Shape, output: Shape
) -> Iterator[list[Layer]]:
    """An inverted residual, if its convolutions are 1x1."""
    (depthwise,) = (step for step in steps if step.kind == "depthwise")
    if any(s.kernel_size != 1 for s in steps if s.kind == "conv"):
        return
    # Without expansion these networks have no first convolution.
    if steps[0].kind == "conv" and depthwise.input_shape[-1] == shape[-1]:
        return
    settings = (
        depthwise.input_shape[-1],
        depthwise.kernel_size,
        depthwise.strides,
        int(steps[-1].kind == "add"),
    )
    yield [Layer("expanded_conv", shape, output, settings)]
