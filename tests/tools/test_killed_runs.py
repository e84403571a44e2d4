"""A tool that was killed and started again ends like one that was not."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from source_tree import REPO
from spos_tf.search.candidate import same_record
from spos_tf.search.record import read_record

DIGITS = ["--dataset=digits", "--holdout_per_class=20"]
TRAIN = [
    *DIGITS,
    "--preset=demo",
    "--batch_size=16",
    # 1,597 images are left to train on: the kill is in the second epoch.
    "--steps=160",
    "--learning_rate=0.1",
    "--checkpoint_every=10",
    "--log_every=10",
    "--keep_checkpoints=1000",
    "--validate_every=0",
]
SEARCH = [
    *DIGITS,
    "--population=6",
    "--generations=4",
    "--top_k=3",
    "--recalibration_images=200",
    "--max_macs=200e3",
]


def kill_when(condition, tool, *arguments):
    """Starts a tool and kills it as soon as `condition()` holds."""
    with subprocess.Popen(
        [sys.executable, f"tools/{tool}.py", *map(str, arguments)],
        cwd=REPO,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not condition():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL, "it ended before the kill"


def arrays(folder):
    last = sorted((folder / "checkpoints").glob("step-*.npz"))[-1]
    with np.load(last) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture
def supernet(work_dir, run_tool):
    """The folder of an uninterrupted training, made by the first test."""
    folder = work_dir / "supernet" / "whole"
    if not folder.exists():
        done = run_tool(
            "train_supernet", *TRAIN, f"--work_dir={work_dir}", "--name=whole"
        )
        assert not done.returncode, done.stderr
    return folder


def test_a_killed_training_ends_bit_identical(work_dir, supernet, run_tool):
    flags = [*TRAIN, f"--work_dir={work_dir}", "--name=killed"]
    folder = work_dir / "supernet" / "killed"
    kill_when(
        (folder / "checkpoints" / "step-00000110.npz").exists,
        "train_supernet",
        *flags,
    )
    assert not (folder / "checkpoints" / "step-00000160.npz").exists()
    done = run_tool("train_supernet", *flags)
    assert not done.returncode, done.stderr
    assert "Going on after step" in done.stderr
    whole, resumed = arrays(supernet), arrays(folder)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)


def test_a_killed_search_ends_the_same(work_dir, supernet, run_tool):
    def flags(name):
        return [
            *SEARCH,
            f"--work_dir={work_dir}",
            f"--name={name}",
            "--supernet_name=whole",
        ]

    folder = work_dir / "search"

    def some():
        record = folder / "killed" / "record.jsonl"
        return record.exists() and record.read_bytes().count(b"\n") >= 5

    kill_when(some, "search", *flags("killed"))
    # What the killed one knew must not help: the record alone has to do.
    (folder / "scores.jsonl").unlink()
    before = len(read_record(folder / "killed" / "record.jsonl"))
    assert before < 24
    for name in ("killed", "whole"):
        done = run_tool("search", *flags(name))
        assert not done.returncode, done.stderr
        (folder / "scores.jsonl").unlink()
    killed, whole = (
        read_record(folder / name / "record.jsonl")
        for name in ("killed", "whole")
    )
    assert len(whole) == 24
    assert same_record(killed, whole)
    assert (folder / "killed" / "best.json").read_bytes() == (
        folder / "whole" / "best.json"
    ).read_bytes()
