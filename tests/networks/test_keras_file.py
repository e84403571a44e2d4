"""Which versions of Keras read a network's file, and what is said of it."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.networks.keras_file import load_keras_file, lowest_keras
from spos_tf.networks.subnet import build_subnet
from spos_tf.spaces import build_blueprint


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    blueprint = build_blueprint(
        "shufflenet_blocks",
        preset="demo",
        stage_widths=[20],
        stage_strides=[2],
        stage_repeats=[1],
        last_width=16,
    )
    path = tmp_path_factory.mktemp("file") / "subnet.keras"
    build_subnet(blueprint, np.array([0])).save(path)
    return path


def changed(path, target, *, version, tell=None):
    """The same file as a Keras of another version would have written it."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "metadata.json":
                content = json.dumps({"keras_version": version}).encode()
            if name == "config.json" and tell is not None:
                content = content.replace(
                    b'"epsilon":', f'"{tell}": false, "epsilon":'.encode()
                )
            new.writestr(name, content)
    return target


def test_the_lowest_version_is_that_of_the_release_that_saved(file):
    minor = tuple(int(part) for part in keras.version().split(".")[:2])
    expected = "3.8"
    if minor >= (3, 13):
        expected = "3.13" if minor == (3, 13) else "3.14"
    assert lowest_keras(file) == expected
    assert load_keras_file(file).count_params() > 0


def test_a_file_of_a_later_keras_names_both_versions(file, tmp_path):
    later = changed(
        file, tmp_path / "a.keras", version="9.9.1", tell="of_tomorrow"
    )
    with pytest.raises(UserError) as caught:
        load_keras_file(later)
    said = str(caught.value)
    assert "saved by Keras 9.9.1 and needs perhaps Keras 9.9.1" in said
    assert f"this is Keras {keras.version()}, which cannot read it" in said
    assert "Train it again" not in said and "\n" not in said


def test_an_earlier_keras_is_told_the_lowest_that_reads_it(
    file, tmp_path, monkeypatch
):
    # Where this Keras is one that does not say it itself.
    tell = None if lowest_keras(file) == "3.14" else "renorm"
    path = changed(file, tmp_path / "a.keras", version="3.15.1", tell=tell)

    def refuse(*_, **__):
        raise TypeError("Unrecognized keyword arguments: ['renorm']")

    monkeypatch.setattr(keras, "version", lambda: "3.12.4")
    monkeypatch.setattr(keras.saving, "load_model", refuse)
    with pytest.raises(UserError) as caught:
        load_keras_file(path)
    said = str(caught.value)
    assert "saved by Keras 3.15.1 and needs Keras 3.14 or later" in said
    assert "this is Keras 3.12.4" in said


def test_a_damaged_file_is_no_matter_of_versions(file, tmp_path):
    path = tmp_path / "a.keras"
    shutil.copy(file, path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(UserError, match="Train it again"):
        load_keras_file(path)
