"""A supernet's ranking compared with a table, from the command line."""

import dataclasses
import itertools
import json
import math
import random
import statistics

import pytest

from refusals import TINY_RUN, refuses, tree
from spos_tf.analysis.reliability import reliability
from spos_tf.space.record import read_record

SPACE = {
    "stem_width": 8,
    "stage_widths": [12, 16],
    "stage_repeats": [1, 1],
    "stage_strides": [1, 2],
    "last_width": 16,
}
DIGITS = ("--dataset=digits", "--holdout_per_class=20")
ALL = list(itertools.product(range(4), repeat=2))


def accuracy(encoding):
    return 90 + encoding[0] + 0.1 * encoding[1]


@pytest.fixture(scope="module")
def table(work_dir):
    """All 16 architectures, in no order."""
    encodings = random.Random(0).sample(ALL, len(ALL))
    lines = [f'"{e[0]},{e[1]}",{accuracy(e)},word\n' for e in encodings]
    path = work_dir / "table.csv"
    path.write_text("".join(["arch,acc,text\n", *lines]))
    return path


@pytest.fixture
def supernet(work_dir, tool):
    """Three checkpoints, made by the first test."""
    folder = work_dir / "supernet" / "default"
    if not folder.exists():
        tool(
            "train_supernet",
            *TINY_RUN,
            "--steps=3",
            "--sampler=uniform",
            "--holdout_per_class=20",
            f"--space_arguments={json.dumps(SPACE)}",
        )
    return folder


@pytest.fixture
def flags(table, supernet):
    del supernet
    return [
        *DIGITS,
        f"--table={table}",
        "--accuracy_column=acc",
        "--num_architectures=0",
        "--recalibration_images=150",
        "--top_k=4,50%",
        "--resamples=50",
    ]


@pytest.fixture
def compared(tool, flags, work_dir):
    """The folder of a comparison of all checkpoints, made by the first."""
    folder = work_dir / "correlate" / "default"
    if not folder.exists():
        tool("correlate", *flags, "--supernet_step=all")
    return folder


def scores(folder):
    lines = (folder / "scores.jsonl").read_text().splitlines()
    data = [json.loads(line) for line in lines]
    return {(one["step"], *one["encoding"]): one for one in data}


