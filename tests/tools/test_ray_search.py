"""`--workers=ray` and `--asynchronous`: the same search, done by others."""

import os
import signal
import subprocess
import sys
import time

import pytest

from source_tree import REPO
from spos_tf.space.candidate import same_record
from spos_tf.space.record import read_record

pytest.importorskip("ray", reason="the extra [ray] is not installed")

DIGITS = ["--dataset=digits", "--holdout_per_class=20"]
SEARCH = [
    *DIGITS,
    "--population=6",
    "--generations=4",
    "--top_k=3",
    "--recalibration_images=400",
    "--evaluation_batch_size=50",
    "--max_macs=165e3",
    "--threads=1",
]


@pytest.fixture
def search(tool, work_dir):
    """`search("name", ...)` -> its folder; scores of others do not help."""

    def run(name, *arguments):
        if not (work_dir / "supernet").exists():
            tool(
                "train_supernet",
                *DIGITS,
                "--preset=demo",
                # Three choices: every process traces them anew.
                '--space_arguments={"stage_repeats": [1, 2]}',
                "--batch_size=32",
                "--steps=100",
                "--learning_rate=0.2",
                "--sampler=uniform",
                "--validate_every=0",
            )
        (work_dir / "search" / "scores.jsonl").unlink(missing_ok=True)
        tool("search", *SEARCH, f"--name={name}", *arguments)
        return work_dir / "search" / name

    return run


def record(folder):
    return read_record(folder / "record.jsonl")


def test_a_search_by_workers_of_which_one_is_killed_equals_a_local_one(
    search, work_dir
):
    local = search("local")
    (work_dir / "search" / "scores.jsonl").unlink()
    remote = work_dir / "search" / "remote"
    with subprocess.Popen(
        [
            *(sys.executable, "tools/search.py", *SEARCH),
            *(f"--work_dir={work_dir}", "--name=remote"),
            *("--workers=ray", "--num_workers=2"),
        ],
        cwd=REPO,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        path = remote / "record.jsonl"
        while process.poll() is None and not (
            path.exists() and read_record(path)
        ):
            time.sleep(0.01)
        # Whoever gave the first result has its next chunks by now.
        first, *_ = read_record(path)
        os.kill(int(first.worker.rpartition(":")[2]), signal.SIGKILL)
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert "is gone and is replaced" in said
    assert "Traceback" not in said
    assert same_record(record(remote), record(local))
    best = [(folder / "best.json").read_bytes() for folder in (remote, local)]
    assert best[0] == best[1]
    assert len({one.accuracy for one in record(local)}) > 5
    assert "local" not in {one.worker for one in record(remote)}


def test_a_tree_scored_by_workers_equals_it_too(search, work_dir):
    if not (work_dir / "search" / "local").exists():
        search("local")
    tree = search("tree", "--workers=ray", "--num_workers=1", "--scoring=tree")
    assert same_record(record(tree), record(work_dir / "search" / "local"))


def test_an_asynchronous_search_ends_the_same_with_any_workers(search):
    alone = search("alone", "--asynchronous")
    many = search("many", "--asynchronous", "--workers=ray", "--num_workers=2")
    assert same_record(record(alone), record(many))
    assert len(record(alone)) == 24
