"""Quantizers as small serialisable objects that know their bits.

They have the methods of tfmot's `Quantizer` (build, `__call__`, get_config),
by which either kind can stand in a wrapper; tfmot is not imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.quantization.integers import on_int8_grid
from spos_tf.quantization.rounding import (
    NORMAL_CLIP_LEVELS,
    check_bits,
    dorefa,
    pact,
)

PACKAGE = "spos_tf"
# The smallest clip level: below it everything would be one level.
LEAST_CLIP_LEVEL = 1e-3


@keras.saving.register_keras_serializable(PACKAGE)
class AtLeast(keras.constraints.Constraint):
    """Keeps a weight from falling below a value.

    Args:
        least: The value.
    """

    def __init__(self, least: float) -> None:
        self.least = least

    def __call__(self, value: Any) -> Any:
        return keras.ops.maximum(value, self.least)

    def get_config(self) -> dict[str, Any]:
        return {"least": self.least}


def check_clip_level(value: Any, where: str) -> None:
    """Refuses what no features can be clipped at.

    Args:
        value: Clip levels, any shape.
        where: Whose they are, for the message.

    Raises:
        UserError: One is not finite or not above 0.
    """
    levels = np.asarray(value)
    wrong = levels[~(np.isfinite(levels) & (levels > 0))]
    if wrong.size:
        raise UserError(
            f"Clip levels are finite and above 0; that of {where} is "
            f"{wrong.ravel()[0]}. Train again, with a lower `learning_rate`."
        )


class Quantizer:
    """What all have in common: a quantizer is what its config says."""

    def get_config(self) -> dict[str, Any]:
        """Arguments of the class, values that JSON can hold."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Quantizer":
        """The quantizer of a config."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Quantizer)
            and type(self) is type(other)
            and self.get_config() == other.get_config()
        )

    def __hash__(self) -> int:
        return hash((type(self), *self.get_config().values()))


@keras.saving.register_keras_serializable(PACKAGE)
class DorefaQuantizer(Quantizer):
    """Weights on 2^bits levels; see `rounding.dorefa`.

    Args:
        bits: From 1 to 8.

    Raises:
        UserError: Bits are out of range.
    """

    def __init__(self, bits: int) -> None:
        check_bits(bits, "weights")
        self.bits = bits

    def build(
        self, tensor_shape: Sequence[int | None], name: str, layer: Any
    ) -> dict[str, Any]:
        """Adds the quantizer's own variables to a layer: none.

        Args:
            tensor_shape: Of what is quantized.
            name: Of the tensor.
            layer: Has `add_weight`.
        """
        return {}

    def __call__(
        self,
        inputs: tf.Tensor,
        training: bool | None,
        weights: Mapping[str, Any],
        **kwargs: Any,
    ) -> tf.Tensor:
        """The tensor with fewer values.

        Args:
            inputs: Of the shape that `build` was told.
            training: Not looked at.
            weights: From `build`.
            **kwargs: Not looked at.
        """
        return dorefa(inputs, self.bits)

    def get_config(self) -> dict[str, Any]:
        return {"bits": self.bits}


@keras.saving.register_keras_serializable(PACKAGE)
class PactQuantizer(Quantizer):
    """Features on 2^bits levels up to a learned one; see `rounding.pact`.

    Args:
        bits: From 1 to 8.
        initial_alpha: Clip level to start from; by default that which suits
            normalised features of these bits best.

    Raises:
        UserError: Bits are out of range, or the level is not above 0.
    """

    def __init__(self, bits: int, initial_alpha: float | None = None) -> None:
        check_bits(bits, "features")
        self.bits = bits
        if initial_alpha is None:
            initial_alpha = NORMAL_CLIP_LEVELS[bits - 1]
        check_clip_level(initial_alpha, "a quantizer's start")
        self.initial_alpha = initial_alpha

    def build(
        self, tensor_shape: Sequence[int | None], name: str, layer: Any
    ) -> dict[str, Any]:
        """Adds the clip level to a layer; see `DorefaQuantizer.build`."""
        alpha = layer.add_weight(
            name="alpha",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_alpha),
            constraint=AtLeast(LEAST_CLIP_LEVEL),
            dtype="float32",
            autocast=False,
            trainable=True,
        )
        return {"alpha": alpha}

    def __call__(
        self,
        inputs: tf.Tensor,
        training: bool | None,
        weights: Mapping[str, Any],
        **kwargs: Any,
    ) -> tf.Tensor:
        """The features on their levels; see `DorefaQuantizer.__call__`."""
        alpha = tf.convert_to_tensor(weights["alpha"])
        return pact(inputs, alpha, self.bits)

    def get_config(self) -> dict[str, Any]:
        return {"bits": self.bits, "initial_alpha": self.initial_alpha}


@keras.saving.register_keras_serializable(PACKAGE)
class GridQuantizer(Quantizer):
    """Features on 256 levels that stay where they are put.

    `step` and `zero_point` are variables that training leaves alone; see
    `integers.on_int8_grid`. They start at -6 to 6.
    """

    bits = 8

    def build(
        self, tensor_shape: Sequence[int | None], name: str, layer: Any
    ) -> dict[str, Any]:
        """Adds the grid to a layer; see `DorefaQuantizer.build`."""
        return {
            name: layer.add_weight(
                name=name,
                shape=(),
                initializer=keras.initializers.Constant(value),
                dtype="float32",
                autocast=False,
                trainable=False,
            )
            for name, value in (("step", 12 / 255), ("zero_point", 0.0))
        }

    def __call__(
        self,
        inputs: tf.Tensor,
        training: bool | None,
        weights: Mapping[str, Any],
        **kwargs: Any,
    ) -> tf.Tensor:
        """The features on their levels; see `DorefaQuantizer.__call__`."""
        step, zero_point = (
            tf.convert_to_tensor(weights[name])
            for name in ("step", "zero_point")
        )
        y = on_int8_grid(tf.cast(inputs, tf.float32), step, zero_point)
        return tf.cast(y, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {}
