"""Networks with 8-bit quantizers in them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.networks.int8_subnet import (
    build_int8_subnet,
    calibrate,
    copy_weights,
    is_int8,
)
from spos_tf.networks.subnet import build_subnet
from spos_tf.quantization import QuantizedFeatures, QuantizedKernel
from spos_tf.spaces import build_blueprint

IMAGES = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3))
IMAGES = IMAGES.astype(np.float32)
SPACES = {
    "shufflenet_blocks": [0, 1, 2, 3, 0],
    "proxyless_default": [0, 6, 4, 6, 2],
}


@pytest.fixture(scope="module", params=SPACES)
def networks(request):
    """The network in float and, with its weights, in 8 bits."""
    blueprint = build_blueprint(request.param, preset="demo")
    encoding = SPACES[request.param]
    exact = build_subnet(blueprint, encoding)
    labels = np.arange(32) % 10
    exact.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    exact.fit(IMAGES, labels, epochs=30, verbose=0)
    rounded = build_int8_subnet(blueprint, encoding)
    copy_weights(exact, rounded)
    calibrate(rounded, [IMAGES[:16], IMAGES[16:]])
    return exact, rounded


def test_eight_bits_are_nearly_the_network_in_float(networks):
    exact, rounded = (network(IMAGES) for network in networks)
    spread = np.std(exact)
    # 255 levels a tensor, some twenty of them one after the other.
    assert 0 < np.abs(exact - rounded).max() < 0.5 * spread
    assert np.mean(np.argmax(exact, 1) == np.argmax(rounded, 1)) > 0.9


def test_it_is_told_by_its_layers(networks):
    assert [is_int8(network) for network in networks] == [False, True]
    _, rounded = networks
    for layer in rounded.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            pytest.fail(f"{layer.name} is not quantized")
        if isinstance(layer, QuantizedKernel):
            kernel = layer.quantized_kernel().numpy()
            depthwise = isinstance(layer.layer, keras.layers.DepthwiseConv2D)
            axis = -2 if depthwise else -1
            for channel in np.moveaxis(kernel, axis, 0):
                assert len(np.unique(channel)) <= 255


def test_ranges_move_in_training_only(networks):
    _, rounded = networks
    layers = [
        layer
        for layer in rounded.layers
        if isinstance(layer, QuantizedFeatures) and layer.variables
    ]
    before = [layer.variables[1].numpy() for layer in layers]
    rounded(IMAGES, training=False)
    assert [layer.variables[1].numpy() for layer in layers] == before
    rounded(IMAGES * 0.5, training=True)
    assert [layer.variables[1].numpy() for layer in layers] != before


def test_a_file_reloads_exactly(networks, tmp_path):
    _, rounded = networks
    rounded.save(tmp_path / "rounded.keras")
    again = keras.saving.load_model(tmp_path / "rounded.keras")
    np.testing.assert_array_equal(rounded(IMAGES), again(IMAGES))


def test_gradients_reach_every_weight(networks):
    _, rounded = networks
    with tf.GradientTape() as tape:
        logits = rounded(IMAGES, training=True)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                np.arange(32) % 10, logits
            )
        )
    values = [one.value for one in rounded.trainable_variables]
    for one in tape.gradient(loss, values):
        assert np.isfinite(one).all() and np.abs(one).max() > 0


def test_networks_with_bits_are_quantized_already():
    blueprint = build_blueprint("resnet18_bits", preset="demo")
    with pytest.raises(UserError, match="leave `quantize` out"):
        build_int8_subnet(blueprint, [1, 0] * 3)


def test_weights_of_another_network_are_refused(networks):
    other = build_subnet(
        build_blueprint("shufflenet_blocks", preset="demo"), [1] * 5
    )
    with pytest.raises(UserError, match="no weight .* Start from a network"):
        copy_weights(other, networks[1])


def test_ranges_need_a_batch(networks):
    with pytest.raises(ValueError, match="at least one batch"):
        calibrate(networks[1], [])
