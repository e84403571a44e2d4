"""Counts a built Keras network, without anything of ours."""

import math

import keras

from spos_tf.quantization import Pact, QuantizedKernel

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def count_layers(model):
    """Multiply-adds and weights by the layers that Keras built.

    Returns:
        {"macs", "params", "params_without_bn", "flops_benchmark"}; where
        kernels are quantized also "bit_ops", from the bits of each and of
        what it takes.
    """
    macs = kernels = norms = biases = 0
    bit_products = []
    for layer in model.layers:
        if isinstance(layer, Pact):
            continue
        if isinstance(layer, QuantizedKernel):
            _, height, width, _ = layer.output.shape
            own = height * width * math.prod(layer.kernel.shape)
            (before,) = layer._inbound_nodes[0].parent_nodes
            features = before.operation.quantizer.bits
            bit_products.append(own * layer.quantizer.bits * features)
            macs += own
            kernels += math.prod(layer.kernel.shape)
            continue
        if isinstance(layer, CONVOLUTIONS):
            # A depthwise kernel is [height, width, channels, 1].
            _, height, width, _ = layer.output.shape
            macs += height * width * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            macs += math.prod(layer.kernel.shape)
            biases += layer.units if layer.use_bias else 0
        elif isinstance(layer, keras.layers.BatchNormalization):
            norms += sum(math.prod(v.shape) for v in layer.trainable_variables)
            continue
        elif layer.variables and not _is_random(layer):
            raise TypeError(f"{layer.name} has weights and is not counted")
        kernels += sum(math.prod(v.shape) for v in layer.trainable_variables)
    counted = {
        "macs": macs,
        "params": kernels + norms,
        "params_without_bn": kernels,
        "flops_benchmark": macs + biases,
    }
    if bit_products:
        counted["bit_ops"] = sum(bit_products) / 2**30
    return counted


def _is_random(layer):
    # Dropout keeps the state of its generator.
    return isinstance(layer, keras.layers.Dropout)
