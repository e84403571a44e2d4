"""A mistake of the user's is one line on stderr, exit code 2, and no trace.

The line says the rule, what came and the way out; here it is looked up that
it names what was wrong. Training tools are refused before they train.
"""

import fcntl
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from refusals import TINY_RUN, refuses, tree
from source_tree import REPO

SUPERNET = (*TINY_RUN, "--holdout_per_class=5", "--sampler=uniform")


SUPERNET_MISTAKES = {
    "space": (["--search_space=no"], ["'no'", "shufflenet_blocks"]),
    "preset": (["--preset=no"], ["'no'", "imagenet, cifar, demo"]),
    "option": (["--sampler=fair"], ["sampler", "strict_fairness"]),
    "flag": (["--batchsize=8"], ["batchsize"]),
    "flag's value": (["--batch_size=many"], ["batch_size", "many"]),
    "no flag": (["cifar10"], ["cifar10", "--flag=value"]),
    "flagfile": (["--flagfile=/no/such.flags"], ["/no/such.flags"]),
    "space argument": (['--space_arguments={"depth": 3}'], ["'depth'"]),
    "space arguments": (["--space_arguments=[1]"], ["JSON object", "[1]"]),
    "batch": (["--batch_size=0"], ["--batch_size", "0"]),
    "steps": (["--steps=-1"], ["--steps", "-1"]),
    "smoothing": (["--label_smoothing=1"], ["--label_smoothing"]),
    "optimizer": (["--optimizer=no"], ["'no'"]),
    "optimizer's argument": (
        ['--optimizer_arguments={"momentumm": 1}'],
        ["momentumm"],
    ),
    "mixing paths": (
        ['--optimizer_arguments={"use_ema": true}'],
        ["use_ema"],
    ),
    "slices for XLA": (
        ["--search_space=shufflenet_joint", "--jit_compile"],
        ["static shapes", "--width_mode=mask"],
    ),
    "warm-up": (
        ["--warmup_steps=3"],
        ["--warmup_steps is below --steps", "3 of 2"],
    ),
    "ranges": (
        ["--sampler=uniform_constraint", "--constraint_ranges=1:2"],
        ["FROM:TO:STEP", "'1:2'"],
    ),
    "empty range": (
        ["--sampler=uniform_constraint", "--constraint_ranges=1:2:1"],
        ["macs"],
    ),
    "cost": (
        ["--sampler=uniform_constraint", "--constraint_cost=watts"],
        ["'watts'", "macs"],
    ),
    "no folder": (["--dataset=folder:/no/such"], ["/no/such"]),
    "split": (["--holdout_per_class=100000"], ["100000"]),
    "classes": (["--num_classes=7"], ["10 classes", "--num_classes=10"]),
    "name": (["--name=a/b"], ["--name", "'a/b'"]),
    "name of the parent": (["--name=.."], ["--name", "'..'"]),
}


@pytest.mark.parametrize(
    ("arguments", "expected"), SUPERNET_MISTAKES.values(), ids=SUPERNET_MISTAKES
)
def test_supernet_refuses(run_tool, tmp_path, arguments, expected):
    work_dir = tmp_path / "runs"
    result = run_tool(
        "train_supernet", *SUPERNET, f"--work_dir={work_dir}", *arguments
    )
    refuses(result, *expected)
    assert not work_dir.exists()


