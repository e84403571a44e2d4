"""A low-bit network as the few fused operations of an integer runtime.

The *deploy form*: batch norm is in the weights, ReLU and clipping in what
comes before them, and all that is left between two operations is on a grid of
8-bit integers. The graph is made from a trained network and shares its
variables: whatever reads it sees the weights of now.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NoReturn

import keras
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.lowbit.integer_nodes import (
    Add,
    Classifier,
    Conv,
    Image,
    IntegerGraph,
    MaxPool,
    Mean,
    Node,
)
from spos_tf.lowbit.ranges import (
    BatchNormRange,
    ClipRange,
    Grid,
    MeanRange,
    OperandRange,
    StoredRange,
    SumRange,
)
from spos_tf.networks.blueprint import Blueprint
from spos_tf.ops.protocol import RGB_MEAN, RGB_STD, Bits, Ops
from spos_tf.quantization import Pact
from spos_tf.quantization.integers import MOST_BITS


def integer_graph(
    model: keras.Model,
    blueprint: Blueprint,
    encoding: npt.ArrayLike,
    *,
    stored: bool = True,
) -> IntegerGraph:
    """The deploy form of a low-bit network.

    Args:
        model: From `build_subnet` or `build_deployable_subnet`; its variables
            are shared.
        blueprint: What it was built from.
        encoding: Likewise, int32 `[num_choices]`.
        stored: Whether the ranges that the network itself stores are taken,
            where there are any; else all are as wide as its weights make
            them.

    Raises:
        UserError: Nothing in it has few bits or a weight has 8, it has an
            operation that is not one of a deploy form, or a clip level is not
            above 0.
    """
    if not has_bits(model):
        raise UserError(
            "Deploy forms and low-bit files are for networks with bits; this "
            f"one of {blueprint.search_space.name!r} has none. Use "
            "`quantize=int8` or the format tflite_int8."
        )
    if not blueprint.is_chain:
        raise UserError(
            "Deploy forms and low-bit files are for networks whose blocks "
            f"follow each other; in {blueprint.search_space.name!r} several "
            "blocks are summed. Leave tflite_lowbit, onnx_qdq and onnx_deploy "
            "out."
        )
    x: Any = Image()
    for segment, block in zip(
        blueprint.segments, blueprint.blocks(encoding), strict=True
    ):
        x = block(_Reader(model, segment.name, stored), x)
    graph = IntegerGraph(
        tuple(_in_order(x)), blueprint.image_size, blueprint.num_classes
    )
    if any((conv.bits or 0) > MOST_BITS for conv in graph.convolutions):
        raise UserError(
            f"Low-bit files hold weights of 1 to {MOST_BITS} bits; this "
            "network has weights of 8 bits, whose levels (odd numbers up to "
            "255) do not fit into int8. Leave tflite_lowbit, onnx_qdq and "
            "onnx_deploy out."
        )
    return graph


def has_bits(model: keras.Model) -> bool:
    """Whether a network has features of few bits."""
    return any(isinstance(layer, Pact) for layer in model.layers)


def rounding_name(name: str) -> str:
    """Name of the layer that rounds what a layer of this name makes."""
    return f"{name}.rounded"


def _in_order(last: Node) -> Iterator[Node]:
    seen: set[int] = set()

    def visit(node: Node) -> Iterator[Node]:
        if id(node) in seen:
            return
        seen.add(id(node))
        for source in node.sources:
            yield from visit(source)
        yield node

    return visit(last)


def _finished(node: Any, grid: Grid) -> Any:
    """A node that is told its grid, and its operands theirs."""
    if isinstance(node, MaxPool):
        return dataclasses.replace(node, source=_finished(node.source, grid))
    if isinstance(node, Conv):
        if node.norm is None:
            _refuse(f"a convolution ({node.name!r}) without batch norm")
        if node.rectified and not isinstance(grid, ClipRange):
            _refuse(f"a ReLU between {node.name!r} and a sum")
        return dataclasses.replace(node, grid=grid)
    if not isinstance(node, Add) or isinstance(grid, OperandRange | MeanRange):
        _refuse(type(node).__name__.lower())
    operands = node.left, node.right
    ranges = [_range(one) for one in operands]
    sides = []
    for position, one in enumerate(operands):
        if one.grid is None:
            side = OperandRange(ranges[position], ranges[1 - position], grid)
            own = StoredRange(one.rounding) if one.rounding else side
            one = _finished(one, own)
        sides.append(one)
    return dataclasses.replace(node, left=sides[0], right=sides[1], grid=grid)


def _range(node: Any) -> BatchNormRange | ClipRange:
    """What says where the values of a sum's operand lie."""
    if isinstance(node, Conv) and node.norm and node.grid is None:
        return BatchNormRange(node.norm)
    if isinstance(node.grid, ClipRange):
        return node.grid
    _refuse("sum")


