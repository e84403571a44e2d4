"""The whole chain on digits: supernet, search, network, files, accuracies.

Every fixture is a link: the first test that needs it makes its folder.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from spos_tf.export.formats import FORMATS, formats_of
from spos_tf.space.candidate import same_record
from spos_tf.space.record import read_record

DATA = ["--dataset=digits", "--augmentation=shift"]
HOLDOUT = ["--holdout_per_class=20"]
# What the search split leaves of 1,437 training images: all recalibrate.
TRAINED_ON = 1237
SPACE = ["--preset=demo", '--space_arguments={"dropout": 0.1}']
TRAIN = ["--batch_size=64", "--learning_rate=0.1", "--validate_every=0"]
RETRAIN = [
    *DATA,
    *TRAIN,
    "--steps=200",
    "--log_every=50",
]
SEARCH = [
    *(*DATA, *HOLDOUT),
    "--population=4",
    "--generations=2",
    "--top_k=2",
    f"--recalibration_images={TRAINED_ON}",
    "--max_macs=210e3",
]
FILES = [FORMATS[name].file_name for name in formats_of("float")]
# Loads a network where this package cannot be imported, writes its weights
# and prints what it is made of and what it computes.
LOAD = """
import json, sys
sys.modules["spos_tf"] = None
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1], compile=False, safe_mode=True)
np.savez(sys.argv[2], **{v.path: v.numpy() for v in model.weights})
images = np.random.default_rng(0).uniform(0, 255, (3, *model.input_shape[1:]))
logits = np.asarray(model(images.astype("float32"), training=False))
print(json.dumps({
    "modules": sorted({type(layer).__module__ for layer in model.layers}),
    "shape": logits.shape,
    "finite": bool(np.isfinite(logits).all()),
}))
"""


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    """One for all tests here, of a name that means something to programs."""
    return tmp_path_factory.mktemp("work_dir") / "a [b]{c}*?#%s\\'\"$x_ ünï"


@pytest.fixture
def supernet(work_dir, tool):
    folder = work_dir / "supernet" / "default"
    if not folder.exists():
        tool(
            "train_supernet",
            *(*DATA, *HOLDOUT, *SPACE, *TRAIN),
            "--sampler=uniform",
            "--steps=300",
            "--learning_rate=0.5",
        )
    return folder


@pytest.fixture
def search(work_dir, tool, supernet):
    folder = work_dir / "search" / "default"
    if not folder.exists():
        tool("search", *SEARCH)
    return folder


@pytest.fixture
def subnet(work_dir, tool, search):
    """An uninterrupted retraining of the winner."""
    folder = work_dir / "subnet" / "whole"
    if not folder.exists():
        tool("train_subnet", *RETRAIN, "--name=whole")
    return folder


@pytest.fixture
def export(work_dir, tool, subnet):
    folder = work_dir / "export" / "files"
    if not folder.exists():
        done = tool("export", *DATA, "--name=files", "--subnet_name=whole")
        assert "360 test images" in done.stdout
    return folder


def read(path):
    return json.loads(path.read_text("utf-8"))


def last_checkpoint(folder):
    path = sorted((folder / "checkpoints").glob("step-*.npz"))[-1]
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def contents(folder):
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_files_are_where_the_contract_says(supernet, search, subnet, export):
    assert contents(supernet) == {
        "checkpoints",
        "events",
        "labels.json",
        "run.json",
        "train_supernet.flags",
    }
    assert contents(search) >= {
        "record.jsonl",
        "best.json",
        "search.png",
        "search.flags",
    }
    assert (search.parent / "scores.jsonl").exists()
    assert contents(subnet) == {
        "subnet.keras",
        "architecture.json",
        "labels.json",
        "metrics.json",
        "run.json",
        "checkpoints",
        "events",
        "train_subnet.flags",
    }
    assert contents(export) == {
        *FILES,
        "labels.json",
        "manifest.json",
        "export.flags",
        "run.json",
    }
    best, metrics = read(search / "best.json"), read(subnet / "metrics.json")
    architecture = read(subnet / "architecture.json")
    assert best["costs"]["macs"] == metrics["macs"] <= 210e3
    assert {name: best[name] for name in architecture} == architecture
    assert read(export / "manifest.json")["architecture"] == architecture


def test_a_search_goes_on_as_a_tree_with_the_same_scores(
    work_dir, tool, search
):
    """One that scored one by one, was killed, and knows some scores."""
    folder = shutil.copytree(search, search.with_name("together"))
    record = folder / "record.jsonl"
    lines = record.read_text("utf-8").splitlines(keepends=True)
    record.write_text("".join(lines[:3]), "utf-8")
    known = [json.loads(lines[i])["encoding"] for i in (3, 6)]
    scores = search.parent / "scores.jsonl"
    before = scores.read_text("utf-8")
    kept = [
        line
        for line in before.splitlines(keepends=True)
        if line.strip() and json.loads(line)["encoding"] in known
    ]
    assert len(kept) == 2
    scores.write_text("".join(kept), "utf-8")
    try:
        done = tool(
            "search",
            *(*SEARCH, "--name=together"),
            *("--scoring=tree", "--chunk_size=2"),
        )
        after = scores.read_text("utf-8")
    finally:
        scores.write_text(before, "utf-8")
    assert "of segments computed" in done.stderr
    # Of eight candidates 3 were recorded and 2 known: 3 were scored.
    assert after.startswith("".join(kept))
    assert after.count('"accuracy"') == 2 + 3
    assert same_record(
        read_record(record), read_record(search / "record.jsonl")
    )
    assert (folder / "best.json").read_bytes() == (
        search / "best.json"
    ).read_bytes()


def loaded(path, tmp_path):
    """What a process without this package finds in a .keras file."""
    arrays = tmp_path / "arrays.npz"
    done = subprocess.run(
        [sys.executable, "-c", LOAD, path, arrays],
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with np.load(arrays) as file:
        return json.loads(done.stdout), dict(file)


def test_the_network_loads_without_this_package(subnet, tmp_path):
    found, arrays = loaded(subnet / "subnet.keras", tmp_path)
    assert all(name.startswith("keras.") for name in found["modules"])
    assert found["finite"]
    assert found["shape"] == [3, 10]
    trained = {
        name.removeprefix("weights/"): value
        for name, value in last_checkpoint(subnet).items()
        # Keras does not save where a seed generator is.
        if name.startswith("weights/") and "seed_generator" not in name
    }
    assert arrays.keys() == trained.keys()
    for name, value in trained.items():
        np.testing.assert_array_equal(arrays[name], value, err_msg=name)


@pytest.mark.parametrize("name", ["keras", *formats_of("float")])
def test_evaluate_agrees_with_what_was_written(subnet, export, tool, name):
    done = tool(
        "evaluate",
        *DATA,
        "--name=files",
        "--subnet_name=whole",
        f"--format={name}",
        "--batch_size=64",
    )
    result = json.loads(done.stdout)
    metrics = read(subnet / "metrics.json")
    if name == "keras":
        expected = metrics["test_accuracy"]
    else:
        entry = read(export / "manifest.json")["files"][name]
        assert entry["images"] == 360
        expected = entry["accuracy"]
        if FORMATS[name].is_exact:
            # But for near ties, which rounding decides.
            assert abs(expected - metrics["test_accuracy"]) <= (
                entry["near_ties"] / 360
            )
    assert result == {
        "format": name,
        "split": "test",
        "images": 360,
        "accuracy": expected,
        "dtype_policy": "float32" if name == "keras" else None,
    }
    assert expected > 0.6


def test_another_export_replaces_what_was_there(work_dir, export, tool):
    """With other flags, that cannot matter to what it makes anew."""
    flags = [*DATA, "--name=again", "--subnet_name=whole"]
    folder = work_dir / "export" / "again"
    of_every_export = {
        "export.flags",
        "labels.json",
        "manifest.json",
        "run.json",
    }
    tool("export", *flags, "--formats=saved_model", "--num_images=9")
    assert contents(folder) == {"saved_model", *of_every_export}
    done = tool(
        "export",
        *flags,
        "--formats=tflite",
        "--num_images=50",
        "--min_agreement=0.5",
        "--batch_size=20",
    )
    assert "Removed saved_model of an earlier export" in done.stderr
    assert contents(folder) == {"model.tflite", *of_every_export}
    files = read(folder / "manifest.json")["files"]
    assert {name: entry["images"] for name, entry in files.items()} == {
        "tflite": 50
    }


def test_no_search_split_without_a_holdout(run_tool, work_dir, subnet):
    result = run_tool(
        "evaluate",
        *DATA,
        "--name=whole",
        "--split=search",
        f"--work_dir={work_dir}",
    )
    assert result.returncode == 2
    assert "--holdout_per_class" in result.stderr


INHERIT = [
    *DATA,
    *HOLDOUT,
    "--name=inherited",
    # One step that moves nothing but the moving statistics, by a tenth.
    "--steps=1",
    "--batch_size=1000",
    "--learning_rate=0",
    "--validate_every=0",
]


def test_inherited_weights_start_where_the_supernet_is(
    work_dir, tool, search, supernet
):
    flags = [*INHERIT, f"--inherit_from={work_dir}"]
    tool("train_subnet", *flags)
    folder = work_dir / "subnet" / "inherited"
    best = read(search / "best.json")
    theirs, ours = last_checkpoint(supernet), last_checkpoint(folder)
    kernels = [name for name in ours if name.endswith("kernel")]
    assert len(kernels) > 10
    # The last ones, as the search that found it.
    for name in kernels:
        layer, kind = name.removeprefix("weights/").split("/")
        segment, operation = layer.rsplit(".", 1)
        option = best["choices"].get(f"{segment}.op")
        source = ".".join(filter(None, (segment, option, operation, kind)))
        np.testing.assert_array_equal(
            ours[name], theirs[f"weights/{source}"], err_msg=name
        )
    done = tool(
        "evaluate", *DATA, *HOLDOUT, "--name=inherited", "--split=search"
    )
    result = json.loads(done.stdout)
    assert result["images"] == 200
    assert result["accuracy"] == pytest.approx(best["accuracy"], abs=0.03)
    assert best["accuracy"] > 0.25

    # Started again it needs no supernet, and forgets no figure.
    before = (folder / "metrics.json").read_bytes()
    supernet.rename(supernet.with_name("gone"))
    try:
        done = tool("train_subnet", *flags)
    finally:
        supernet.with_name("gone").rename(supernet)
    assert "Resuming after step 1 of 1" in done.stderr
    assert (folder / "metrics.json").read_bytes() == before


def test_weights_of_another_family(run_tool, work_dir, search):
    result = run_tool(
        "train_subnet",
        *RETRAIN,
        "--name=other",
        "--fit_macs=300e3",
        f"--inherit_from={work_dir}",
        f"--work_dir={work_dir}",
    )
    assert result.returncode == 2, result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.count("'shufflenet_blocks' with") == 2
    assert "'stage_widths'" in last
    assert "--inherit_from" in last
    assert not (work_dir / "subnet" / "other").exists()
