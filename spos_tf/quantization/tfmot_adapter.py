"""tfmot's own quantizers in the wrappers of this package, on Keras 3.

tfmot is written for Keras 2. Its quantizers are fine: what they ask of a layer
is `add_weight`, by Keras 2's rules, and what they change are `tf.Variable`s.
This is the only file that imports tfmot, and it does so late: the import turns
`tf.keras` into Keras 2 for the whole process, and its children.
"""

import functools
import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.quantization.quantizers import PACKAGE, Quantizer

KINDS = (
    "AllValuesQuantizer",
    "FixedQuantizer",
    "LastValueQuantizer",
    "MovingAverageQuantizer",
)
_VARIABLE = "TF_USE_LEGACY_KERAS"


@keras.saving.register_keras_serializable(PACKAGE)
class TfmotQuantizer(Quantizer):
    """One of tfmot's quantizers, to stand where ours do.

    Args:
        kind: One of `KINDS`; see tfmot's class of that name.
        num_bits: Of the values.
        channel_axis: That of the channels; tfmot's is the last.
        **config: Further arguments of tfmot's class. Of those that move with
            the values, `per_axis`, `symmetric` and `narrow_range` are False
            by default.

    Raises:
        UserError: There is no such kind.
    """

    def __init__(
        self,
        kind: str,
        num_bits: int = 8,
        *,
        channel_axis: int = -1,
        **config: Any,
    ) -> None:
        if kind not in KINDS:
            raise UserError(
                f"tfmot's quantizers are {', '.join(KINDS)}; got {kind!r}."
            )
        plain = dict.fromkeys(("per_axis", "symmetric", "narrow_range"), False)
        if kind == "FixedQuantizer":
            plain = {"narrow_range": False}
        self._config = {"num_bits": num_bits, **plain, **config}
        self.kind = kind
        self.bits = num_bits
        self.channel_axis = channel_axis
        self.inner = getattr(_quantizers(), kind)(**self._config)

    def build(
        self, tensor_shape: Sequence[int | None], name: str, layer: Any
    ) -> dict[str, Any]:
        """Adds the range's variables to a Keras 3 layer.

        Args:
            tensor_shape: Of what is quantized; the last axis is the channels'.
            name: Of the tensor.
            layer: Keras 3's.
        """
        shape = list(tensor_shape)
        axis = self.channel_axis
        shape[axis], shape[-1] = shape[-1], shape[axis]
        weights = self.inner.build(shape, name, _Keras2Layer(layer))
        return dict(weights or {})

    def __call__(
        self,
        inputs: tf.Tensor,
        training: bool | None,
        weights: Mapping[str, Any],
        **kwargs: Any,
    ) -> tf.Tensor:
        """The tensor on its levels; in training the range follows it.

        Args:
            inputs: Of the shape that `build` was told.
            training: Whether to move the range.
            weights: From `build`.
            **kwargs: tfmot's.
        """
        x = tf.cast(inputs, tf.float32)
        # They assign to the variables.
        raw = {name: weight.value for name, weight in weights.items()}
        y = self._swapped(
            self.inner(self._swapped(x), bool(training), raw, **kwargs)
        )
        return tf.cast(y, inputs.dtype)

    def _swapped(self, x: tf.Tensor) -> tf.Tensor:
        """Channels to the last axis and back."""
        if self.channel_axis == -1:
            return x
        order = list(range(len(x.shape)))
        axis = self.channel_axis
        order[axis], order[-1] = order[-1], order[axis]
        return tf.transpose(x, order)

    def get_config(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "channel_axis": self.channel_axis,
            **self._config,
        }


class _Keras2Layer:
    """A Keras 3 layer that adds weights as Keras 2 did."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def add_weight(
        self,
        name: str,
        *,
        initializer: Any = None,
        trainable: bool = True,
        shape: Any = None,
    ) -> Any:
        """A float32 variable; `shape` may be None or a number."""
        if shape is None:
            shape = ()
        elif isinstance(shape, int):
            shape = (shape,)

        def values(shape: Any, dtype: Any = None) -> Any:
            # The initializer is Keras 2's, which knows no dtype of Keras 3's.
            return initializer(shape, dtype="float32")

        return self._layer.add_weight(
            name=name,
            shape=tuple(shape),
            initializer=values if initializer is not None else "zeros",
            trainable=trainable,
            dtype="float32",
            autocast=False,
            # Each replica has seen other values.
            aggregation="mean",
        )


@functools.cache
def _quantizers() -> Any:
    """tfmot's module of quantizers, leaving this process on Keras 3."""
    # Settles what tf.keras is, before tfmot would.
    tf.keras.layers  # noqa: B018
    before = os.environ.get(_VARIABLE)
    try:
        return importlib.import_module(
            "tensorflow_model_optimization.python.core.quantization.keras"
            ".quantizers"
        )
    except ImportError as error:
        raise UserError(
            "8-bit quantizers are those of tensorflow-model-optimization, "
            f"which cannot be imported: {error}. Install that package."
        ) from None
    finally:
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before
