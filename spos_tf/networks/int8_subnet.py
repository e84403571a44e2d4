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
from spos_tf.networks.subnet import assemble
from spos_tf.ops.int8_ops import Int8Ops, Int8Ranges, moving_average
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
    ranges = Int8Ranges()
    return assemble(
        blueprint,
        encoding,
        lambda name: Int8Ops(name, seed, synchronized, ranges),
    )


def is_int8(model: keras.Model) -> bool:
    """Whether a network is one of `build_int8_subnet`."""
    return any(
        isinstance(layer, QuantizedFeatures)
        and isinstance(layer.quantizer, TfmotQuantizer)
        for layer in model.layers
    )


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
        and layer.quantizer == moving_average()
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
