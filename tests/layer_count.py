"""Counts a built Keras network, without anything of ours."""

import math

import keras

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def count_layers(model):
    """Multiply-adds and weights by the layers that Keras built.

    Returns:
        {"macs", "params", "params_without_bn"}.
    """
    macs = kernels = norms = 0
    for layer in model.layers:
        if isinstance(layer, CONVOLUTIONS):
            # A depthwise kernel is [height, width, channels, 1].
            _, height, width, _ = layer.output.shape
            macs += height * width * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            macs += math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.BatchNormalization):
            norms += sum(math.prod(v.shape) for v in layer.trainable_variables)
            continue
        elif layer.variables and not _is_random(layer):
            raise TypeError(f"{layer.name} has weights and is not counted")
        kernels += sum(math.prod(v.shape) for v in layer.trainable_variables)
    return {
        "macs": macs,
        "params": kernels + norms,
        "params_without_bn": kernels,
    }


def _is_random(layer):
    # Dropout keeps the state of its generator.
    return isinstance(layer, keras.layers.Dropout)
