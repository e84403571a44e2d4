"""What Google's benchmark_model says, as its documentation shows it."""

import json

import pytest

from spos_tf.cost.latency import read_latency_table
from spos_tf.errors import UserError
from spos_tf.export.benchmark_model import read_benchmark
from spos_tf.options import LatencyOptions
from whole_jobs import small_blueprint

LOG = """STARTING!
Log parameter values verbosely: [0]
Num threads: [1]
Graph: [/data/local/tmp/parts/part-001.tflite]
#threads used for CPU inference: [1]
Loaded model /data/local/tmp/parts/part-001.tflite
The input model file size (MB): 1.41812
Initialized session in 17.851ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but \
terminate if exceeding 150 seconds.
count=478 first=2104 curr=1017 min=1012 max=2104 avg=1041.15 std=63

Running benchmark for at least 50 iterations and at least 1 seconds but \
terminate if exceeding 150 seconds.
count=1000 first=1040 curr=1018 min=1012 max=1190 avg=1039.66 std=22{more}

Inference timings in us: Init: 17851, First inference: 2104, Warmup (avg): \
1041.15, Inference (avg): 1039.66
Memory footprint delta from the start of the tool (MB): init=2.4 overall=4.2
"""
COLUMNS = "node type, start, first, avg_ms, %, cdf%, mem KB, times called, name"
# Newer releases leave the start out.
NEWER = COLUMNS.replace(" start,", "")
CSV = """Profiling Info for Benchmark Initialization:
{bar} Run Order {bar}
{columns}
AllocateTensors, 0, 0.029, 0.029, 100%, 100%, 0, 1, AllocateTensors/0

Timings (microseconds): count=1 curr=29
Memory (bytes): count=0
1 nodes observed



Operator-wise Profiling Info for Regular Benchmark Runs:
{bar} Run Order {bar}
{columns}
CONV_2D, 0, 4.269, 4.269, 0.107%, 0.107%, 0, 1, [Conv2d_0/Relu6]:0
Convolution (NHWC, F32) GEMM, 1, 2.1, 2.2, 1%, 1%, 0, 1, Delegate/Conv:0

{bar} Top by Computation Time {bar}
{columns}
CONV_2D, 0, 4.269, 4.269, 0.107%, 0.107%, 0, 1, [Conv2d_0/Relu6]:0

Number of nodes executed: 31
{bar} Summary by node type {bar}
node type, count, avg_ms, avg %, cdf %, mem KB, times called
CONV_2D, 15, 1.406, 89.27%, 89.27%, 0, 0

Timings (microseconds): {statistic}
Memory (bytes): count=0
31 nodes observed

{after}
"""
STATISTIC = (
    "count=50 first=79449 curr=81350 min=77385 max=88213 avg=79732 std=1929"
)
INTERNAL = f"""Delegate internal:
{NEWER}
Timings (microseconds): count=50 curr=3(all same)
"""


def csv(columns=COLUMNS, statistic=STATISTIC, after=""):
    return CSV.format(
        columns=columns, statistic=statistic, after=after, bar="=" * 30
    )


READ = {
    "mean": (LOG.format(more=""), 1.03966),
    "median": (LOG.format(more=" p5=1013 median=1030 p95=1100"), 1.030),
    "prefixed": (
        "\n".join(f"INFO: {line}" for line in LOG.format(more="").split("\n")),
        1.03966,
    ),
    "csv": (csv(), 79.732),
    "newer csv": (csv(NEWER), 79.732),
    "delegate": (csv(after=INTERNAL), 79.732),
    "all same": (csv(statistic="count=50 curr=12(all same)"), 0.012),
    "exponent": (
        csv(
            statistic="count=2 first=2990275 curr=2913402 min=2727568 "
            "max=3189954 avg=2.95034e+06 std=109798"
        ),
        2950.34,
    ),
}


@pytest.mark.parametrize(("text", "ms"), READ.values(), ids=READ)
def test_the_documented_forms_are_read(text, ms):
    assert read_benchmark(text, "'x'").ms == pytest.approx(ms)


def test_a_log_says_more():
    found = read_benchmark(LOG.format(more=""), "'x'")
    assert (found.threads, found.graph) == (1, "part-001.tflite")
    assert found.delegated
    text = LOG.format(more="").replace(
        "Loaded model",
        "Though NNAPI delegate is explicitly applied, the model graph will "
        "not be executed by the delegate.\nLoaded model",
    )
    assert not read_benchmark(text, "'x'").delegated


