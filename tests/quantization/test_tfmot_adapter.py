"""tfmot's quantizers in our wrappers, and ours measured against its."""

import inspect
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.quantization import (
    DorefaQuantizer,
    PactQuantizer,
    QuantizedFeatures,
    QuantizedKernel,
)
from spos_tf.quantization.tfmot_adapter import KINDS, TfmotQuantizer

X = np.random.default_rng(0).normal(size=(6, 5, 5, 4)).astype(np.float32)


def _base():
    from spos_tf.quantization.tfmot_adapter import _quantizers

    return _quantizers().Quantizer


@pytest.mark.parametrize(
    "kind", [DorefaQuantizer, PactQuantizer, TfmotQuantizer]
)
def test_quantizers_have_the_methods_of_tfmots(kind):
    base = _base()
    for name in ("build", "__call__", "get_config", "from_config"):
        ours = inspect.signature(getattr(kind, name))
        theirs = inspect.signature(getattr(base, name))
        assert list(ours.parameters) == list(theirs.parameters), name


def test_ours_work_where_tfmot_calls_them():
    """As tfmot's wrapper does: build on a layer, then call by position."""
    layer = keras.layers.Layer()
    for quantizer in (DorefaQuantizer(2), PactQuantizer(2)):
        weights = quantizer.build(X.shape, "x", layer)
        y = quantizer(tf.constant(X), False, weights=weights)
        assert len(np.unique(y)) <= 4


def test_importing_ours_does_not_import_tfmot():
    code = (
        "import sys, spos_tf.quantization, spos_tf.networks.subnet;"
        "import spos_tf.quantization.tfmot_adapter;"
        "print('tensorflow_model_optimization' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_tf_keras_and_the_environment_stay_as_they_were():
    TfmotQuantizer("LastValueQuantizer")
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert tf.keras.__version__.startswith("3.")


def test_last_values_of_a_kernel_are_its_range():
    quantizer = TfmotQuantizer(
        "LastValueQuantizer", per_axis=True, symmetric=True, narrow_range=True
    )
    conv = keras.layers.Conv2D(3, 3, use_bias=False)
    layer = QuantizedKernel(conv, quantizer)
    layer(X, training=True)
    kernel, rounded = layer.kernel.numpy(), layer.quantized_kernel().numpy()
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    # To the nearest of 255 levels of each channel, sums in single precision.
    assert (np.abs(rounded - kernel) <= scale * 0.5001).all()
    levels = rounded / scale
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert len(layer.trainable_variables) == 1


def test_a_moving_average_follows_in_training_only():
    layer = QuantizedFeatures(TfmotQuantizer("MovingAverageQuantizer"))
    layer(X, training=False)
    before = [v.numpy() for v in layer.variables]
    assert [float(v) for v in before] == [-6.0, 6.0]
    layer(X, training=True)
    # A thousandth of the way from 6 to the largest value.
    expected = 6 - 0.001 * (6 - X.max())
    assert float(layer.variables[1]) == pytest.approx(expected, rel=1e-5)


def test_quantization_aware_training_in_keras_reloads_exactly(tmp_path):
    inputs = keras.Input((5, 5, 4))
    x = QuantizedFeatures(TfmotQuantizer("AllValuesQuantizer"))(inputs)
    x = QuantizedKernel(
        keras.layers.Conv2D(3, 3),
        TfmotQuantizer("LastValueQuantizer", per_axis=True, symmetric=True),
    )(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    target = np.ones((6, 3), np.float32)
    # Once for the ranges, which start at nothing.
    model.fit(X, target, epochs=1, verbose=0)
    first = model.evaluate(X, target, verbose=0)
    model.fit(X, target, epochs=5, verbose=0)
    assert model.evaluate(X, target, verbose=0) < first
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(X), again(X))


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantizer_is_what_its_config_says(kind):
    ends = {"init_min": 0.0, "init_max": 1.0}
    fixed = ends if kind == "FixedQuantizer" else {}
    quantizer = TfmotQuantizer(kind, 4, narrow_range=True, **fixed)
    assert quantizer.bits == 4
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(quantizer)
    )
    assert again == quantizer and hash(again) == hash(quantizer)
    assert TfmotQuantizer(kind, 8, **fixed) != quantizer


def test_an_unknown_kind():
    with pytest.raises(UserError, match="LastValueQuantizer.*'Fixed'"):
        TfmotQuantizer("Fixed")
