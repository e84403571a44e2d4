"""A spoilt file is refused by a UserError, or read as what it says now.

Every reader gets 100 files, spoilt by `file_mutations`. What it accepts is
compared with what an independent, plain reading of the file says. The tools
as a whole meet thousands of such files in `qa/fuzz.py`.
"""

import bz2
import contextlib
import io
import json
import os
import pickle
import random
import shutil
import zipfile

import hypothesis
import numpy as np
import pytest
import yaml
from hypothesis import strategies as st

import official_files
from file_mutations import Trap, mutate
from made_up_latencies import write_table
from made_up_work_dir import candidates, write_events, write_work_dir
from spos_tf.analysis.benchmark_table import read_table
from spos_tf.analysis.nasbench201_files import convert
from spos_tf.analysis.score_file import Scored, ScoreFile
from spos_tf.cost.latency import latency_table, read_latency_table
from spos_tf.errors import UserError
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.memo import ScoreMemo
from spos_tf.jobs.latency import _Partial
from spos_tf.jobs.run_folder import Run, RunPlan
from spos_tf.options import PinOptions, TrainingOptions
from spos_tf.report.event_scalars import read_scalars
from spos_tf.report.page import report_page
from spos_tf.report.work_dir import read_work_dir
from spos_tf.space import Architecture
from spos_tf.space.record import Record, read_record
from spos_tf.spaces import blueprint_of, build_blueprint
from spos_tf.training.checkpoints import (
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from unwritten_charts import leave_unwritten

DEMO = build_blueprint("shufflenet_blocks", preset="demo")
SPACE = DEMO.search_space
RIGHT = DEMO.architecture([2, 1, 0, 3, 1])
PLAN = RunPlan.of(
    "train_subnet",
    "subnet",
    TrainingOptions(steps=3, optimizer_arguments={"momentum": 0.5}),
    PinOptions(fix=("a=1", "b=2")),
)
SEEDS = st.integers(0, 2**32 - 1)
LATENCIES = DEMO


def plain(text):
    """What JSON says, if it says one thing."""

    def once(pairs):
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    return json.loads(text, object_pairs_hook=once)


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """(kind, content) of a right file of every sort, by its name."""
    folder = tmp_path_factory.mktemp("right")
    best = {**RIGHT.to_dict(), "costs": {"macs": 3}, "accuracy": 0.5}
    record = Record.open(folder / "record.jsonl")
    for one in candidates(DEMO, 4, 0):
        record.append(one)
    memo = ScoreMemo(folder / "memo.jsonl", "accuracy", "weights")
    scores = ScoreFile(folder / "scores.jsonl")
    for i in range(3):
        memo.put((i, 1), Measured(i / 4, (i / 4, i / 4)))
        scores.append(
            Scored(100, (i, 1), f"{i},1", i / 4, 90.0 + i, 0.5, (0.5, 0.25))
        )
    write_table(LATENCIES, folder / "latency.yaml")
    columns = {
        "arch_str": np.array(["0,1,2,3,0", "1,1,1,1,1", "3,0,0,0,3"]),
        "macs": np.array([1, 2, 3]),
        "test": np.array([90.5, 91.0, 92.25]),
    }
    np.savez(folder / "table.npz", **columns)
    lines = ["arch_str,macs,test"]
    for row in zip(*columns.values(), strict=True):
        lines.append('"{}",{},{}'.format(*row))
    (folder / "table.csv").write_text("\n".join([*lines, ""]))
    data = official_files.whole(indexes=(0,))
    official_files.write_torch(folder / "plain.pth", data, zipped=False)
    checkpoint = Checkpoint(
        3,
        {
            "kind": "supernet",
            "search_space": "shufflenet_blocks",
            "space_arguments": {"preset": "demo"},
            "pins": {},
            "steps": 3,
        },
        {
            "weights/a": np.arange(6, dtype=np.float32).reshape(2, 3),
            "optimizer/iterations": np.array(3, np.int64),
        },
    )
    (folder / "partial.json").write_text(
        json.dumps({"settings": {"batch": 1}, "passes": [{"a": [1.0, 2.0]}]})
    )
    write_checkpoint(folder, checkpoint, keep=1)
    Run(folder, PLAN, writes=True).check_inputs(train="abc")
    write_events(folder / "events", [1, 2])
    (events,) = (folder / "events").iterdir()

    def of(kind, name):
        return kind, (folder / name).read_bytes()

    return {
        "architecture": ("json", json.dumps(best).encode()),
        "record": of("lines", "record.jsonl"),
        "memo": of("lines", "memo.jsonl"),
        "scores": of("lines", "scores.jsonl"),
        "latency.yaml": of("yaml", "latency.yaml"),
        "table.npz": of("npz", "table.npz"),
        "table.csv": of("text", "table.csv"),
        "plain.pth": of("bytes", "plain.pth"),
        "checkpoint.npz": of("npz", "step-00000003.npz"),
        "partial.json": of("json", "partial.json"),
        "run.json": of("json", "run.json"),
        "events": of("bytes", f"events/{events.name}"),
    }


def same(a, b):
    """Equal, true and 1 apart."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def read_architecture(path, content):
    found = Architecture.read(path)
    data = plain(content)
    for field in ("search_space", "space_arguments", "choices"):
        assert same(found.to_dict()[field], data[field])
    blueprint = blueprint_of(found)
    encoding = blueprint.encode(found)
    for name, option in blueprint.search_space.decode(encoding).items():
        assert json.loads(json.dumps(option)) == data["choices"][name]


def read_a_record(path, content):
    found = [plain(one.to_json()) for one in read_record(path)]
    whole = content[: content.rfind(b"\n") + 1]
    said = [plain(line) for line in whole.splitlines()]
    assert found == sorted(said, key=lambda one: one["i"])


def read_memo(path, content):
    memo = ScoreMemo(path, "accuracy", "weights")
    said = []
    for line in content.decode("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError):
            said.append(json.loads(line))
    for encoding, found in memo._scores.items():
        assert any(
            isinstance(one, dict)
            and same(one.get("encoding"), list(encoding))
            and one.get("score") == found.score
            and tuple(one["halves"]) == found.halves
            for one in said
        )


def read_scores(path, content):
    found = ScoreFile(path)
    whole = content[: content.rfind(b"\n") + 1].splitlines()
    assert len(found) == len(whole)
    for line in map(plain, whole):
        one = found.get(line["step"], tuple(line["encoding"]))
        assert same(plain(one.to_json()), line)


def read_latencies(path, content):
    table = read_latency_table(path)
    costs = latency_table(LATENCIES, table)
    said = yaml.load(content, yaml.CSafeLoader)
    if "entries" in said:
        by_slot = {}
        for entry in said["entries"]:
            value = max(entry["median_ms"] - said.get("overhead_ms", 0), 0)
            for slot in entry["slots"] if entry["repeats"] else ():
                by_slot.setdefault(slot, []).append(value)
        for encoding in ([0] * 5, [1] * 5):
            total = float(costs(np.array([encoding]))[0])
            assert total <= sum(map(max, by_slot.values())) * (1 + 1e-9)


def read_a_table(path, content):
    table = read_table(path)
    if path.suffix == ".npz":
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            assert list(table.architectures) == [
                one.decode("latin-1") if isinstance(one, bytes) else one
                for one in file["arch_str"].tolist()
            ]
            for name in table.columns:
                assert np.array_equal(
                    table.columns[name], file[name], equal_nan=name == "test"
                )
    for name in table.columns:
        numbers = table.numbers(name)
        assert np.isfinite(numbers).all()
        assert len(numbers) == len(table.architectures)


def read_official(path, content):
    convert(path, progress=lambda entries, count: entries)


def read_a_checkpoint(path, content):
    found = read_checkpoint(path)
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        said = plain(str(file["description.json"]))
        assert same({"step": found.step, **found.description}, said)
        assert set(found.arrays) == {*file.files} - {"description.json"}
        for name, array in found.arrays.items():
            assert array.dtype == file[name].dtype
            assert array.shape == file[name].shape
            assert array.tobytes() == file[name].tobytes()
    blueprint_of(
        Architecture(
            found.description.get("search_space", ""),
            found.description.get("space_arguments", {}),
            {},
        )
    )


def read_partial(path, content):
    partial = _Partial(path, {"batch": 1})
    assert same(partial.passes, plain(content)["passes"])
    for values in (one for known in partial.passes for one in known.values()):
        assert all(isinstance(value, float) for value in values)


def read_run(path, content):
    run = Run(path.parent, PLAN, writes=False)
    assert not run.resumed
    run = Run(path.parent, PLAN, writes=True)
    said = plain(content)
    assert run.resumed
    assert said["tool"] == PLAN.tool
    for name, value in PLAN.result_options.items():
        assert said["options"].get(name, value) == value


def read_events(path, content):
    problems = []
    found = read_scalars(path.parent, problems)
    assert problems or all(found.values())


READERS = {
    "architecture": read_architecture,
    "record": read_a_record,
    "memo": read_memo,
    "scores": read_scores,
    "latency.yaml": read_latencies,
    "table.npz": read_a_table,
    "table.csv": read_a_table,
    "plain.pth": read_official,
    "checkpoint.npz": read_a_checkpoint,
    "partial.json": read_partial,
    "run.json": read_run,
    "events": read_events,
}


@pytest.mark.parametrize("name", READERS)
def test_a_spoilt_file_is_refused_or_says_what_is_read(right, tmp_path, name):
    kind, content = right[name]
    others = [other for key, (_, other) in right.items() if key != name]
    # As TensorBoard looks for it.
    file_name = "a.tfevents.1" if name == "events" else name
    path = tmp_path / file_name
    refused = 0

    @hypothesis.given(SEEDS)
    @hypothesis.settings(max_examples=100)
    def run(seed):
        nonlocal refused
        words, spoilt = mutate(
            content, random.Random(seed), kind=kind, others=others
        )
        hypothesis.note(words)
        path.write_bytes(spoilt)
        try:
            READERS[name](path, spoilt)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error).strip()

    path.write_bytes(content)
    READERS[name](path, content)
    os.chdir(tmp_path)
    run()
    # A property that is never refused anything says little.
    assert refused >= 20 or name in ("events", "memo")
    assert not (tmp_path / Trap.path).exists()


def test_a_report_of_spoilt_files_is_whole(tmp_path, monkeypatch):
    """It is made whatever the files hold, and says which it cannot read."""
    leave_unwritten(monkeypatch)
    folder = tmp_path / "work"
    write_work_dir(folder)
    for part in ("supernet", "search/random"):
        shutil.rmtree(folder / part)
    record = folder / "search/evolution/record.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(True)[:3]))
    paths = sorted(folder.rglob("*.json*"))
    paths = [path for path in paths if path.read_bytes()]
    right = {path: path.read_bytes() for path in paths}

    @hypothesis.given(SEEDS)
    @hypothesis.settings(max_examples=100)
    def run(seed):
        rng = random.Random(seed)
        path = rng.choice(paths)
        kind = "lines" if path.suffix == ".jsonl" else "json"
        _, spoilt = mutate(right[path], rng, kind=kind)
        path.write_bytes(spoilt)
        try:
            page = report_page(read_work_dir(folder))
        finally:
            path.write_bytes(right[path])
        assert "</html>" in page and "<script" not in page
        if kind == "json":
            try:
                plain(spoilt)
            # RecursionError too, and an AssertionError of a key twice.
            except Exception:
                assert f"{path.name} could not be read" in page

    run()


@pytest.mark.parametrize("packed", ["bz2", "zip"])
def test_spoilt_pickles_in_archives(right, tmp_path, packed):
    """Their checksums are right: spoilt before they were packed."""
    data = official_files.whole(indexes=(0,))
    content = pickle.dumps(data, protocol=2)

    @hypothesis.given(SEEDS)
    @hypothesis.settings(max_examples=100)
    def run(seed):
        _, spoilt = mutate(content, random.Random(seed), kind="bytes")
        if packed == "bz2":
            path = tmp_path / "a.pickle.pbz2"
            path.write_bytes(bz2.compress(spoilt))
        else:
            path = tmp_path / "a.pth"
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("a/data.pkl", spoilt)
        try:
            read_official(path, spoilt)
        except UserError as error:
            assert "\n" not in str(error)

    run()