REFUSED = {
    "nothing": ("", "has neither"),
    "an error": ("ERROR: Failed to load model\n", "has neither"),
    "half a log": (LOG.format(more="").partition("count=1000")[0], "neither"),
    "two logs": (LOG.format(more="") * 2, "has 2"),
    "another average": (LOG.format(more="").replace("1039.66 s", "9 s"), "9"),
    "a cut csv": (csv().partition("Timings (microseconds): count=50")[0], "0"),
    "subgraphs": (csv(after=f"Timings (microseconds): {STATISTIC}"), "has 2"),
    "other columns": (csv("type, milliseconds"), "begin with"),
    "no calls": (csv(statistic="count=0"), "has 'Timings"),
    "no number": (csv(statistic=STATISTIC.replace("79732", "nan")), "nan"),
    "more": (csv(statistic=f"{STATISTIC} mode=3"), "mode=3"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        read_benchmark(text, "'x'")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two runs of benchmark_model over all files; part n takes n ms."""
    import spos_tf

    monkeypatch.setattr(
        "spos_tf.export.part_files.convert_tflite", lambda model, batch: b"x"
    )
    parts, folder = tmp_path / "parts", tmp_path / "phone"
    spos_tf.build_latency_table(
        small_blueprint(),
        export_parts=parts,
        options=LatencyOptions(check_architectures=2),
    )
    folder.mkdir()
    (folder / "manifest.json").write_bytes(
        (parts / "manifest.json").read_bytes()
    )
    device = {"processor": "Pixel 8", "threads": 1, "flags": "--use_gpu=true"}
    (folder / "device.json").write_text(json.dumps(device))
    manifest = json.loads((parts / "manifest.json").read_text())
    for number, part in enumerate(manifest["parts"], 1):
        write(folder, part["file"], number)
    for network in manifest["networks"]:
        write(folder, network["file"], 4 + network["macs"] / 1e6)
    return folder


def write(folder, name, ms):
    us = round(1000 * ms)
    text = f"count=9 curr={us}(all same)"
    for run in (1, 2):
        (folder / f"{name}.{run}.csv").write_text(csv(statistic=text))


def import_folder(folder):
    import spos_tf

    return spos_tf.build_latency_table(
        small_blueprint(),
        folder.parent / "table.yaml",
        import_measurements=folder,
    )


def test_a_folder_makes_a_table(folder):
    table = import_folder(folder)
    assert read_latency_table(folder.parent / "table.yaml") == table
    assert [entry.median_ms for entry in table.entries] == [1, 2, 3, 4]
    assert table.machine == {
        "processor": "Pixel 8",
        "flags": "--use_gpu=true",
        "tool": "benchmark_model",
    }
    assert {entry.repeats for entry in table.entries} == {2}
    report = json.loads((folder.parent / "table.yaml.report.json").read_text())
    assert report["spread"]["repeatability_percent"] == 0
    assert report["spread"]["architectures"] == 2


def test_without_networks_there_is_no_report(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    for network in manifest["networks"]:
        if network["key"] not in manifest["anchors"]:
            for run in (1, 2):
                (folder / f"{network['file']}.{run}.csv").unlink()
    manifest["spread"] = manifest["uniform"] = []
    (folder / "manifest.json").write_text(json.dumps(manifest))
    import_folder(folder)
    assert not (folder.parent / "table.yaml.report.json").exists()


def test_a_folder_that_is_not_understood_is_refused(folder):
    def refused(message):
        with pytest.raises(UserError, match=message):
            import_folder(folder)
        assert not (folder.parent / "table.yaml").exists()

    lost = folder / "part-002.tflite.2.csv"
    content = lost.read_text()
    lost.unlink()
    refused("lacks 1, such as")
    log = LOG.format(more="")
    lost.with_suffix(".log").write_text(log)
    refused("with file part-001.tflite, and should be with part-002.tflite")
    lost.with_suffix(".log").write_text(
        log.replace("part-001", "part-002").replace("[1]", "[4]")
    )
    refused("with threads 4, and should be with 1")
    lost.with_suffix(".log").write_text(log.replace("part-001", "part-002"))
    lost.write_text(content)
    refused("run 2 of part-002.tflite twice")
    lost.with_suffix(".log").unlink()
    (folder / "notes.txt").touch()
    refused("notes.txt.* Move it away")
    (folder / "notes.txt").unlink()
    (folder / "device.json").write_text('{"threads": "all"}')
    refused("device.json")
    (folder / "device.json").unlink()
    refused("device.json")
    (folder / "manifest.json").write_text("{}")
    refused("latency_parts of schema 1")
