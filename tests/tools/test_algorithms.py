"""Supernets that are not trained on single paths, by their tool."""

import json

import numpy as np
import pytest

from refusals import refuses
from spos_tf.space import Architecture

SPACE = [
    "--preset=demo",
    '--space_arguments={"stem_width": 8, "stage_widths": [12], '
    '"stage_strides": [2], '
    '"stage_repeats": [1], "last_width": 16}',
]
DATA = ["--dataset=digits", "--augmentation=shift", "--holdout_per_class=5"]
TRAIN = [
    *DATA,
    *SPACE,
    "--batch_size=16",
    "--steps=12",
    "--checkpoint_every=4",
    "--validate_every=6",
    "--log_every=2",
    "--average_every=3",
]
LEARN = ["--architecture_every=2", "--architecture_warmup=0.1"]
OPTIONS = {"3x3", "5x5", "7x7", "xception"}


@pytest.fixture
def trained(work_dir, tool):
    """`trained("gumbel", ...)` -> its folder, made by the first call."""

    def train(algorithm, *arguments):
        folder = work_dir / "supernet" / algorithm
        if not folder.exists():
            flags = [f"--algorithm={algorithm}", f"--name={algorithm}"]
            tool("train_supernet", *TRAIN, *flags, *arguments)
        return folder

    return train


@pytest.fixture
def learned(trained):
    """`learned("gumbel")`, with a cost in the loss."""
    flags = [*LEARN, "--architecture_cost_weight=0.2"]
    return lambda algorithm: trained(algorithm, *flags)


def _checkpoint(folder, step=12):
    with np.load(folder / f"checkpoints/step-{step:08d}.npz") as file:
        return {name: file[name] for name in file.files}


def test_a_killed_run_goes_on_to_the_same_bits(tool, learned):
    folder = learned("two_path")
    before = _checkpoint(folder)
    best = (folder / "best.json").read_bytes()
    for step in (8, 12):
        (folder / f"checkpoints/step-{step:08d}.npz").unlink()
    (folder / "best.json").unlink()
    # Its own flags repeat it.
    tool("train_supernet", f"--flagfile={folder / 'train_supernet.flags'}")
    after = _checkpoint(folder)
    assert set(before) == set(after)
    for name, value in before.items():
        assert value.tobytes() == after[name].tobytes(), name
    assert (folder / "best.json").read_bytes() == best
    # That it went on, and that there was something to go on with.
    earlier = _checkpoint(folder, 4)
    names = [name for name in before if name.startswith("architecture/")]
    assert len(names) > 3
    for name in (
        "architecture/parameters",
        "architecture/optimizer/iterations",
    ):
        assert (earlier[name] != before[name]).any()


@pytest.mark.parametrize("algorithm", ["two_path", "gumbel"])
def test_the_most_probable_architecture_is_written(learned, algorithm):
    folder = learned(algorithm)
    arrays = _checkpoint(folder)
    description = json.loads(str(arrays["description.json"]))
    assert description["algorithm"] == algorithm
    best = json.loads((folder / "best.json").read_text("utf-8"))
    assert best["algorithm"] == algorithm
    (name,) = best["choices"]
    shares = best["probabilities"][name]
    assert set(shares) == OPTIONS
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert best["choices"][name] == max(shares, key=shares.get)
    # What always runs, then the four branches: all of gumbel, one of two_path
    # in every third of twelve steps.
    always, *branches = arrays["average_updates"].tolist()
    assert always == 4
    assert sum(branches) == (4 if algorithm == "two_path" else 16)
    parameters = arrays["architecture/parameters"]
    assert len(set(parameters[0].tolist())) > 1
    assert [*shares][parameters[0].argmax()] == best["choices"][name]
    assert best["costs"]["macs"] > 0
    assert 0 <= best["accuracy"] <= 1
    assert not description["costs"].keys() - {"macs"}


def test_what_reads_architectures_reads_it(run_tool, tool, learned):
    folder = learned("two_path")
    architecture = f"--architecture={folder / 'best.json'}"
    best = json.loads((folder / "best.json").read_text("utf-8"))
    done = run_tool("describe", architecture, "--format=json")
    described = json.loads(done.stdout)
    assert described["architecture"]["choices"] == best["choices"]
    for cost, value in best["costs"].items():
        assert described[cost] == value
    tool(
        "train_subnet",
        *DATA,
        architecture,
        "--steps=2",
        "--batch_size=16",
        "--validate_every=0",
        "--name=found",
    )


