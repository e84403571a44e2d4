"""Layers and quantizers that final low-bit networks are built of."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.quantization import (
    DorefaQuantizer,
    Pact,
    PactQuantizer,
    QuantizedKernel,
)
from spos_tf.quantization.quantizers import (
    LEAST_CLIP_LEVEL,
    AtLeast,
    check_clip_level,
)
from spos_tf.quantization.rounding import dorefa, pact

IMAGES = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype(np.float32)


def _conv(**kwargs):
    return keras.layers.Conv2D(
        5,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(seed=1),
        **kwargs,
    )


def _network(bits=2):
    inputs = keras.Input((6, 6, 3))
    x = Pact(bits, name="clip")(inputs)
    x = QuantizedKernel(_conv(name="conv"), DorefaQuantizer(bits))(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    dense = keras.layers.Dense(3, name="dense")
    return keras.Model(inputs, QuantizedKernel(dense, DorefaQuantizer(4))(x))


def test_a_wrapped_layer_uses_the_rounded_kernel():
    layer = QuantizedKernel(_conv(), DorefaQuantizer(2))
    found = layer(IMAGES)
    kernel = dorefa(tf.convert_to_tensor(layer.kernel), 2)
    expected = tf.nn.conv2d(IMAGES, kernel, 1, "SAME")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(layer.quantized_kernel(), kernel)
    assert len(np.unique(kernel)) <= 4
    # The variable keeps its exact values.
    assert len(np.unique(layer.kernel)) > 100


def test_without_a_quantizer_it_is_exactly_the_plain_layer():
    plain, wrapped = _conv(), QuantizedKernel(_conv(), None)
    np.testing.assert_array_equal(plain(IMAGES), wrapped(IMAGES))
    assert [w.name for w in wrapped.weights] == [w.name for w in plain.weights]


def test_gradients_reach_the_exact_kernel_and_alpha():
    network = _network()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(IMAGES, training=True) ** 2)
    gradients = tape.gradient(
        loss, [v.value for v in network.trainable_variables]
    )
    assert all(np.abs(one).max() > 0 for one in gradients)
    names = [v.name for v in network.trainable_variables]
    assert names.count("alpha") == 1 and names.count("kernel") == 2


def test_training_changes_alpha_and_lowers_the_loss():
    network = _network()
    network.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    labels = np.array([0, 1, 2, 0])
    before = network.evaluate(IMAGES, labels, verbose=0)
    alpha = float(network.get_layer("clip").alpha)
    network.fit(IMAGES, labels, epochs=30, verbose=0)
    assert network.evaluate(IMAGES, labels, verbose=0) < before
    assert float(network.get_layer("clip").alpha) != alpha


def test_a_file_reloads_exactly(tmp_path):
    network = _network()
    network.get_layer("clip").alpha.assign(1.3)
    path = tmp_path / "network.keras"
    network.save(path)
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(network(IMAGES), again(IMAGES))
    assert again.get_layer("conv").quantizer == DorefaQuantizer(2)
    assert again.get_layer("clip").quantizer == PactQuantizer(2)


def test_alpha_stays_above_zero():
    layer = Pact(4)
    layer.build((None, 3))
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([layer.alpha])
    optimizer.apply([tf.constant(100.0)], [layer.alpha])
    assert float(layer.alpha) == np.float32(LEAST_CLIP_LEVEL)
    assert isinstance(layer.alpha.constraint, AtLeast)


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_a_clip_level_that_clips_nothing_sensible_is_refused(wrong):
    check_clip_level([0.5, 2.0], "a layer")
    with pytest.raises(UserError, match=f"of a layer is {wrong}"):
        check_clip_level([0.5, wrong], "a layer")


@pytest.mark.parametrize("quantizer", [DorefaQuantizer(3), PactQuantizer(4)])
def test_a_quantizer_is_what_its_config_says(quantizer):
    config = quantizer.get_config()
    assert type(quantizer).from_config(config) == quantizer
    assert type(quantizer)(bits=2) != quantizer
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(quantizer)
    )
    assert again == quantizer and hash(again) == hash(quantizer)


@pytest.mark.parametrize("kind", [PactQuantizer, Pact])
def test_a_start_at_no_sensible_level_is_refused(kind):
    assert kind(4, 1.5).get_config()["initial_alpha"] == 1.5
    with pytest.raises(UserError, match="start is 0.0"):
        kind(4, 0.0)


@pytest.mark.parametrize("kind", [DorefaQuantizer, PactQuantizer, Pact])
@pytest.mark.parametrize("bits", [0, 9, 2.5])
def test_bits_out_of_range(kind, bits):
    with pytest.raises(UserError, match=f"whole number .* got {bits}"):
        kind(bits)


def test_mixed_precision_rounds_in_single():
    layer = Pact(4, dtype="mixed_float16")
    x = IMAGES.astype(np.float16)
    found = layer(x)
    assert found.dtype == "float16"
    np.testing.assert_array_equal(
        found, pact(x, tf.constant(layer.quantizer.initial_alpha), 4)
    )
    conv = QuantizedKernel(
        _conv(dtype="mixed_float16"), DorefaQuantizer(2), dtype="mixed_float16"
    )
    assert conv(x).dtype == "float16"
