"""Files in folders whose names mean something to some program."""

import numpy as np
import pytest

import spos_tf
from spos_tf.export.runtimes import load
from spos_tf.export.saved_model import readable_place, write_saved_model
from spos_tf.export.tflite import write_tflite, write_tflite_source

SPECIAL = "a [b]{c}*?#%s\\'\"$x_ ünï"


@pytest.fixture(scope="module")
def model():
    blueprint = spos_tf.build_blueprint(
        "shufflenet_blocks", preset="demo", num_classes=3
    )
    return spos_tf.build_subnet(blueprint, [0] * 5)


def test_a_saved_model_and_what_is_converted_of_it(model, tmp_path):
    folder = tmp_path / SPECIAL
    folder.mkdir()
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3))
    images = images.astype(np.float32)
    expected = model(images, training=False).numpy()
    write_saved_model(model, folder / "saved_model")
    found = load(folder / "saved_model", "saved_model")(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    write_tflite_source(model, folder / "source")
    write_tflite(folder / "source", folder / "x.tflite", "float32")
    found = load(folder / "x.tflite", "tflite")(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_only_such_names_are_linked(tmp_path):
    plain = str(tmp_path / "saved_model")
    with readable_place(plain) as place:
        assert place == plain
    (tmp_path / "[x]").mkdir()
    (tmp_path / "[x]" / "file").write_text("here")
    with readable_place(tmp_path / "[x]") as place:
        assert not set(place) & set("[]*?\\")
        with open(f"{place}/file") as file:
            assert file.read() == "here"
    assert (tmp_path / "[x]" / "file").exists()
