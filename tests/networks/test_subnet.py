"""The stand-alone network: plain Keras, and the weights it inherits."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.supernet import Supernet
from spos_tf.networks.transfer import inherit_weights
from spos_tf.spaces import build_blueprint

PATH = [3, 1]


def _blueprint(**arguments):
    return build_blueprint(
        "shufflenet_blocks",
        **{
            "preset": "demo",
            "stem_width": 8,
            "stage_widths": [12, 16],
            "stage_strides": [1, 2],
            "stage_repeats": [1, 1],
            "last_width": 16,
            **arguments,
        },
    )


@pytest.fixture(scope="module")
def blueprint():
    return _blueprint()


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)


def test_it_loads_without_this_package(blueprint, images, tmp_path):
    model = build_subnet(blueprint, PATH)
    model.save(tmp_path / "subnet.keras")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "logits.npy", model(images).numpy())
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('subnet.keras', safe_mode=True)\n"
        "logits = model(np.load('images.npy')).numpy()\n"
        "np.testing.assert_array_equal(logits, np.load('logits.npy'))\n"
        "assert not any(name.startswith('spos_tf') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_layers_are_keras_and_named_by_segment(blueprint):
    model = build_subnet(blueprint, PATH)
    assert type(model) is keras.src.models.Functional
    for layer in model.layers:
        assert type(layer).__module__.startswith("keras.")
    names = [layer.name for layer in model.layers]
    assert "stage1.block1.dw3" in names
    assert "head.classifier" in names


def test_seeds_decide_the_weights(blueprint):
    one, same, other = (
        build_subnet(blueprint, PATH, seed=seed) for seed in (0, 0, 1)
    )
    kernel = "stage1.block1.dw3"
    ours = one.get_layer(kernel).kernel
    np.testing.assert_array_equal(ours, same.get_layer(kernel).kernel)
    assert not np.array_equal(ours, other.get_layer(kernel).kernel)


def test_batch_norms_synchronize_where_asked(blueprint):
    for wanted in (False, True):
        model = build_subnet(blueprint, PATH, synchronized=wanted)
        found = {
            layer.synchronized
            for layer in model.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        }
        assert found == {wanted}


def test_weights_of_another_preset_are_refused(blueprint):
    model = build_subnet(blueprint, PATH)
    wider = Supernet(_blueprint(last_width=20)).named_variables
    with pytest.raises(UserError, match=r"'head.conv.kernel' has shape .*20"):
        inherit_weights(model, blueprint, PATH, wider)
    del wider["stage1.block1.xception.dw1.kernel"]
    with pytest.raises(UserError, match=r"have no 'stage1.*xception.dw1.kern"):
        inherit_weights(model, blueprint, PATH, wider)
