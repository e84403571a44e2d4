"""Limits on any cost, in training and in a search; the documented example."""

import json
import re

import numpy as np
import pytest

from made_up_latencies import write_table
from refusals import TINY_RUN, refuses
from source_tree import REPO
from spos_tf.cost.user_cost import load_cost, user_cost
from spos_tf.space.record import read_record
from spos_tf.spaces import build_blueprint

DEMO = build_blueprint("shufflenet_blocks", preset="demo")
TEXT = (REPO / "docs" / "constraints.md").read_text("utf-8")
TRAIN = (*TINY_RUN, "--holdout_per_class=5")
SEARCH = (
    "--dataset=digits",
    "--augmentation=shift",
    "--holdout_per_class=5",
    "--recalibration_images=50",
    "--population=5",
    "--generations=2",
    "--top_k=2",
)
LIMIT = 0.024


@pytest.fixture(scope="module")
def energy(tmp_path_factory):
    """The file of the documented example."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    path = tmp_path_factory.mktemp("costs") / "energy.py"
    path.write_text(code, "utf-8")
    return path


@pytest.fixture
def supernet(work_dir, tool, energy):
    """Trained on paths of little energy."""
    folder = work_dir / "supernet" / "default"
    if not folder.exists():
        done = tool(
            "train_supernet",
            *TRAIN,
            "--sampler=uniform",
            f"--constraint={energy}:energy_mj<={LIMIT}",
        )
        assert f"Every path keeps energy_mj <= {LIMIT}" in done.stderr
    return folder


def joules(energy, encodings):
    return user_cost(DEMO, load_cost(f"{energy}:energy_mj"))(encodings)


def test_the_documented_limit_excludes_some_and_allows_some(energy):
    assert f"energy_mj<={LIMIT}" in TEXT
    grid = np.indices((4,) * 5).reshape(5, -1).T
    share = (joules(energy, grid) <= LIMIT).mean()
    assert 0.2 < share < 0.8


def test_the_example_limits_a_search(work_dir, tool, supernet, energy):
    tool(
        "search",
        *SEARCH,
        f"--constraint={energy}:energy_mj<={LIMIT}",
        f"--constraint={energy}:large_kernels<=2",
        "--min_params=29000",
    )
    record = read_record(work_dir / "search" / "default" / "record.jsonl")
    assert len(record) == 10
    for one in record:
        assert {"macs", "params", "energy_mj", "large_kernels"} == {*one.costs}
        assert one.costs["energy_mj"] <= LIMIT
        assert one.costs["large_kernels"] == one.encoding.count(2) <= 2
        assert one.costs["params"] >= 29000
    expected = joules(energy, [one.encoding for one in record])
    assert [one.costs["energy_mj"] for one in record] == expected.tolist()
    # The same named once, limited elsewhere by its short name.
    again = [
        f"--cost={energy}:energy_mj",
        f"--cost={energy}:large_kernels",
        f"--constraint=energy_mj<={LIMIT}",
        "--constraint=large_kernels<=2",
        "--constraint=params>=29000",
    ]
    tool("search", *SEARCH, *again, "--name=again")
    other = read_record(work_dir / "search" / "again" / "record.jsonl")
    assert [one.encoding for one in other] == [one.encoding for one in record]


def test_a_front_over_a_cost_of_ones_own(work_dir, tool, supernet, energy):
    tool(
        "search",
        *SEARCH,
        "--name=front",
        "--strategy=nsga2",
        f"--objective={energy}:energy_mj",
    )
    path = work_dir / "search" / "front" / "front.json"
    front = json.loads(path.read_text("utf-8"))
    assert front["objectives"] == ["accuracy", "energy_mj"]
    assert front["candidates"]


def test_a_latency_limit_in_a_search(work_dir, tool, supernet, tmp_path):
    path = tmp_path / "latency.yaml"
    write_table(DEMO, path)
    flags = [f"--latency_table={path}", "--max_latency_ms=0.195"]
    tool("search", *SEARCH, "--name=fast", *flags)
    for one in read_record(work_dir / "search" / "fast" / "record.jsonl"):
        assert one.costs["latency_ms"] <= 0.195
        assert one.costs["latency_ms"] == pytest.approx(one.costs["macs"] / 1e6)


def test_a_latency_below_the_cheapest(run_tool, work_dir, supernet, tmp_path):
    path = tmp_path / "latency.yaml"
    write_table(DEMO, path)
    result = run_tool(
        "search",
        *SEARCH,
        f"--latency_table={path}",
        "--max_latency_ms=0.1",
        "--name=no",
        f"--work_dir={work_dir}",
    )
    refuses(result, "latency_ms <= 0.1", "0.15744", "the least of the space")


def test_latency_needs_a_table(run_tool, work_dir, supernet):
    result = run_tool(
        "search",
        *SEARCH,
        "--name=no",
        "--max_latency_ms=3",
        f"--work_dir={work_dir}",
    )
    refuses(result, "latency_ms", "--latency_table", "build_latency_table")


@pytest.mark.parametrize("sampler", ["uniform", "uniform_constraint"])
def test_training_tells_of_a_limit_that_nothing_keeps(
    run_tool, tmp_path, sampler
):
    result = run_tool(
        "train_supernet",
        *TRAIN,
        f"--sampler={sampler}",
        "--max_macs=1e3",
        f"--work_dir={tmp_path / 'runs'}",
    )
    refuses(result, "macs <= 1000", "157440, the least of the space")
    assert not (tmp_path / "runs").exists()


def test_training_under_ranges_and_limits(tool, tmp_path, energy):
    path = tmp_path / "latency.yaml"
    write_table(DEMO, path)
    done = tool(
        "train_supernet",
        *TRAIN,
        "--name=ranges",
        f"--latency_table={path}",
        "--max_latency_ms=0.195",
        f"--constraint_cost={energy}:energy_mj",
        "--constraint=params<=30000",
    )
    assert re.search(
        r"Paths are drawn from \d ranges of energy_mj", done.stderr
    )
    assert "Every path keeps latency_ms <= 0.195 and params <= 30000" in (
        done.stderr
    )


def test_a_resumed_training_refuses_other_costs(tool, run_tool, tmp_path):
    """The file is named by the same flag; what it says decided the paths."""
    path = tmp_path / "latency.yaml"
    write_table(DEMO, path)
    flags = (
        *TRAIN,
        f"--work_dir={tmp_path / 'runs'}",
        "--sampler=uniform",
        f"--latency_table={path}",
        "--max_latency_ms=0.195",
    )
    assert run_tool("train_supernet", *flags).returncode == 0
    assert run_tool("train_supernet", *flags).returncode == 0
    text = path.read_text("utf-8")
    path.write_text(text.replace("median_ms: 0.0", "median_ms: 0.00"), "utf-8")
    result = run_tool("train_supernet", *flags)
    assert result.returncode == 2
    assert "costs" in result.stderr.splitlines()[-1]


def test_one_cost_may_be_spelled_in_two_ways(tool, tmp_path, energy):
    other = f"{energy.parent}/../{energy.parent.name}/energy.py"
    tool(
        "train_supernet",
        *TRAIN,
        "--name=spelled",
        "--sampler=uniform",
        f"--cost={energy}:energy_mj",
        f"--constraint={other}:energy_mj<={LIMIT}",
    )


def test_the_nearest_value_can_be_given_as_the_limit(
    run_tool, work_dir, supernet, tmp_path
):
    source = tmp_path / "odd.py"
    source.write_text("def odd(slot):\n    return slot.macs / 3e7\n", "utf-8")
    flags = ("search", *SEARCH, "--name=odd", f"--work_dir={work_dir}")
    result = run_tool(*flags, f"--constraint={source}:odd<=1e-9")
    (least,) = re.findall(r"the nearest reachable odd is (\S+),", result.stderr)
    result = run_tool(*flags, f"--constraint={source}:odd<={least}")
    assert result.returncode == 0, result.stderr


def test_tensorflow_cannot_be_timed_with_other_threads(
    run_tool, work_dir, supernet
):
    result = run_tool(
        "search",
        *SEARCH,
        "--name=no",
        "--measure_latency",
        "--runtime=tensorflow",
        "--threads=2",
        f"--work_dir={work_dir}",
    )
    refuses(result, "--latency_threads=1", "--threads=2")


def test_what_was_measured_stays(tool, work_dir, supernet):
    flags = ("search", *SEARCH, "--name=measured", "--strategy=random")
    tool(*flags, "--measure_latency", "--measured_candidates=1")
    path = work_dir / "search" / "measured" / "best.json"
    best = json.loads(path.read_text("utf-8"))
    (one,) = best["measured"]["candidates"]
    assert 0 < one["low_ms"] <= one["median_ms"] <= one["high_ms"]
    tool(*flags)
    assert json.loads(path.read_text("utf-8")) == best


MISTAKES = {
    "fairness": (
        ["--sampler=strict_fairness", "--max_macs=200e3"],
        ["strict_fairness", "macs <= 200000", "uniform_constraint"],
    ),
    "whole architectures": (
        ["--sampler=uniform", "--constraint={energy}:large_kernels<=2"],
        ["'large_kernels'", "whole architectures", "'slot'"],
    ),
    "ranges of whole architectures": (
        [
            "--sampler=uniform_constraint",
            "--constraint_cost={energy}:large_kernels",
        ],
        ["'large_kernels'", "'slot'"],
    ),
    "no file": (["--constraint=no.py:cost<=2"], ["no file 'no.py'"]),
    "no function": (["--cost={energy}:power"], ["no function 'power'"]),
    "no form": (["--cost=energy"], ["FILE.py:function", "'energy'"]),
    "parameter": (["--cost={energy}:size"], ["takes (shape)", "'slot'"]),
    "nan": (["--constraint=macs<=nan"], ["'macs<=nan'"]),
    "apart": (["--min_macs=3e5", "--max_macs=2e5"], ["300000 and 200000"]),
    "no table": (
        ["--latency_table=no.yaml", "--max_latency_ms=3"],
        ["'no.yaml'"],
    ),
    "unknown": (["--constraint=watts<=3"], ["'watts'", "macs, params"]),
}


@pytest.mark.parametrize(
    ("arguments", "expected"), MISTAKES.values(), ids=MISTAKES
)
def test_training_refuses(run_tool, tmp_path, energy, arguments, expected):
    result = run_tool(
        "train_supernet",
        *TRAIN,
        f"--work_dir={tmp_path / 'runs'}",
        *(one.format(energy=energy) for one in arguments),
    )
    refuses(result, *expected)
    assert not (tmp_path / "runs").exists()
