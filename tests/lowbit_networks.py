"""Small networks with bits, and images that their batch norms have seen."""

import functools

import keras
import numpy as np

from spos_tf.networks.subnet import build_subnet
from spos_tf.spaces import build_blueprint

# Space arguments and the encoding: width and bits of three blocks. Every pair
# of bits is in one of them.
CASES = {
    "few_bits": ({}, [0, 0, 1, 1, 2, 2]),
    "more_bits": ({}, [2, 3, 0, 4, 1, 5]),
    # The stem of ImageNet's networks, on sizes that "same" padding splits
    # unevenly.
    "pool": (
        {
            "stem_pool": True,
            "stem_kernel_size": 7,
            "stem_stride": 2,
            "image_size": 30,
        },
        [1, 5, 1, 1, 1, 0],
    ),
    # Without a mean, channels the other way round.
    "bgr": ({"input_kind": "bgr"}, [1, 1, 1, 5, 1, 3]),
    "three_bits": ({"precisions": [[3, 3]], "widths": [1.0]}, [0] * 6),
    "most_bits": ({"precisions": [[7, 8]], "widths": [1.0]}, [0] * 6),
}


def lowbit_network(case):
    """Blueprint, encoding, a network with weights of no one's, images."""
    arguments, encoding = CASES[case]
    blueprint = build_blueprint("resnet18_bits", preset="demo", **arguments)
    rng = np.random.default_rng(0)
    size = blueprint.image_size
    images = rng.integers(0, 256, (64, size, size, 3)).astype(np.float32)
    # Of what batch norms have seen, features are where clip levels expect.
    images[:32] = np.round(images[:32] * rng.uniform(0, 1, (32, 1, 1, 1)))
    model = build_subnet(blueprint, encoding)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            signs = rng.choice([-1, 1], layer.gamma.shape)
            layer.gamma.assign(signs * rng.uniform(0.5, 1.5, signs.shape))
            layer.beta.assign(rng.normal(0, 0.3, signs.shape))
    for _ in range(40):
        model(images, training=True)
    classifier = model.get_layer("head.classifier")
    kernel = rng.normal(0, 1, classifier.kernel.shape)
    classifier.kernel.assign(kernel)
    return blueprint, encoding, model, images


cached_network = functools.cache(lowbit_network)
