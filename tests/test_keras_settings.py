"""Settings that another project left behind are one line, before any work."""

import json
import os
import subprocess
import sys

import keras
import pytest

import spos_tf
from source_tree import REPO
from spos_tf.errors import UserError
from spos_tf.keras_settings import check_keras

DEFAULTS = {
    "backend": "tensorflow",
    "image_data_format": "channels_last",
    "floatx": "float32",
    "epsilon": 1e-7,
}
OTHERS = {
    "backend": "jax",
    "image_data_format": "channels_first",
    "floatx": "float16",
    "epsilon": 1e-3,
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a `keras.json`; Keras is as if it had not been imported."""
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras")

    def write(**settings):
        (tmp_path / ".keras").mkdir(exist_ok=True)
        file = tmp_path / ".keras" / "keras.json"
        file.write_text(json.dumps({**DEFAULTS, **settings}))
        return file

    return write


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_project(home, name):
    check_keras()
    home()
    check_keras()
    file = home(**{name: OTHERS[name]})
    with pytest.raises(UserError) as caught:
        check_keras()
    assert f"{name}={OTHERS[name]} (by {file})" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_keras_does_not_read(home):
    home().write_text("{")
    check_keras()


def test_the_environment_wins_over_the_file(home, monkeypatch, tmp_path):
    home(backend="jax")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    check_keras()
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(UserError, match="backend=torch .by the environment"):
        check_keras()
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "empty"))
    check_keras()


def test_settings_of_this_process():
    check_keras()
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(UserError, match="channels_first .by keras.config"):
            check_keras()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_jobs_check_the_process(tmp_path):
    blueprint = spos_tf.build_blueprint(
        "shufflenet_blocks", preset="demo", num_classes=2
    )
    keras.config.set_epsilon(1e-3)
    try:
        with pytest.raises(UserError, match=r"epsilon=0.001"):
            spos_tf.train_supernet(blueprint, None, work_dir=tmp_path / "x")
    finally:
        keras.config.set_epsilon(1e-7)
    assert not (tmp_path / "x").exists()


PYTHON = """
import spos_tf
try:
    spos_tf.build_blueprint
except spos_tf.UserError as error:
    print(error)
"""


def test_a_fresh_process(tmp_path):
    """A command, and Python: nothing is imported before the line."""
    (tmp_path / ".keras").mkdir()
    file = tmp_path / ".keras" / "keras.json"
    file.write_text(json.dumps({**DEFAULTS, "floatx": "float16"}))
    environment = {**os.environ, "HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    environment.pop("KERAS_HOME", None)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=REPO,
            env={**environment, "PYTHONPATH": str(REPO)},
            capture_output=True,
            text=True,
        )

    said = "got backend=jax (by the environment variable KERAS_BACKEND), floatx"
    done = run(
        "tools/train_supernet.py",
        "--dataset=digits",
        f"--work_dir={tmp_path / 'runs'}",
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and said in done.stderr
    done = run("-c", PYTHON)
    assert done.returncode == 0 and said in done.stdout, done.stderr
    assert not (tmp_path / "runs").exists()