def test_a_folder_without_images(run_tool, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "data" / part / "cat").mkdir(parents=True)
    before = tree(tmp_path)
    result = run_tool(
        "train_supernet",
        *SUPERNET,
        f"--work_dir={tmp_path / 'runs'}",
        f"--dataset=folder:{tmp_path / 'data'}",
    )
    refuses(result, str(tmp_path / "data"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("tool", "part", "number"),
    [
        ("train_supernet", "train", 9),
        ("train_supernet", "search", 0),
        ("train_subnet", "train", 0),
        ("train_subnet", "test", 0),
    ],
)
def test_a_damaged_image(run_tool, tmp_path, tool, part, number):
    """Noticed in the first step, in validation, or at the very end."""
    for name, label in itertools.product(("train", "test"), range(2)):
        folder = tmp_path / "data" / name / f"class{label}"
        folder.mkdir(parents=True)
        for index in range(10):
            image = PIL.Image.new("RGB", (8, 8), (100 * label, 0, 9 * index))
            image.save(folder / f"{index}.png")
    # The search split is the first images of every class.
    name = "test" if part == "test" else "train"
    damaged = tmp_path / "data" / name / "class1" / f"{number}.png"
    # Cut off: no look at its first bytes tells.
    damaged.write_bytes(damaged.read_bytes()[:60])
    before = tree(tmp_path)
    result = run_tool(
        tool,
        *TINY_RUN,
        *(
            ["--encoding=0,0,0,0,0", "--holdout_per_class=0"]
            if tool == "train_subnet"
            else ["--sampler=uniform", "--holdout_per_class=3"]
        ),
        f"--work_dir={tmp_path / 'runs'}",
        f"--dataset=folder:{tmp_path / 'data'}",
        "--num_classes=2",
        "--augmentation=none",
        "--checkpoint_every=2",
        "--validate_every=1",
    )
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"{tool}.py: ")
    assert f"1 cannot be decoded: '{damaged}' (" in last
    if part != "test":  # Else the training is done, and kept.
        assert tree(tmp_path) == before


def test_an_unwritable_work_dir(run_tool, tmp_path):
    # Tests may run as root, whom permissions do not stop; a file does.
    (tmp_path / "file").write_text("mine")
    result = run_tool(
        "train_supernet", *SUPERNET, f"--work_dir={tmp_path / 'file'}"
    )
    refuses(result, "Cannot write", str(tmp_path / "file"), "--work_dir")
    assert tree(tmp_path) == {"file": b"mine"}


