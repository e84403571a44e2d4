"""A low-bit network that rounds all that an integer file rounds.

As it is trained at first, only features have few bits; pixels and the sides of
residual sums are float. An integer file has them in 8 bits, and where features
take two or four values a rounding now and then moves one by a whole level,
which changes others in turn. A network that is to be in a file what it is in
Keras rounds them too.
"""

from typing import Any

import keras
import numpy.typing as npt

from spos_tf.lowbit.integer_graph import integer_graph, rounding_name
from spos_tf.lowbit.integer_nodes import Conv, Mean
from spos_tf.lowbit.ranges import ClipRange
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.subnet import assemble
from spos_tf.ops.keras_ops import KerasOps
from spos_tf.quantization import GridQuantizer, QuantizedFeatures


def build_deployable_subnet(
    blueprint: Blueprint,
    encoding: npt.ArrayLike,
    *,
    seed: int = 0,
    synchronized: bool = False,
) -> keras.Model:
    """Builds the low-bit network of an encoding with sums in 8 bits.

    Layers have the names that `build_subnet` gives them; those that round
    come between. See `place_grids`.

    Args:
        blueprint: The description.
        encoding: int32 `[num_choices]`.
        seed: Seed of the initial weights.
        synchronized: Whether batch norm is over all replicas in training.

    Returns:
        As `build_subnet`; the file needs `spos_tf.quantization` to be loaded.

    Raises:
        UserError: The encoding is not one of this space.
    """
    return assemble(
        blueprint, encoding, lambda name: _RoundingOps(name, seed, synchronized)
    )


def rounds_sums(model: keras.Model) -> bool:
    """Whether a network is one of `build_deployable_subnet`."""
    return any(
        isinstance(layer, QuantizedFeatures)
        and isinstance(layer.quantizer, GridQuantizer)
        for layer in model.layers
    )


def place_grids(
    model: keras.Model, blueprint: Blueprint, encoding: npt.ArrayLike
) -> None:
    """Puts the grids of sums where the network's weights need them.

    Args:
        model: From `build_deployable_subnet`, with trained weights.
        blueprint: What it was built from.
        encoding: Likewise, int32 `[num_choices]`.

    Raises:
        UserError: As `integer_graph`.
    """
    graph = integer_graph(model, blueprint, encoding, stored=False)
    for node in graph.nodes:
        if isinstance(node, Conv) and not isinstance(node.grid, ClipRange):
            name = node.norm.name
        elif isinstance(node, Mean):
            _place(
                model,
                f"{node.segment}.total",
                node.source.grid.scale_and_zero_point(),
            )
            name = f"{node.segment}.mean"
        else:
            continue
        _place(model, name, node.grid.scale_and_zero_point())
    stem = blueprint.segments[0].name
    _place(model, f"{stem}.pixels", (1.0, -128.0))


def _place(model: keras.Model, name: str, grid: tuple[Any, Any]) -> None:
    layer = model.get_layer(rounding_name(name))
    for variable, value in zip(("step", "zero_point"), grid, strict=True):
        layer.quantizer_weights[variable].assign(value)


class _RoundingOps(KerasOps):
    """Keras layers that round where an integer file does."""

    def __init__(self, path: str, seed: int, synchronized: bool) -> None:
        super().__init__(path, seed, synchronized)
        # Names of batch norms by what came out of them.
        self._norms: dict[int, tuple[str, Any]] = {}

    def _rounded(self, x: Any, name: str) -> Any:
        name = rounding_name(self._name(name))
        return QuantizedFeatures(GridQuantizer(), name=name)(x)

    def batch_norm(self, x: Any, *, epsilon: float = 1e-5, name: str) -> Any:
        y = super().batch_norm(x, epsilon=epsilon, name=name)
        # The tensor too, so that nothing else gets its id.
        self._norms[id(y)] = name, y
        return y

    def normalize(self, x: Any, kind: str, *, name: str) -> Any:
        # Resized images are not whole numbers.
        return super().normalize(self._rounded(x, "pixels"), kind, name=name)

    def add(self, x: Any, y: Any) -> Any:
        sides = [
            self._rounded(one, self._norms[id(one)][0])
            if id(one) in self._norms
            else one
            for one in (x, y)
        ]
        return super().add(*sides)

    def global_average_pool(self, x: Any) -> Any:
        y = super().global_average_pool(self._rounded(x, "total"))
        return self._rounded(y, "mean")
