"""A network of the space with 8-bit quantizers, to be trained with them.

Quantization-aware training with tfmot's quantizers: kernels by their last
range, per channel, features by a moving average. Every tensor that a TFLite
file holds has a range then, so that the file needs no representative images.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.subnet import KerasOps, assemble
from spos_tf.ops.protocol import RGB_MEAN, RGB_STD, Bits
from spos_tf.quantization import QuantizedFeatures, QuantizedKernel
from spos_tf.quantization.tfmot_adapter import TfmotQuantizer


def build_int8_subnet(
    blueprint: Blueprint,
    encoding: npt.ArrayLike,
    *,
    seed: int = 0,
    synchronized: bool = False,
) -> keras.Model:
    """Builds the network of an encoding with 8-bit quantizers in it.

    Layers with weights have the names that `build_subnet` gives them. Ranges
    of features start at -6 to 6: see `calibrate`.

    Args:
        blueprint: The description.
        encoding: int32 `[num_choices]`.
        seed: Seed of the initial weights.
        synchronized: Whether batch norm is over all replicas in training.

    Returns:
        As `build_subnet`; the file needs `spos_tf.quantization` to be loaded.

    Raises:
        UserError: The encoding is not one of this space, its networks have
            bits of their own, or there is no tfmot.
    """
    ranges = _Ranges()
    return assemble(
        blueprint,
        encoding,
        lambda name: _Int8Ops(name, seed, synchronized, ranges),
    )


def is_int8(model: keras.Model) -> bool:
    """Whether a network is one of `build_int8_subnet`."""
    return any(
        isinstance(layer, QuantizedFeatures)
        and isinstance(layer.quantizer, TfmotQuantizer)
        for layer in model.layers
    )


def _moving_average() -> TfmotQuantizer:
    return TfmotQuantizer("MovingAverageQuantizer")


def calibrate(model: keras.Model, batches: Iterable[npt.ArrayLike]) -> None:
    """Sets all ranges to what is there without quantization.

    Those of features would take thousands of steps from where they start.

    Args:
        model: From `build_int8_subnet`.
        batches: Images, float32 RGB 0..255 `[n, height, width, 3]`.

    Raises:
        ValueError: There is no batch.
    """
    for layer in model.layers:
        if isinstance(layer, QuantizedKernel):
            layer.quantized_kernel(training=True)
    layers = [
        layer
        for layer in model.layers
        if isinstance(layer, QuantizedFeatures)
        and layer.quantizer == _moving_average()
    ]
    probe = keras.Model(model.inputs, [layer.input for layer in layers])
    for layer in layers:
        layer.bypassed = True
    try:
        ends = [
            [(np.min(x), np.max(x)) for x in probe([images], training=False)]
            for images in batches
        ]
    finally:
        for layer in layers:
            layer.bypassed = False
    if not ends:
        raise ValueError("Ranges are those of at least one batch.")
    for layer, (low, high) in zip(layers, np.mean(ends, axis=0), strict=True):
        # Zero is always a level.
        for variable, end in zip(
            layer.variables, (min(low, 0.0), max(high, 0.0)), strict=True
        ):
            variable.assign(end)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Starts a network with the weights of another one by name.

    Args:
        source: Layers with weights are in both, of one shape; what rounds
            features may be in one only.
        target: May have further weights, which stay.

    Raises:
        UserError: A layer is missing or its weights are of other shapes.
    """
    names = {layer.name for layer in target.layers}
    for layer in source.layers:
        # Ranges and grids are the source's own.
        rounds = isinstance(layer, QuantizedFeatures)
        if rounds and not layer.trainable_variables and layer.name not in names:
            continue
        for variable in layer.variables:
            if variable.name == "seed_generator_state":
                continue
            found = _variable(target, layer.name, variable)
            found.assign(variable.value)


def _variable(model: keras.Model, layer: str, like: Any) -> Any:
    found = [one for one in model.layers if one.name == layer]
    for variable in found[0].variables if found else []:
        if variable.name == like.name and variable.shape == like.shape:
            return variable
    raise UserError(
        f"The networks differ: this one has no weight {layer}.{like.name} of "
        f"shape {tuple(like.shape)}. Start from a network of the same "
        "architecture."
    )


