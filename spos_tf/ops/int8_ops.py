"""Reads a block as Keras layers with 8-bit quantizers between them."""

from typing import Any

import keras
import numpy as np

from spos_tf.errors import UserError
from spos_tf.ops.keras_ops import KerasOps
from spos_tf.ops.protocol import RGB_MEAN, RGB_STD, Bits
from spos_tf.quantization import QuantizedFeatures, QuantizedKernel
from spos_tf.quantization.tfmot_adapter import TfmotQuantizer


def moving_average() -> TfmotQuantizer:
    """The quantizer of features, whose range follows them slowly."""
    return TfmotQuantizer("MovingAverageQuantizer")


class Int8Ranges:
    """Outputs of batch norms that may still be joined with a ReLU."""

    def __init__(self) -> None:
        self.open: dict[int, Any] = {}
        self.closed: dict[int, Any] = {}


class Int8Ops(KerasOps):
    """Keras layers with quantizers where a TFLite file has tensors."""

    def __init__(
        self, path: str, seed: int, synchronized: bool, ranges: Int8Ranges
    ) -> None:
        super().__init__(path, seed, synchronized)
        self._ranges = ranges

    def _ranged(self, x: Any) -> Any:
        layer = QuantizedFeatures(moving_average(), name=self._next("range"))
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
                "`quantize` out."
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
