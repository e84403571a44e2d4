"""Reads a block as Keras layers."""

import zlib
from collections.abc import Sequence
from typing import Any

import keras

from spos_tf.ops.protocol import (
    RGB_MEAN,
    RGB_STD,
    Bits,
    ElasticWidth,
    Ops,
    Precision,
    Width,
)
from spos_tf.quantization import DorefaQuantizer, Pact, QuantizedKernel


class KerasOps(Ops[Any]):
    """The `Ops` of symbolic Keras tensors.

    Args:
        path: Name of the segment; layers are named after it.
        seed: Seed of the initial weights.
        synchronized: Whether batch norm is over all replicas in training.
    """

    def __init__(self, path: str, seed: int, synchronized: bool) -> None:
        self._path = path
        self._seed = seed
        self._synchronized = synchronized
        self._unnamed = 0

    def _name(self, name: str) -> str:
        return f"{self._path}.{name}"

    def _next(self, kind: str) -> str:
        self._unnamed += 1
        return self._name(f"{kind}{self._unnamed}")

    def _seed_of(self, name: str) -> int:
        return zlib.crc32(f"{self._seed}/{self._path}/{name}".encode())

    def _normal(self, name: str, stddev: float) -> Any:
        return keras.initializers.RandomNormal(
            stddev=stddev, seed=self._seed_of(name)
        )

    def _wrapped(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """What stands for a layer with a kernel."""
        return layer

    def channels(self, x: Any) -> int:
        return int(x.shape[-1])

    def conv(
        self,
        x: Any,
        filters: Width,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        stddev: float | None = None,
        bits: Bits | None = None,
        name: str,
    ) -> Any:
        if isinstance(filters, ElasticWidth):
            raise TypeError(f"{name!r} is not at its final size.")
        layer = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer=self._normal(name, stddev or 1 / x.shape[-1]),
            name=self._name(name),
        )
        if bits is not None:
            quantizer = DorefaQuantizer(self._settled(bits, name).weights)
            layer = QuantizedKernel(layer, quantizer)
        return self._wrapped(layer)(x)

    def clip(self, x: Any, bits: Bits, *, name: str) -> Any:
        features = self._settled(bits, name).features
        return Pact(features, name=self._name(name))(x)

    @staticmethod
    def _settled(bits: Bits, name: str) -> Precision:
        if not isinstance(bits, Precision):
            raise TypeError(f"{name!r} is not at its final bits.")
        return bits

    def max_pool(self, x: Any, size: int, *, strides: int) -> Any:
        return keras.layers.MaxPooling2D(
            size, strides, padding="same", name=self._next("max_pool")
        )(x)

    def avg_pool(self, x: Any, size: int, *, strides: int) -> Any:
        return keras.layers.AveragePooling2D(
            size, strides, padding="same", name=self._next("avg_pool")
        )(x)

    def zeros(self, x: Any) -> Any:
        # Not left out: what comes before it stays in the network, as its
        # weights do in every count.
        return keras.layers.Rescaling(0.0, name=self._next("zeros"))(x)

    def depthwise(
        self, x: Any, kernel_size: int, *, strides: int = 1, name: str
    ) -> Any:
        layer = keras.layers.DepthwiseConv2D(
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._normal(name, 1.0),
            name=self._name(name),
        )
        return self._wrapped(layer)(x)

    def batch_norm(self, x: Any, *, epsilon: float = 1e-5, name: str) -> Any:
        return keras.layers.BatchNormalization(
            momentum=0.9,
            epsilon=epsilon,
            # The official retraining code's initial beta.
            beta_initializer=keras.initializers.Constant(1e-4),
            synchronized=self._synchronized,
            name=self._name(name),
        )(x)

    def relu(self, x: Any, *, maximum: float | None = None) -> Any:
        return keras.layers.ReLU(maximum, name=self._next("relu"))(x)

    def add(self, x: Any, y: Any) -> Any:
        return keras.layers.Add(name=self._next("add"))([x, y])

    def split_halves(self, x: Any) -> tuple[Any, Any]:
        half = x.shape[-1] // 2
        return x[..., :half], x[..., half:]

    def interleave(self, x: Any, y: Any) -> Any:
        height, width, channels = x.shape[1:]
        # Four dimensions in all: delegates of GPUs and NPUs take no more.
        pairs = keras.layers.Concatenate(name=self._next("pairs"))(
            [
                keras.layers.Reshape(
                    (height, width * channels, 1), name=self._next("column")
                )(one)
                for one in (x, y)
            ]
        )
        return keras.layers.Reshape(
            (height, width, 2 * channels), name=self._next("interleaved")
        )(pairs)

    def split_even_odd(self, x: Any) -> tuple[Any, Any]:
        height, width, channels = x.shape[1:]
        pairs = keras.layers.Reshape(
            (height, width, channels // 2, 2), name=self._name("pairs")
        )(x)
        return pairs[..., 0], pairs[..., 1]

    def concat(self, xs: Sequence[Any]) -> Any:
        return keras.layers.Concatenate(name=self._next("concat"))(list(xs))

    def normalize(self, x: Any, kind: str, *, name: str) -> Any:
        if kind == "bgr":
            # Slices and a concat: neither TFLite int8 nor tf2onnx has a plain
            # reverse.
            return keras.layers.Concatenate(name=self._name(name))(
                [x[..., 2:3], x[..., 1:2], x[..., 0:1]]
            )
        return keras.layers.Rescaling(
            [1 / std for std in RGB_STD],
            [-mean / std for mean, std in zip(RGB_MEAN, RGB_STD, strict=True)],
            name=self._name(name),
        )(x)

    def global_average_pool(self, x: Any) -> Any:
        return keras.layers.GlobalAveragePooling2D(name=self._next("pool"))(x)

    def dropout(self, x: Any, rate: float, *, name: str) -> Any:
        if rate == 0:
            return x
        return keras.layers.Dropout(
            rate, seed=self._seed_of(name), name=self._name(name)
        )(x)

    def dense(
        self, x: Any, units: int, *, use_bias: bool, stddev: float, name: str
    ) -> Any:
        layer = keras.layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=self._normal(name, stddev),
            dtype="float32",
            name=self._name(name),
        )
        return self._wrapped(layer)(x)
