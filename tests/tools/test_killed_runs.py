"""A tool that was killed and started again ends like one that was not."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from source_tree import REPO
from spos_tf.cost.latency import read_latency_table
from spos_tf.space.candidate import same_record
from spos_tf.space.record import read_record

DIGITS = ["--dataset=digits", "--holdout_per_class=20"]
TRAIN = [
    *DIGITS,
    "--augmentation=shift",
    "--preset=demo",
    # Three choices: what takes long is tracing, in every process anew.
    '--space_arguments={"stage_repeats": [1, 2], "dropout": 0.2}',
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
    "--max_macs=165e3",
]
TINY = [
    "--preset=demo",
    '--space_arguments={"stem_width": 8, "stage_widths": [16], '
    '"stage_repeats": [2], "stage_strides": [2], "dropout": 0.2}',
]
RETRAIN = [
    "--dataset=digits",
    "--augmentation=shift",
    *TINY,
    "--encoding=0,1",
    # 1,437 images to train on: the kill is in the second epoch or after it.
    "--batch_size=128",
    "--steps=60",
    "--checkpoint_every=4",
    "--log_every=4",
    "--validate_every=0",
]
KILLED = -signal.SIGKILL
DISK_FULL = "No space left on device"


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
    assert "Resuming after step" in done.stderr
    whole, resumed = arrays(supernet), arrays(folder)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    assert (
        whole["sampler/path_counts"].sum()
        == 160 * whole["sampler/path_counts"].shape[0]
    )


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


def leftovers(folder):
    return [*folder.rglob(".unfinished*")]


@pytest.fixture
def subnet(work_dir, run_tool):
    """The folder of an uninterrupted retraining, made by the first test."""
    folder = work_dir / "subnet" / "whole"
    if not folder.exists():
        done = run_tool(
            "train_subnet", *RETRAIN, f"--work_dir={work_dir}", "--name=whole"
        )
        assert not done.returncode, done.stderr
    return folder


def network(folder):
    """What subnet.keras holds, without its date and the addresses in it."""
    with zipfile.ZipFile(folder / "subnet.keras") as file:
        assert file.testzip() is None
        config = re.sub(
            rb'"shared_object_id": \d+', b"", file.read("config.json")
        )
        return config, file.read("model.weights.h5")


def metrics(folder):
    """What metrics.json holds: (seconds, all else)."""
    data = json.loads((folder / "metrics.json").read_text("utf-8"))
    return data.pop("seconds"), data


def test_a_retraining_that_was_stopped_and_killed(work_dir, subnet, run_tool):
    flags = [*RETRAIN, f"--work_dir={work_dir}", "--name=killed"]
    folder = work_dir / "subnet" / "killed"
    stopped = run_tool(
        "train_subnet",
        *flags,
        moment=(signal.SIGTERM, folder, "checkpoints/step-00000008.npz"),
    )
    assert stopped.returncode == 143, stopped.stderr
    assert stopped.stdout == ""
    last = stopped.stderr.splitlines()[-1]
    kept = max(path.stem for path in folder.glob("checkpoints/step-*.npz"))
    step = int(kept.removeprefix("step-"))
    assert 8 <= step < 60
    assert f"Stopped by SIGTERM after step {step}, which is saved." in last
    assert not leftovers(folder)
    later = f"step-{(step // 4 + 2) * 4:08d}.npz"
    killed = run_tool(
        "train_subnet",
        *flags,
        moment=(signal.SIGKILL, folder, f"checkpoints/.unfinished-{later}"),
    )
    assert killed.returncode == KILLED, killed.stderr
    assert f"Resuming after step {step} of 60" in killed.stderr
    done = run_tool("train_subnet", *flags)
    assert not done.returncode, done.stderr
    whole, resumed = arrays(subnet), arrays(folder)
    assert whole.keys() == resumed.keys()
    for part in ("moving_mean", "moving_variance", "seed_generator_state"):
        assert any(part in name for name in whole)
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    assert network(folder) == network(subnet)
    seconds, others = metrics(folder)
    assert others == metrics(subnet)[1]
    # It is not known how long the stopped one took.
    assert seconds is None
    assert metrics(subnet)[0] > 0
    assert not leftovers(folder)


def test_a_killed_export_ends_the_same(work_dir, subnet, run_tool):
    def export(name, formats, **moment):
        return run_tool(
            "export",
            "--dataset=digits",
            "--num_images=50",
            "--min_agreement=0.9",
            "--subnet_name=whole",
            f"--formats={formats}",
            f"--name={name}",
            f"--work_dir={work_dir}",
            **moment,
        )

    whole = work_dir / "export" / "whole"
    killed = work_dir / "export" / "killed"
    done = export("whole", "saved_model,tflite")
    assert not done.returncode, done.stderr
    # What a run before it left is as it was when the kill comes.
    shutil.copytree(whole, killed)
    before = (killed / "manifest.json").read_bytes()
    moment = (signal.SIGKILL, killed, ".unfinished/saved_model/*.pb")
    done = export("killed", "saved_model,tflite", moment=moment)
    assert done.returncode == KILLED, done.stderr
    assert (killed / "manifest.json").read_bytes() == before
    assert leftovers(killed)
    done = export("killed", "tflite")
    assert not done.returncode, done.stderr
    assert sorted(path.name for path in killed.iterdir()) == [
        ".lock",
        "export.flags",
        "labels.json",
        "manifest.json",
        "model.tflite",
        "run.json",
    ]
    files = [one / "model.tflite" for one in (killed, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_killed_latency_table_measures_nothing_twice(work_dir, run_tool):
    folder = work_dir / "tables"
    path, partial = folder / "t.yaml", folder / "t.yaml.partial.json"
    flags = [*TINY, "--repeats=5", "--warmup=1", f"--output={path}"]
    done = run_tool(
        "build_latency_table",
        *flags,
        "--passes=40",
        moment=(signal.SIGKILL, folder, partial.name),
    )
    assert done.returncode == KILLED, done.stderr
    # As if one pass had been asked for: all but what was in flight is there.
    data = json.loads(partial.read_text("utf-8"))
    first = data["passes"][0]
    data["settings"]["passes"], data["passes"] = 1, [first]
    partial.write_text(json.dumps(data), "utf-8")
    done = run_tool("build_latency_table", *flags, "--passes=1")
    assert not done.returncode, done.stderr
    table = read_latency_table(path)
    assert {entry.repeats for entry in table.entries} == {5}
    medians = [entry.median_ms for entry in table.entries]
    kept = [
        float(np.median(values))
        for key, values in first.items()
        if not key.startswith("network")
    ]
    assert kept
    # The table rounds to microseconds of a thousandth.
    assert all(np.isclose(medians, one, atol=1e-6).any() for one in kept)
    assert not partial.exists()
    assert not leftovers(folder)
    # Killed between writing the table and removing this, it is left.
    partial.write_text(json.dumps(data), "utf-8")
    done = run_tool("build_latency_table", *flags, "--passes=1")
    assert not done.returncode, done.stderr
    assert [*folder.iterdir()] == [path]


@pytest.fixture
def small_disk(tmp_path):
    """A folder with a file system of its own, and how to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder],
            capture_output=True,
            text=True,
        )

    try:
        done = mount("size=400k")
    except OSError as error:
        pytest.skip(f"no file system can be mounted: {error}")
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    try:
        yield folder, lambda size: mount("remount", f"size={size}")
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small_disk, subnet, run_tool):
    folder, resize = small_disk
    flags = [*RETRAIN, f"--work_dir={folder}", "--keep_checkpoints=100"]
    done = run_tool("train_subnet", *flags)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if "train_subnet" in line]
    assert len(said) == 1
    assert DISK_FULL in said[0]
    assert done.stderr.splitlines()[-1] == said[0]
    assert "Traceback" not in done.stderr
    run = folder / "subnet" / "default"
    kept = sorted(run.glob("checkpoints/step-*.npz"))
    assert kept
    assert not leftovers(folder)
    assert not resize("8m").returncode
    done = run_tool("train_subnet", *flags)
    assert not done.returncode, done.stderr
    step = int(kept[-1].stem.removeprefix("step-"))
    assert f"Resuming after step {step} of 60" in done.stderr
    assert network(run) == network(subnet)