def test_checkpoints_are_compared_and_a_killed_run_ends_the_same(
    tool, flags, work_dir
):
    done = tool("correlate", *flags, "--supernet_step=all")
    assert done.stdout.startswith(
        "16 architectures, acc, step 3, recalibrated statistics: Kendall tau"
    )
    assert done.stdout.count("\n") == 1
    folder = work_dir / "correlate" / "default"
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "beside.png",
        "correlate.flags",
        "correlation.json",
        "over_training.json",
        "over_training.png",
        "read_outs.json",
        "read_outs.md",
        "run.json",
        "scatter.png",
        "scored_with.json",
        "scores.jsonl",
        "scores.npz",
    }
    found = scores(folder)
    assert {*found} == {(step, *one) for step in (1, 2, 3) for one in ALL}
    for (_, *encoding), one in found.items():
        assert one["architecture"] == ",".join(map(str, encoding))
        assert one["accuracy"] == pytest.approx(accuracy(encoding))
    correlation = json.loads((folder / "correlation.json").read_text())
    assert (correlation["step"], correlation["images"]) == (3, 48)
    assert [top["k"] for top in correlation["top"]] == [4, 8]
    assert {*correlation["baselines"]} == {"macs", "params"}
    repeats = reliability([found[3, *one]["halves"] for one in ALL])
    assert correlation["reliability"] == pytest.approx(
        dataclasses.asdict(repeats)
    )
    assert repeats.candidates == 16
    last = [found[3, *one]["score"] for one in ALL]
    assert correlation["chance"] == 0.1
    assert correlation["mean"] == pytest.approx(statistics.fmean(last))
    assert correlation["spread"] == pytest.approx(statistics.stdev(last))
    # 200 images.
    error = math.sqrt(correlation["mean"] * (1 - correlation["mean"]) / 200)
    assert correlation["standard_error"] == pytest.approx(error)
    assert "Random networks score" in done.stderr
    assert "where chance is 10.00 %" in done.stderr
    run = json.loads((folder / "run.json").read_text())
    assert run["inputs"].keys() == {"table", "train"}
    assert done.stdout.endswith(f", reliability {repeats}\n")
    over = json.loads((folder / "over_training.json").read_text())
    assert [one["step"] for one in over["checkpoints"]] == [1, 2, 3]
    assert over["checkpoints"][-1]["kendall"] == correlation["kendall"]

    # What a kill leaves: some scores, the last line unfinished.
    before = {
        name: (folder / name).read_bytes()
        for name in ("correlation.json", "over_training.json")
    }
    text = (folder / "scores.jsonl").read_bytes()
    (folder / "scores.jsonl").write_bytes(text[: len(text) // 2])
    (folder.parent / "scores.jsonl").unlink()
    for name in before:
        (folder / name).unlink()
    tool("correlate", *flags, "--supernet_step=all")
    for name, content in before.items():
        assert (folder / name).read_bytes() == content
    again = scores(folder)
    assert again.keys() == found.keys()
    assert all(
        {**one, "seconds": 0} == {**again[key], "seconds": 0}
        for key, one in found.items()
    )


def test_scores_are_those_of_the_search(tool, compared, work_dir):
    tool(
        "search",
        *DIGITS,
        "--strategy=random",
        "--population=6",
        "--generations=1",
        "--recalibration_images=150",
    )
    record = read_record(work_dir / "search" / "default" / "record.jsonl")
    assert len(record) == 6
    found = scores(compared)
    for one in record:
        assert found[3, *one.encoding]["score"] == one.accuracy


def test_a_sample_with_shared_statistics_and_fewer_images(
    tool, compared, flags, work_dir
):
    tool(
        "correlate",
        *flags,
        "--name=shared",
        "--num_architectures=5",
        "--scored_images=50",
        "--statistics=shared",
        "--shared_paths=30",
    )
    folder = work_dir / "correlate" / "shared"
    found = scores(folder)
    assert len(found) == 5
    assert found.keys() < scores(compared).keys()
    for score in (one["score"] for one in found.values()):
        # Of 50 images.
        assert score * 50 == pytest.approx(round(score * 50))
    written = json.loads((folder / "correlation.json").read_text())
    assert written["statistics"] == "shared"
    assert not (folder / "over_training.json").exists()


def refused(run_tool, work_dir, flags, *expected):
    before = tree(work_dir)
    done = run_tool("correlate", *flags, f"--work_dir={work_dir}")
    refuses(done, *expected)
    assert tree(work_dir) == before


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            ["--accuracy_column=text"],
            ["'text'", "'word' in row 1, which is no"],
        ),
        (["--accuracy_column=no"], ["no column 'no'", "accuracies are: acc."]),
        (["--num_architectures=17"], ["has 16 archi", "=17"]),
        (
            ["--supernet_step=2,7"],
            ["which are: 1, 2, 3; got '7'", "`keep_checkpoints`"],
        ),
        (["--supernet_step=last"], ["got 'last'"]),
        (["--top_k=17"], ["--top_k holds numbers from 1 to 16", "got '17'"]),
        (["--scored_images=201"], ["1 to 200 images", "got 201"]),
        (["--table=no.csv"], ["Cannot read table 'no.csv'"]),
        (
            ["--statistics=shared", "--scoring=tree"],
            ["--scoring=tree could share"],
        ),
        (["--supernet_name=no"], ["no supernet checkpoint"]),
        (["--supernet_name=no", "--supernet_step=all"], ["no supernet check"]),
    ],
)
def test_bad_flags(run_tool, work_dir, flags, changed, expected):
    refused(run_tool, work_dir, [*flags, "--name=bad", *changed], *expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('arch,acc\n"0,0,1",1\n', ["Row 1", "'shufflenet_blocks'", "has 3"]),
        ('arch,acc\n"0,9",1\n', ["Row 1", "options 0 to 3; got 9"]),
        ('arch,acc\n"0,0",1\n"0,0",2\n', ["row 2", "that of row 1 again"]),
        ('arch,acc\n"0,0",nan\n', ["has nan in row 1"]),
        ('arch,acc\n"0,0",1\n', ["at least 2 architectures"]),
    ],
)
def test_bad_tables(run_tool, work_dir, flags, tmp_path, text, expected):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    changed = [f"--table={path}", "--name=bad", "--top_k=1"]
    refused(run_tool, work_dir, [*flags, *changed], *expected)


def test_a_run_is_not_mixed_with_another(run_tool, work_dir, flags, compared):
    """Its flags, and its table whatever the path says."""
    refused(run_tool, work_dir, [*flags, "--seed=1"], "other values of --seed")
    path = work_dir / "table.csv"
    text = path.read_text()
    try:
        path.write_text(text.replace("word", "rule"))
        refused(run_tool, work_dir, flags, "or the table changed since")
    finally:
        path.write_text(text)
