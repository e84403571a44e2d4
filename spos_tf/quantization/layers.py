"""Keras layers that quantize: what a final low-bit network is built of."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from spos_tf.quantization.quantizers import PACKAGE, PactQuantizer


@keras.saving.register_keras_serializable(PACKAGE)
class QuantizedKernel(keras.layers.Wrapper):
    """A convolution or dense layer whose kernel goes through a quantizer.

    The layer's own variable stays as exact as it is, and is what training
    changes. It goes by the name of the layer.

    Args:
        layer: With a `kernel`.
        quantizer: Of the kernel: ours, or one of tfmot's through
            `tfmot_adapter`; None is exactly the plain layer.
    """

    def __init__(
        self, layer: keras.layers.Layer, quantizer: Any, **kwargs: Any
    ) -> None:
        kwargs.setdefault("name", layer.name)
        super().__init__(layer, **kwargs)
        self.quantizer = quantizer
        self._quantizer_weights: dict[str, Any] = {}

    def build(self, input_shape: Sequence[int | None]) -> None:
        super().build(input_shape)
        if self.quantizer is not None:
            self._quantizer_weights = self.quantizer.build(
                self.layer.kernel.shape, "kernel", self
            )

    @property
    def kernel(self) -> keras.Variable:
        """The exact kernel."""
        return self.layer.kernel

    def quantized_kernel(self, training: bool | None = False) -> tf.Tensor:
        """The kernel as the layer uses it.

        Args:
            training: Whether a range that follows the kernel is moved.
        """
        kernel = tf.convert_to_tensor(self.layer.kernel)
        if self.quantizer is None:
            return kernel
        return self.quantizer(kernel, training, self._quantizer_weights)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.quantizer is None:
            return self.layer(inputs)
        mapping = [(self.layer.kernel, self.quantized_kernel(training))]
        with keras.StatelessScope(state_mapping=mapping):
            return self.layer.call(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "quantizer": keras.saving.serialize_keras_object(self.quantizer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "QuantizedKernel":
        """The layer of a config."""
        config = dict(config)
        layer, quantizer = (
            keras.saving.deserialize_keras_object(config.pop(name))
            for name in ("layer", "quantizer")
        )
        return cls(layer, quantizer, **config)


@keras.saving.register_keras_serializable(PACKAGE)
class QuantizedFeatures(keras.layers.Layer):
    """Features that go through a quantizer.

    Args:
        quantizer: Ours, or one of tfmot's through `tfmot_adapter`.
    """

    def __init__(self, quantizer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quantizer = quantizer
        # Lets features through as they are, where a range is looked for.
        self.bypassed = False
        self._quantizer_weights: dict[str, Any] = {}

    def build(self, input_shape: Sequence[int | None]) -> None:
        self._quantizer_weights = self.quantizer.build(
            input_shape, "features", self
        )
        self.built = True

    @property
    def quantizer_weights(self) -> dict[str, Any]:
        """The quantizer's variables by name."""
        return self._quantizer_weights

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.bypassed:
            return inputs
        return self.quantizer(inputs, training, self._quantizer_weights)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "quantizer": keras.saving.serialize_keras_object(self.quantizer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "QuantizedFeatures":
        """The layer of a config."""
        config = dict(config)
        quantizer = keras.saving.deserialize_keras_object(
            config.pop("quantizer")
        )
        return cls(quantizer, **config)


@keras.saving.register_keras_serializable(PACKAGE)
class Pact(QuantizedFeatures):
    """ReLU, clipped at a learned level and rounded.

    Args:
        bits: From 1 to 8.
        initial_alpha: See `PactQuantizer`.

    Raises:
        UserError: Bits are out of range.
    """

    def __init__(
        self, bits: int, initial_alpha: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(PactQuantizer(bits, initial_alpha), **kwargs)

    @property
    def alpha(self) -> keras.Variable:
        """The clip level."""
        return self._quantizer_weights["alpha"]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["quantizer"]
        return {**config, **self.quantizer.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Pact":
        """The layer of a config."""
        return cls(**config)