def _refuse(what: str) -> NoReturn:
    raise UserError(
        "A deploy form is made of residual blocks: convolutions with batch "
        "norm and clipping, sums, a pool, a classifier; this network has "
        f"{what} where none is allowed. Leave tflite_lowbit, onnx_qdq and "
        "onnx_deploy out."
    )


class _Reader(Ops[Any]):
    """The `Ops` of nodes; a grid is known once what follows is."""

    def __init__(self, model: keras.Model, path: str, stored: bool) -> None:
        self._layers = {layer.name: layer for layer in model.layers}
        self._path = path
        self._stored = stored

    def refuse(self, operation: str) -> NoReturn:
        _refuse(f"the operation {operation!r}")

    def _layer(self, name: str) -> Any:
        return self._layers[f"{self._path}.{name}"]

    def _rounding(self, name: str) -> Any:
        """The layer that rounds something of this name, if there is one."""
        if not self._stored:
            return None
        return self._layers.get(rounding_name(f"{self._path}.{name}"))

    def normalize(self, x: Any, kind: str, *, name: str) -> Any:
        rounds = self._rounding("pixels") is not None
        if kind == "bgr":
            return Image(order=(2, 1, 0), rounds=rounds)
        return Image(mean=RGB_MEAN, std=RGB_STD, rounds=rounds)

    def conv(
        self,
        x: Any,
        *args: Any,
        strides: int = 1,
        bits: Bits | None = None,
        name: str,
        **kwargs: Any,
    ) -> Any:
        of_levels = isinstance(getattr(x, "grid", None), ClipRange)
        if bits is None and not isinstance(x, Image):
            _refuse(f"a convolution ({name!r}) in float")
        if bits is not None and not of_levels:
            _refuse(f"a low-bit convolution ({name!r}) of float features")
        return Conv(x, self._layer(name), strides)

    def batch_norm(self, x: Any, *, epsilon: float = 1e-5, name: str) -> Any:
        if not isinstance(x, Conv) or x.norm is not None:
            _refuse(f"a batch norm ({name!r})")
        return dataclasses.replace(
            x, norm=self._layer(name), rounding=self._rounding(name)
        )

    def relu(self, x: Any, *, maximum: float | None = None) -> Any:
        if maximum is not None or not isinstance(x, Conv | Add):
            _refuse("a ReLU")
        # What follows a sum clips at zero in any case.
        return (
            dataclasses.replace(x, rectified=True) if isinstance(x, Conv) else x
        )

    def clip(self, x: Any, bits: Bits, *, name: str) -> Any:
        return _finished(x, ClipRange(self._layer(name)))

    def max_pool(self, x: Any, size: int, *, strides: int) -> Any:
        return MaxPool(x, size, strides)

    def add(self, x: Any, y: Any) -> Any:
        return Add(x, y)

    def global_average_pool(self, x: Any) -> Any:
        if not isinstance(x, Add):
            _refuse("a mean")
        total, mean = self._rounding("total"), self._rounding("mean")
        if total and mean:
            return Mean(
                _finished(x, StoredRange(total)), StoredRange(mean), self._path
            )
        wide = SumRange(_range(x.left), _range(x.right))
        return Mean(_finished(x, wide), MeanRange(wide), self._path)

    def dropout(self, x: Any, rate: float, *, name: str) -> Any:
        # Training in deploy form is without.
        return x

    def dense(
        self, x: Any, *args: Any, use_bias: bool, name: str, **kwargs: Any
    ) -> Any:
        if not isinstance(x, Mean) or not use_bias:
            _refuse("a classifier without a mean before it or without bias")
        return Classifier(x, self._layer(name))