def test_path_dropout_ends_in_a_supernet_that_is_searched(
    work_dir, tool, trained
):
    folder = trained("path_dropout", "--keep_rate=0.7")
    arrays = _checkpoint(folder)
    description = json.loads(str(arrays["description.json"]))
    assert description["algorithm"] == "path_dropout"
    assert not [name for name in arrays if name.startswith("architecture/")]
    counts = arrays["sampler/path_counts"]
    # More than one branch a step, and not all.
    assert 12 < counts.sum() < 48
    assert not (folder / "best.json").exists()
    tool(
        "search",
        *DATA,
        "--supernet_name=path_dropout",
        "--population=2",
        "--generations=1",
        "--top_k=1",
        "--recalibration_images=50",
    )
    Architecture.read(work_dir / "search" / "default" / "best.json")


REFUSED = {
    "elastic": (
        ["--algorithm=gumbel", "--search_space=shufflenet_channels"],
        ["stage1.block1.width", "single_path"],
    ),
    "sampler": (
        ["--algorithm=path_dropout", "--sampler=uniform"],
        ["--sampler belongs to --algorithm=single_path", "path_dropout"],
    ),
    "ranges": (
        ["--algorithm=gumbel", "--constraint_ranges=1:2:1"],
        ["--constraint_ranges", "gumbel"],
    ),
    "keep rate of another": (
        ["--keep_rate=0.5", "--sampler=uniform"],
        ["--keep_rate=0.5", "path_dropout", "single_path"],
    ),
    "keep rate": (
        ["--algorithm=path_dropout", "--keep_rate=1.5"],
        ["above 0 and at most 1; got 1.5"],
    ),
    "limit": (
        ["--algorithm=two_path", "--max_macs=1e6"],
        ["'macs'", "--architecture_cost_weight"],
    ),
    "limit of dropout": (
        ["--algorithm=path_dropout", "--constraint=params<=1e6"],
        ["'params'", "Limit the search"],
    ),
    "no held-out images": (
        ["--algorithm=two_path", "--holdout_per_class=0"],
        ["--holdout_per_class=0"],
    ),
    "too few steps": (
        ["--algorithm=two_path", "--architecture_every=20"],
        ["12 steps", "every 20"],
    ),
    "warm-up": (
        ["--algorithm=gumbel", "--architecture_warmup=1"],
        ["at least 0 and below 1; got 1.0"],
    ),
    "rate": (
        ["--algorithm=gumbel", "--architecture_learning_rate=0"],
        ["above 0; got 0.0"],
    ),
    "temperature": (
        ["--algorithm=gumbel", "--temperature=0"],
        ["--temperature is above 0; got 0.0"],
    ),
    "temperature of another": (
        ["--algorithm=two_path", "--temperature=1"],
        ["--temperature belongs to --algorithm=gumbel"],
    ),
    "cost": (
        [
            "--algorithm=gumbel",
            "--architecture_cost_weight=1",
            "--architecture_cost=watts",
        ],
        ["'watts'", "macs"],
    ),
    "XLA": (["--algorithm=gumbel", "--jit_compile"], ["--jit_compile"]),
}


@pytest.mark.parametrize(
    ("arguments", "expected"), REFUSED.values(), ids=REFUSED
)
def test_refused(run_tool, tmp_path, arguments, expected):
    result = run_tool(
        "train_supernet",
        *TRAIN,
        *arguments,
        f"--work_dir={tmp_path / 'runs'}",
    )
    refuses(result, *expected)
    assert not (tmp_path / "runs").exists()


def test_a_run_from_before_there_was_a_flag_goes_on(tool, run_tool, trained):
    """A flag that its flags do not name was what it is by default."""
    folder = trained("path_dropout", "--keep_rate=0.7")
    file = folder / "train_supernet.flags"
    lines = file.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("--l2=")]
    assert len(kept) == len(lines) - 1
    file.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    done = tool("train_supernet", f"--flagfile={file}")
    assert "Resuming after step 12 of 12" in done.stderr
    file.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    result = run_tool("train_supernet", f"--flagfile={file}", "--l2=0.1")
    refuses(result, "other values of --l2 ")
