"""Arguments of another kind are refused by their names, before any work."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import spos_tf
from source_tree import REPO

BLUEPRINT = "what spos_tf.build_blueprint"
IMAGES = np.zeros((10, 8, 8, 3), np.uint8), np.arange(10)


def demo():
    return spos_tf.build_blueprint("shufflenet_blocks", preset="demo")


@pytest.mark.parametrize(
    "call",
    [
        lambda name, folder: spos_tf.train_supernet(
            name, IMAGES, work_dir=folder
        ),
        lambda name, folder: spos_tf.build_subnet(name, [0] * 5),
        lambda name, folder: spos_tf.network_cost(name, [0] * 5),
        lambda name, folder: spos_tf.build_latency_table(
            name, folder / "table.yaml"
        ),
    ],
    ids=["train_supernet", "build_subnet", "network_cost", "latency"],
)
def test_the_name_of_a_space_is_no_blueprint(call, tmp_path):
    with pytest.raises(spos_tf.UserError, match=BLUEPRINT) as refused:
        call("shufflenet_blocks", tmp_path)
    assert str(refused.value).startswith("`blueprint` is ")
    assert str(refused.value).endswith("; got str.")
    assert not any(tmp_path.iterdir())


def test_a_misspelled_limit_is_named(tmp_path):
    """Not as an argument of a class that the caller never saw."""
    with pytest.raises(
        spos_tf.UserError, match=r"no option `max_mac` here\. .* `max_macs`\?$"
    ):
        spos_tf.train_supernet(demo(), IMAGES, work_dir=tmp_path, max_mac=1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_a_path_is_no_images_and_is_told_what_is(kind, tmp_path):
    with pytest.raises(
        spos_tf.UserError, match=r"Give spos_tf\.folder\('photos/all'\)\.$"
    ):
        spos_tf.train_supernet(
            demo(), kind("photos/all"), work_dir=tmp_path / "runs"
        )


@pytest.mark.parametrize("job", ["search_supernet", "correlate_supernet"])
def test_a_folder_is_no_supernet(job, tmp_path):
    given = {"correlate_supernet": {"table": "t", "accuracy_column": "a"}}
    with pytest.raises(
        spos_tf.UserError, match=r"^`supernet` is .*load_supernet.*; got str\.$"
    ):
        getattr(spos_tf, job)(str(tmp_path), **given.get(job, {}))


def test_options_of_another_job(tmp_path):
    with pytest.raises(
        spos_tf.UserError,
        match=r"^`options` is spos_tf\.LatencyOptions.*; got SearchOptions\.$",
    ):
        spos_tf.build_latency_table(
            demo(), tmp_path / "t.yaml", options=spos_tf.SearchOptions()
        )
    with pytest.raises(
        spos_tf.UserError,
        match=r"^`options` is spos_tf\.ExportOptions.*; got SearchOptions\.$",
    ):
        spos_tf.export_subnet(
            None, tmp_path, compare_on=None, options=spos_tf.SearchOptions()
        )


TIMED = """
import spos_tf, tensorflow as tf
options = spos_tf.LatencyOptions(runtime="tensorflow")
blueprint = spos_tf.build_blueprint("shufflenet_blocks", preset="demo")
try:
    spos_tf.build_latency_table(blueprint, "table.yaml", options=options)
except spos_tf.UserError as error:
    print(error)
settings = tf.config.threading
print(settings.get_intra_op_parallelism_threads())
print(settings.get_inter_op_parallelism_threads())
"""


def test_a_library_call_sets_no_threads(tmp_path):
    """Those of TensorFlow belong to the process, which is a fresh one here."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    error, *threads = done.stdout.splitlines()
    assert "got `threads=1` where it has all within an operation" in error
    assert threads == ["0", "0"]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("given", [["log.csv"], "log.csv", 3])
@pytest.mark.parametrize("job", ["train_supernet", "train_subnet"])
def test_what_is_no_list_of_callbacks(job, given, tmp_path):
    """Before anything is traced, not when the training calls them."""
    network = demo() if job == "train_supernet" else (demo(), [0] * 5)
    with pytest.raises(
        spos_tf.UserError, match=r"^`callbacks` is a list of Keras callbacks"
    ):
        getattr(spos_tf, job)(
            network, IMAGES, work_dir=tmp_path, callbacks=given
        )
    assert not any(tmp_path.iterdir())


def test_one_hot_labels_are_told_the_way_out(tmp_path):
    images, labels = IMAGES
    with pytest.raises(spos_tf.UserError, match=r"labels\.argmax\(axis=1\)"):
        spos_tf.train_supernet(
            demo(), (images, np.eye(10)[labels]), work_dir=tmp_path
        )


def test_the_name_of_a_file_is_no_model(tmp_path):
    with pytest.raises(spos_tf.UserError, match=r"load_subnet\(folder\)"):
        spos_tf.export_subnet(
            "model.keras", tmp_path / "export", compare_on=IMAGES
        )


def test_what_is_not_there_is_named_as_in_python(tmp_path, monkeypatch):
    with pytest.raises(spos_tf.UserError, match="the name= of load_supernet"):
        spos_tf.load_supernet(tmp_path)
    run = tmp_path / "supernet" / "default"
    (run / "checkpoints").mkdir(parents=True)
    # Also from inside of it, where no path above it is in the argument.
    monkeypatch.chdir(run)
    for given in (run, "."):
        with pytest.raises(spos_tf.UserError, match="its `work_dir`") as found:
            spos_tf.load_supernet(given)
        assert repr(str(tmp_path)) in str(found.value)
    with pytest.raises(spos_tf.UserError, match="another folder"):
        spos_tf.load_subnet(tmp_path)


def test_a_blueprint_is_shown_on_a_line():
    assert repr(demo()) == (
        "Blueprint('shufflenet_blocks', 5 choices, image_size=8, "
        "num_classes=10)"
    )


def test_an_option_of_another_choice_says_what_to_choose():
    with pytest.raises(
        spos_tf.UserError, match="Leave it out, or choose `strategy=nsga2`"
    ):
        spos_tf.SearchOptions(objective="params")