class _Ranges:
    """Outputs of batch norms that may still be joined with a ReLU."""

    def __init__(self) -> None:
        self.open: dict[int, Any] = {}
        self.closed: dict[int, Any] = {}


class _Int8Ops(KerasOps):
    """Keras layers with quantizers where a TFLite file has tensors."""

    def __init__(
        self, path: str, seed: int, synchronized: bool, ranges: _Ranges
    ) -> None:
        super().__init__(path, seed, synchronized)
        self._ranges = ranges

    def _ranged(self, x: Any) -> Any:
        layer = QuantizedFeatures(_moving_average(), name=self._next("range"))
        return layer(x)

    def _ready(self, x: Any) -> Any:
        """A tensor with a range, made at its first use."""
        if id(x) not in self._ranges.open:
            return x
        if id(x) not in self._ranges.closed:
            self._ranges.closed[id(x)] = self._ranged(x)
        return self._ranges.closed[id(x)]

    def _wrapped(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        quantizer = TfmotQuantizer(
            "LastValueQuantizer",
            # TFLite has one scale for the kernel of a dense layer.
            per_axis=not isinstance(layer, keras.layers.Dense),
            symmetric=True,
            narrow_range=True,
            channel_axis=-2
            if isinstance(layer, keras.layers.DepthwiseConv2D)
            else -1,
        )
        return QuantizedKernel(layer, quantizer)

    def conv(self, x: Any, *args: Any, bits: Any = None, **kwargs: Any) -> Any:
        if bits is not None:
            raise UserError(
                "Networks of spaces with bits are quantized already; leave "
                "--quantize out."
            )
        return super().conv(self._ready(x), *args, **kwargs)

    def clip(self, x: Any, bits: Bits, *, name: str) -> Any:
        return self.conv(x, bits=bits)

    def depthwise(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return super().depthwise(self._ready(x), *args, **kwargs)

    def batch_norm(self, x: Any, *, epsilon: float = 1e-5, name: str) -> Any:
        y = super().batch_norm(x, epsilon=epsilon, name=name)
        self._ranges.open[id(y)] = y
        return y

    def relu(self, x: Any, *, maximum: float | None = None) -> Any:
        # One operation with the convolution in the file: no range between.
        return self._ranged(super().relu(x, maximum=maximum))

    def max_pool(self, x: Any, size: int, *, strides: int) -> Any:
        return super().max_pool(self._ready(x), size, strides=strides)

    def add(self, x: Any, y: Any) -> Any:
        return self._ranged(super().add(self._ready(x), self._ready(y)))

    def split_halves(self, x: Any) -> tuple[Any, Any]:
        return super().split_halves(self._ready(x))

    def interleave(self, x: Any, y: Any) -> Any:
        return self._ranged(super().interleave(self._ready(x), self._ready(y)))

    def split_even_odd(self, x: Any) -> tuple[Any, Any]:
        return super().split_even_odd(self._ready(x))

    def concat(self, xs: Any) -> Any:
        return self._ranged(super().concat([self._ready(x) for x in xs]))

    def normalize(self, x: Any, kind: str, *, name: str) -> Any:
        # Images are whole numbers from 0 to 255: nothing is lost.
        pixels = TfmotQuantizer("FixedQuantizer", init_min=0.0, init_max=255.0)
        x = QuantizedFeatures(pixels, name=self._name("pixels"))(x)
        if kind == "bgr":
            return super().normalize(x, kind, name=name)
        # As a convolution it has a scale for each channel, and no rounding.
        constant = keras.initializers.Constant
        layer = keras.layers.DepthwiseConv2D(
            1,
            depthwise_initializer=constant(
                np.reshape([1 / std for std in RGB_STD], (1, 1, 3, 1))
            ),
            bias_initializer=constant(
                [-m / s for m, s in zip(RGB_MEAN, RGB_STD, strict=True)]
            ),
            trainable=False,
            name=self._name(name),
        )
        return self._ranged(self._wrapped(layer)(x))

    def global_average_pool(self, x: Any) -> Any:
        return self._ranged(super().global_average_pool(self._ready(x)))

    def dense(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return self._ranged(super().dense(self._ready(x), *args, **kwargs))