def test_no_work_dir(run_tool):
    refuses(run_tool("train_supernet", *SUPERNET), "work_dir")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A work_dir with a supernet, trained by a process as users start it."""
    work_dir = tmp_path_factory.mktemp("trained")
    result = subprocess.run(
        [
            sys.executable,
            "tools/train_supernet.py",
            *SUPERNET,
            "--constraint_ranges=1:2:1",
            f"--work_dir={work_dir}",
        ],
        cwd=REPO,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    # Nothing but the bar and our own lines.
    for line in filter(None, result.stderr.splitlines()):
        assert line.startswith("supernet:") or line[2:3] == ":", line
    return work_dir


@pytest.fixture
def work_dir(trained, tmp_path):
    """A copy of the trained work_dir."""
    return shutil.copytree(trained, tmp_path / "runs")


RESUME = (*SUPERNET, "--constraint_ranges=1:2:1")


def test_other_flags_are_all_named(run_tool, work_dir):
    before = tree(work_dir)
    changed = [
        # Set before and unset now is a change, and so are these.
        flag
        for flag in RESUME
        if not flag.startswith("--constraint_ranges")
    ] + ["--batch_size=8", "--nodeterministic", "--eval_resize=9"]
    result = run_tool("train_supernet", *changed, f"--work_dir={work_dir}")
    refuses(
        result,
        "--batch_size (16 there, 8 here), --constraint_ranges (",
        "--deterministic (true there, false here)",
        "--eval_resize (null there, 9 here). run.json",
    )
    assert tree(work_dir) == before


def test_an_occupied_work_dir(run_tool, work_dir):
    before = tree(work_dir)
    with (work_dir / "supernet" / "default" / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run_tool("train_supernet", *RESUME, f"--work_dir={work_dir}")
    refuses(result, "Another run", "--name")
    assert tree(work_dir) == before


def checkpoints(work_dir):
    return sorted((work_dir / "supernet/default/checkpoints").iterdir())


def cut(path: pathlib.Path):
    path.write_bytes(path.read_bytes()[:1000])


def test_a_damaged_checkpoint_falls_back_saying_so(run_tool, work_dir):
    newest = checkpoints(work_dir)[-1]
    with np.load(newest) as file:
        wanted = dict(file)
    cut(newest)
    result = run_tool("train_supernet", *RESUME, f"--work_dir={work_dir}")
    assert result.returncode == 0, result.stderr
    assert f"'{newest}' is damaged" in result.stderr
    assert "Falling back to the one before" in result.stderr
    assert "after step 1 of 2" in result.stderr
    with np.load(newest) as file:
        assert set(file.files) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_array_equal(file[name], value)


def test_all_checkpoints_damaged(run_tool, work_dir):
    for path in checkpoints(work_dir):
        cut(path)
    before = tree(work_dir)
    for tool, arguments in (("train_supernet", RESUME), ("search", SEARCH)):
        result = run_tool(tool, *arguments, f"--work_dir={work_dir}")
        refuses(
            result, "All 2 checkpoints", str(checkpoints(work_dir)[0].parent)
        )
    assert tree(work_dir) == before


def test_a_foreign_checkpoint(run_tool, work_dir, tmp_path):
    other = tmp_path / "other" / "supernet" / "default" / "checkpoints"
    shutil.copytree(checkpoints(work_dir)[0].parent, other)
    before = tree(tmp_path / "other")
    result = run_tool(
        "train_supernet",
        *RESUME,
        '--space_arguments={"stage_widths": [36, 76]}',
        f"--work_dir={tmp_path / 'other'}",
    )
    refuses(result, "space_arguments", "--work_dir")
    assert tree(tmp_path / "other") == before


DATA = ("--dataset=digits", "--augmentation=shift")
SEARCH = (
    *DATA,
    "--holdout_per_class=5",
    "--recalibration_images=50",
    "--population=4",
    "--generations=1",
    "--top_k=2",
)
SEARCH_MISTAKES = {
    "strategy": (["--strategy=luck"], ["strategy", "evolution"]),
    "impossible": (["--max_macs=1e3"], ["macs <= 1000", "157440"]),
    "impossible together": (
        ["--max_macs=158e3", "--min_params=33e3"],
        ["macs", "params"],
    ),
    "no constraint": (["--constraint=macs<330"], ["'macs<330'", "macs<=330e6"]),
    "cost": (["--constraint=watts<=3"], ["'watts'", "macs, params"]),
    "population": (["--population=0"], ["population"]),
    "seen images": (["--holdout_per_class=6"], ["--holdout_per_class=5"]),
    "recalibration": (
        ["--recalibration_images=0"],
        ["--recalibration_images is at least 1"],
    ),
    "preset": (["--preset=cifar"], ["'demo'", "'cifar'"]),
    "supernet": (["--supernet_name=no"], ["--supernet_name"]),
    "name": (["--name=a/b"], ["--name", "'a/b'"]),
}


@pytest.mark.parametrize(
    ("arguments", "expected"), SEARCH_MISTAKES.values(), ids=SEARCH_MISTAKES
)
def test_search_refuses(run_tool, trained, arguments, expected):
    before = tree(trained)
    result = run_tool("search", *SEARCH, f"--work_dir={trained}", *arguments)
    refuses(result, *expected)
    assert tree(trained) == before


def test_a_second_search(run_tool, work_dir):
    folder = work_dir / "search" / "default"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = tree(work_dir)
        result = run_tool("search", *SEARCH, f"--work_dir={work_dir}")
    refuses(result, "Another run", "--name")
    assert tree(work_dir) == before


def test_a_search_of_a_checkpoint_of_another_kind(run_tool, work_dir):
    for path in checkpoints(work_dir):
        with np.load(path) as file:
            arrays = dict(file)
        description = json.loads(str(arrays["description.json"]))
        text = json.dumps({**description, "kind": "subnet"})
        np.savez(path, **{**arrays, "description.json": np.array(text)})
    before = tree(work_dir)
    result = run_tool("search", *SEARCH, f"--work_dir={work_dir}")
    refuses(result, "'subnet'")
    assert tree(work_dir) == before


def test_a_search_without_a_supernet(run_tool, tmp_path):
    result = run_tool("search", *SEARCH, f"--work_dir={tmp_path / 'runs'}")
    refuses(result, "Run train_supernet first", "--supernet_name")
    assert tree(tmp_path) == {}
