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
