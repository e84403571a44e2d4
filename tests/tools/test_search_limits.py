"""Several searches of one supernet, and the table over them."""

import json

import pytest

from made_up_latencies import write_table
from refusals import TINY_RUN, refuses, tree
from spos_tf.spaces import build_blueprint, named_network

SEARCH = (
    "--dataset=digits",
    "--augmentation=shift",
    "--holdout_per_class=5",
    "--recalibration_images=50",
    "--population=4",
    "--generations=2",
    "--top_k=2",
)
NAMES = (
    "default-macs_max_175e3",
    "default-latency_ms_max_0.2_and_macs_min_180e3",
)


@pytest.fixture
def supernet(work_dir, tool):
    folder = work_dir / "supernet" / "default"
    if not folder.exists():
        tool(
            "train_supernet",
            *TINY_RUN,
            "--holdout_per_class=5",
            "--sampler=uniform",
        )
    return folder


@pytest.fixture
def flags(work_dir, supernet):
    path = work_dir / "latency.yaml"
    if not path.exists():
        write_table(build_blueprint("shufflenet_blocks", preset="demo"), path)
    return [*SEARCH, f"--latency_table={path}"]


BOTH = (
    "--limits=macs<=175e3",
    "--limits=latency_ms<=0.2,macs>=180e3",
    "--baseline=fbnet_a",
)


@pytest.fixture
def table(work_dir, tool, flags):
    path = work_dir / "search_limits" / "default" / "table.json"
    if not path.exists():
        tool("search_limits", *flags, *BOTH)
    return json.loads(path.read_text("utf-8"))


def test_a_row_for_each_limit_and_baseline(work_dir, table):
    assert [row["limit"] for row in table] == [
        "macs<=175e3",
        "latency_ms<=0.2,macs>=180e3",
        None,
    ]
    assert [row["name"] for row in table] == [*NAMES, "fbnet_a"]
    assert table[0]["costs"]["macs"] <= 175e3
    assert 180e3 <= table[1]["costs"]["macs"] <= 200e3
    for row, name in zip(table, NAMES, strict=False):
        best = json.loads(
            (work_dir / "search" / name / "best.json").read_text("utf-8")
        )
        assert row["score"] == row["accuracy"] == best["accuracy"]
        assert row["costs"] == best["costs"]
    baseline = table[2]
    assert baseline["search_space"] == "fbnet"
    assert len(baseline["encoding"]) == 22
    # Counted at the supernet's image size, and in no latency table.
    assert {*baseline["costs"]} == {"macs", "params"}
    assert baseline["score"] is None and "accuracy" not in baseline
    text = work_dir / "search_limits" / "default" / "table.md"
    lines = text.read_text("utf-8").splitlines()
    assert lines[0] == (
        "| limit or baseline | MACs | params | latency [ms] | supernet "
        "accuracy | test accuracy | encoding |"
    )
    assert lines[2].startswith("| `macs<=175e3` | ")
    assert (
        lines[4].startswith("| `fbnet_a` | ") and " | - | - | - |" in lines[4]
    )


def test_a_baseline_has_the_latency_of_its_own_table(
    work_dir, tool, flags, table
):
    blueprint, _ = named_network("fbnet_a", image_size=8, num_classes=10)
    path = work_dir / "fbnet.yaml"
    write_table(blueprint, path)
    metrics = work_dir / "subnet" / "resnet18_3w3a" / "metrics.json"
    metrics.parent.mkdir(parents=True)
    data = {"encoding": None, "test_accuracy": 0.125}
    metrics.write_text(json.dumps(data), "utf-8")
    uniform = "--baseline=resnet18_3w3a"
    tool("search_limits", *flags, *BOTH, uniform, f"--latency_table={path}")
    rows = json.loads(
        (work_dir / "search_limits" / "default" / "table.json").read_text()
    )
    costs = rows[2]["costs"]
    assert costs["latency_ms"] == pytest.approx(costs["macs"] / 1e6)
    assert rows[:2] == table[:2]
    # One that nothing was chosen in.
    assert rows[3]["encoding"] is None
    assert rows[3]["test_accuracy"] == 0.125
    assert rows[3]["costs"]["bit_ops"] > 0


def test_each_is_what_the_search_tool_would_leave(work_dir, tool, flags, table):
    """And either tool resumes what the other began."""
    folder = work_dir / "search" / NAMES[0]
    lines = (folder / "search.flags").read_text("utf-8").splitlines()
    assert f"--name={NAMES[0]}" in lines
    assert "--constraint=macs<=175e3" in lines
    assert not [line for line in lines if line.startswith("--limits")]
    record = folder / "record.jsonl"
    whole = record.read_text("utf-8")
    record.write_text("".join(whole.splitlines(keepends=True)[:3]), "utf-8")
    tool("search", *flags, f"--name={NAMES[0]}", "--constraint=macs<=175e3")
    again = [
        json.loads(line) for line in record.read_text("utf-8").splitlines()
    ]
    before = [json.loads(line) for line in whole.splitlines()]
    assert [one["encoding"] for one in again] == [
        one["encoding"] for one in before
    ]


def test_it_goes_on_and_shows_what_was_retrained(work_dir, tool, flags, table):
    records = {
        name: (work_dir / "search" / name / "record.jsonl").read_bytes()
        for name in NAMES
    }
    for name, encoding, accuracy in (
        (NAMES[0], table[0]["encoding"], 0.75),
        (NAMES[1], [0, 0, 0, 0, 0], 0.5),
        ("fbnet_a", table[2]["encoding"], 0.25),
    ):
        metrics = work_dir / "subnet" / name / "metrics.json"
        metrics.parent.mkdir(parents=True)
        data = {"encoding": encoding, "test_accuracy": accuracy}
        metrics.write_text(json.dumps(data), "utf-8")
    done = tool("search_limits", *flags, *BOTH, "--limits=macs>=200e3")
    rows = json.loads(
        (work_dir / "search_limits" / "default" / "table.json").read_text()
    )
    assert rows[:2] == [
        {**table[0], "test_accuracy": 0.75},
        # Of another network than the search found.
        table[1],
    ]
    assert rows[2]["limit"] == "macs>=200e3"
    assert rows[3]["test_accuracy"] == 0.25
    assert "is of another network" in done.stderr
    for name, record in records.items():
        path = work_dir / "search" / name / "record.jsonl"
        assert path.read_bytes() == record


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["at least one limit", "--limits"]),
        (
            ["--limits=macs<=2e5", "--limits=macs <= 2e5"],
            ["'macs <= 2e5'", "'macs<=2e5'"],
        ),
        (
            ["--limits=macs<=2e5", "--limits=macs<=200000"],
            ["'macs<=200000'", "'macs<=2e5'"],
        ),
        (
            ["--limits=macs<=2e5", "--limits=macs<=1e3"],
            ["macs <= 1000", "157440, the least"],
        ),
        (
            ["--limits=macs<=2e5", "--baseline=alexnet"],
            ["'alexnet'", "fbnet_a"],
        ),
        (["--limits=macs<2e5"], ["'macs<2e5'"]),
    ],
)
def test_refusals_come_before_anything_is_scored(
    run_tool, work_dir, flags, arguments, expected
):
    before = tree(work_dir)
    result = run_tool(
        "search_limits",
        *flags,
        "--name=no",
        f"--work_dir={work_dir}",
        *arguments,
    )
    refuses(result, *expected)
    assert tree(work_dir) == before
