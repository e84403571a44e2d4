"""The tool that measures a latency table, and says how honest it is."""

import json

import pytest

from refusals import refuses
from spos_tf.cost.latency import latency_table, read_latency_table
from spos_tf.spaces import build_blueprint

TINY = [
    "--preset=demo",
    '--space_arguments={"stem_width": 8, "stage_widths": [16], '
    '"stage_repeats": [2], "stage_strides": [1], "last_width": 64}',
    "--repeats=3",
    "--warmup=1",
    "--passes=2",
]
CHECK = ["--check_architectures=2", "--check_rounds=20"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tests here go on from one another, as runs do."""
    return tmp_path_factory.mktemp("tables")


def build(run_tool, path, *arguments):
    result = run_tool(
        "build_latency_table", *TINY, f"--output={path}", *arguments
    )
    assert result.returncode == 0, result.stderr
    return result


def test_a_table_is_built_and_checked(run_tool, folder):
    path = folder / "made" / "table.yaml"
    result = build(run_tool, path, *CHECK)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "table.yaml",
        "table.yaml.report.json",
        "table.yaml.report.md",
    ]
    table = read_latency_table(path)
    assert (table.runtime, table.threads, table.batch) == ("tflite", 1, 1)
    assert {entry.repeats for entry in table.entries} == {6}
    blueprint = build_blueprint(table.search_space, **table.space_arguments)
    costs = latency_table(blueprint, table)
    assert 0 < costs.minimum <= costs.maximum
    report = json.loads((path.parent / "table.yaml.report.json").read_text())
    assert report["rounds"] == 20
    for kind in ("spread", "uniform"):
        assert report[kind]["architectures"] == 2
        assert report[kind]["error_percent"] >= 0
    networks = [one for one in report["networks"] if one["set"] == "spread"]
    assert networks[0]["predicted_ms"] == pytest.approx(costs.minimum)
    assert networks[-1]["predicted_ms"] == pytest.approx(costs.maximum)
    assert "| 2 uniform |" in result.stdout


def test_tensorflow_is_timed_with_the_threads_that_are_asked_for(
    run_tool, folder
):
    """The command sets those of its process."""
    path = folder / "tensorflow.yaml"
    build(run_tool, path, "--runtime=tensorflow", "--threads=2", "--passes=1")
    table = read_latency_table(path)
    assert (table.runtime, table.threads) == ("tensorflow", 2)


def test_a_table_that_is_there_is_not_measured_again(run_tool, folder):
    path = folder / "made" / "table.yaml"
    before = path.read_bytes()
    build(run_tool, path)
    assert path.read_bytes() == before
    changed = run_tool(
        "build_latency_table", *TINY, f"--output={path}", "--batch=2"
    )
    refuses(changed, "batch 1 (now 2)", str(path), "another --output")


def test_what_a_killed_run_measured_is_kept(run_tool, folder, monkeypatch):
    path = folder / "killed.yaml"
    build(run_tool, path, "--passes=1")
    settings = json.loads(json.dumps(read_settings(path)))
    table = read_latency_table(path)
    keys = [
        " ".join(
            [
                entry.slots[0],
                *(f"{k}={v}" for k, v in entry.choices.items()),
            ]
        )
        for entry in table.entries
    ]
    path.unlink()
    partial = folder / "killed.yaml.partial.json"
    # As if the first of two passes had been measured, by a slow machine.
    partial.write_text(
        json.dumps(
            {"settings": settings, "passes": [dict.fromkeys(keys, [1e6] * 3)]}
        )
    )
    refused = run_tool(
        "build_latency_table", *TINY, f"--output={path}", "--repeats=4"
    )
    refuses(refused, "repeats 3 (now 4)", str(partial))
    build(run_tool, path)
    assert not partial.exists()
    found = read_latency_table(path)
    assert {entry.repeats for entry in found.entries} == {6}
    # Half of the samples are the kept ones.
    assert {entry.median_ms > 1e5 for entry in found.entries} == {True}
    partial.write_text("nonsense")
    path.unlink()
    refuses(
        run_tool("build_latency_table", *TINY, f"--output={path}"),
        str(partial),
        "Delete it",
    )


def read_settings(path):
    """What the tool keeps beside the samples."""
    table = read_latency_table(path)
    return {
        "search_space": table.search_space,
        "space_arguments": table.space_arguments,
        "machine": table.machine,
        "runtime": table.runtime,
        "threads": table.threads,
        "batch": table.batch,
        "warmup": 1,
        "repeats": 3,
        "passes": 2,
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--runtime=tvm"], ["runtime", "tflite"]),
        (["--threads=0"], ["threads", "0"]),
        (["--repeats=0"], ["repeats"]),
        (["--check_rounds=5"], ["check_rounds"]),
        (["--check_architectures=1"], ["--check_architectures", "got 1"]),
        (["--search_space=no"], ["'no'"]),
        (["--export_parts=parts"], ["--export_parts", "Leave --output"]),
        (
            ["--import_measurements=no.json", "--threads=2"],
            ["--import_measurements", "--threads", "Leave it out"],
        ),
    ],
)
def test_wrong_flags(run_tool, tmp_path, arguments, expected):
    result = run_tool(
        "build_latency_table",
        *TINY,
        f"--output={tmp_path / 'table.yaml'}",
        *arguments,
    )
    refuses(result, *expected)
    assert not [*tmp_path.iterdir()]


def test_another_table_is_not_overwritten(run_tool, tmp_path):
    path = tmp_path / "phone.yaml"
    text = "Conv-input:8x8x3-output:8x8x8:\n  mean: 1.0\n"
    path.write_text(text)
    refuses(
        run_tool("build_latency_table", *TINY, f"--output={path}"),
        str(path),
        "no table that was measured here",
    )
    assert path.read_text() == text
