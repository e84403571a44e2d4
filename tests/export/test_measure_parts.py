"""Parts that are measured by a program of its own, and their table."""

import ast
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.export import measure_parts
from spos_tf.options import EXPORTED_ARCHITECTURES, LatencyOptions
from whole_jobs import small_blueprint

ROUNDS = LatencyOptions(
    warmup=1, repeats=3, passes=2, check_rounds=20, check_architectures=2
)
# What a device has: nothing but a runtime and NumPy.
PACKAGES = {
    "tflite": ("numpy", "ai-edge-litert"),
    "onnxruntime": ("numpy", "onnxruntime"),
}


def bare_python(folder, runtime):
    """Runs a program where only NumPy and a runtime are installed."""
    for package in PACKAGES[runtime]:
        files = metadata.files(package)
        for top in {pathlib.PurePath(file).parts[0] for file in files}:
            place = metadata.distribution(package).locate_file(top)
            link = folder / top
            if place.is_dir() and not link.exists():
                link.symlink_to(place)

    def run(*command):
        return subprocess.run(
            # -S leaves site-packages out.
            [sys.executable, "-S", *map(str, command)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            cwd=folder,
        )

    return run


@pytest.fixture(scope="module", params=["tflite", "onnxruntime"])
def exported(request, tmp_path_factory):
    """(runtime, folder of the parts, what runs Python there)."""
    import spos_tf

    folder = tmp_path_factory.mktemp("device")
    parts = folder / "parts"
    manifest = spos_tf.build_latency_table(
        small_blueprint(),
        export_parts=parts,
        options=dataclasses.replace(ROUNDS, runtime=request.param),
    )
    assert manifest == parts / "manifest.json"
    bare = folder / "packages"
    bare.mkdir()
    return request.param, parts, bare_python(bare, request.param)


@pytest.fixture(scope="module")
def measured(exported, tmp_path_factory):
    """The file that the program wrote, and what it printed."""
    _, parts, python = exported
    path = tmp_path_factory.mktemp("measured") / "measurements.json"
    for absent in ("tensorflow", "spos_tf", "keras"):
        assert python("-c", f"import {absent}").returncode == 1
    done = python(parts / "measure_parts.py", f"--output={path}")
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def import_table(path, output, **arguments):
    import spos_tf

    return spos_tf.build_latency_table(
        small_blueprint(), output, import_measurements=path, **arguments
    )


def test_the_table_is_what_the_file_says(exported, measured, tmp_path):
    runtime, _, _ = exported
    path, said = measured
    data = json.loads(path.read_text())
    table = import_table(path, tmp_path / "a" / "table.yaml")
    assert (table.runtime, table.threads, table.batch) == (runtime, 1, 1)
    assert table.machine == data["machine"]
    assert {entry.repeats for entry in table.entries} == {6}
    keys = dict(part_keys(table))
    for key, entry in keys.items():
        times = [ms for one in data["passes"] for ms in one[key]]
        assert entry.median_ms == pytest.approx(np.median(times), abs=1e-6)
    report = json.loads((tmp_path / "a/table.yaml.report.json").read_text())
    assert report["rounds"] == 20 and report["runtime"] == runtime
    for kind in ("spread", "uniform"):
        assert report[kind]["architectures"] == 2
    first = report["networks"][0]
    network = f"network {','.join(map(str, first['encoding']))}"
    assert first["measured_ms"] == np.median(data["series"][0][network])
    assert "min left" in said and "All is measured" in said
    # Again: it is there already, and says the same.
    assert import_table(path, tmp_path / "a" / "table.yaml") == table


def part_keys(table):
    for entry in table.entries:
        chosen = [f"{k}={v}" for k, v in entry.choices.items()]
        yield " ".join([entry.slots[0], *chosen]), entry


def test_an_entry_that_is_altered_is_found_in_the_table(measured, tmp_path):
    path, _ = measured
    right = import_table(path, tmp_path / "right.yaml")
    data = json.loads(path.read_text())
    key = [*data["passes"][0]][1]
    for one in data["passes"]:
        one[key] = [1234.5] * 3
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(data))
    found = import_table(altered, tmp_path / "altered.yaml")
    before, after = dict(part_keys(right)), dict(part_keys(found))
    assert after.pop(key).median_ms == 1234.5
    del before[key]
    assert after == before
    with pytest.raises(UserError, match="holds other measurements.* Delete"):
        import_table(altered, tmp_path / "right.yaml")


def test_measurements_of_other_parts_are_refused(measured, tmp_path):
    import spos_tf

    path, _ = measured
    other = dataclasses.replace(small_blueprint(), image_size=16)
    with pytest.raises(UserError, match="not of the parts of space"):
        spos_tf.build_latency_table(
            other, tmp_path / "a.yaml", import_measurements=path
        )
    assert not (tmp_path / "a.yaml").exists()
    with pytest.raises(UserError, match="Leave `options` out"):
        import_table(path, tmp_path / "a.yaml", options=LatencyOptions())


SPOILT = {
    "a pass is missing": (lambda d: d["passes"].pop(), "1 of 2 passes"),
    "a part is missing": (lambda d: d["passes"][1].popitem(), "lacks 1"),
    "a series is missing": (lambda d: d["series"].clear(), "0 of 2 series"),
    "below zero": (
        lambda d: d["passes"][0].update(stem=[-1.0]),
        "at least 0",
    ),
    "another kind": (lambda d: d.update(kind="x"), "part_measurements"),
    "no machine": (lambda d: d.update(machine=[]), "'machine'"),
    "other threads": (lambda d: d.update(threads=0), "at least 1 thread"),
    "other runtime": (lambda d: d.update(runtime="x"), "'x'"),
    "a network of another space": (
        lambda d: (
            d.update(spread=["network 9,9"]),
            [one.update({"network 9,9": [1.0]}) for one in d["series"]],
        ),
        "9",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_spoilt_measurements_are_refused(measured, tmp_path, spoil, message):
    data = json.loads(measured[0].read_text())
    spoil(data)
    path = tmp_path / "measurements.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=message):
        import_table(path, tmp_path / "table.yaml")
    assert not (tmp_path / "table.yaml").exists()


def test_a_measurement_is_resumed(exported, measured, tmp_path):
    _, parts, python = exported
    path = tmp_path / "measurements.json"
    data = json.loads(measured[0].read_text())
    kept = data["passes"][0]
    for one in kept.values():
        one[:] = [7e5] * len(one)
    path.write_text(json.dumps({**data, "passes": [kept], "series": []}))
    program = parts / "measure_parts.py", f"--output={path}"
    refused = python(*program, "--repeats=4")
    assert refused.returncode == 2
    assert (
        "'repeats': 3" in refused.stderr and "Traceback" not in refused.stderr
    )
    assert python(*program).returncode == 0
    found = json.loads(path.read_text())
    assert found["passes"][0] == kept
    assert max(found["passes"][1]["stem"]) < 1e5
    assert len(found["series"]) == 2
    assert "0 of " in python(*program).stdout


def test_an_export_is_resumed(exported, tmp_path):
    import spos_tf

    runtime, parts, _ = exported
    folder = tmp_path / "parts"
    shutil.copytree(parts, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    names = [*manifest["files"]]
    lost = manifest["files"].pop(names[0])
    path.write_text(json.dumps(manifest))
    kept = (folder / names[1]).stat().st_mtime_ns
    options = dataclasses.replace(ROUNDS, runtime=runtime)
    blueprint = small_blueprint()
    spos_tf.build_latency_table(blueprint, export_parts=folder, options=options)
    again = json.loads(path.read_text())
    assert set(again["files"]) == set(names) and lost
    assert (folder / names[1]).stat().st_mtime_ns == kept
    with pytest.raises(UserError, match="other options.* `export_parts`"):
        spos_tf.build_latency_table(
            blueprint,
            export_parts=folder,
            options=dataclasses.replace(options, batch=2),
        )
    with pytest.raises(UserError, match="holds something else"):
        spos_tf.build_latency_table(blueprint, export_parts=tmp_path)
    with pytest.raises(UserError, match="runtime=tensorflow"):
        spos_tf.build_latency_table(
            blueprint,
            export_parts=tmp_path / "b",
            options=LatencyOptions(runtime="tensorflow"),
        )


def test_networks_are_exported_unless_none_are_wanted():
    from spos_tf.export import part_files

    blueprint = small_blueprint()
    for options, count in (
        (LatencyOptions(), EXPORTED_ARCHITECTURES),
        (LatencyOptions(check_architectures=0), 0),
    ):
        _, manifest = part_files._plan(blueprint, options)
        assert len(manifest["spread"]) == count
        assert len(manifest["uniform"]) == count
        assert len(manifest["anchors"]) >= 2


def test_the_program_refuses_in_one_line(exported, tmp_path):
    runtime, parts, python = exported
    folder = tmp_path / "parts"
    shutil.copytree(parts, folder)
    program = folder / "measure_parts.py"

    def refused(*arguments):
        done = python(program, f"--output={tmp_path / 'm.json'}", *arguments)
        assert done.returncode == 2, done.stdout
        assert done.stderr.startswith("measure_parts.py: ")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "m.json").exists()
        return done.stderr

    assert "--threads is at least 1; got 0" in refused("--threads=0")
    assert "belongs to --delegate" in refused("--delegate_option=a=b")
    delegate = f"--delegate={tmp_path / 'libno.so'}"
    expected = "libno.so" if runtime == "tflite" else "TFLite files"
    assert expected in refused(delegate)
    (tmp_path / "empty").mkdir()
    assert "--parts" in refused(f"--parts={tmp_path / 'empty'}")
    manifest = json.loads((folder / "manifest.json").read_text())
    name = manifest["parts"][0]["file"]
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    assert "not the file that was exported" in refused()
    (folder / name).unlink()
    assert "Copy the whole folder" in refused()
    del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "was not finished" in refused()
    (folder / "manifest.json").write_text("{}")
    assert "not what --export_parts wrote" in refused()


FAKE = """
class Interpreter:
    def __init__(self, model_path, num_threads, experimental_delegates=()):
        self.delegates = experimental_delegates
        self.path = model_path
    def allocate_tensors(self): pass
    def get_input_details(self): return [{"index": 0}]
    def set_tensor(self, index, values): pass
    def invoke(self): pass
    def _get_ops_details(self):
        takes = self.delegates and "part-001" not in self.path
        return [{"op_name": "TheDelegate" if takes else "CONV_2D"}]
def load_delegate(path, options):
    assert options == {"cores": "2", "mode": "a=b"}, options
    return path
"""


def test_a_delegate_that_takes_nothing_is_said(tmp_path, monkeypatch, capsys):
    import spos_tf

    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    parts = tmp_path / "parts"
    monkeypatch.setattr(
        "spos_tf.export.part_files.convert_tflite", lambda model, batch: b"x"
    )
    spos_tf.build_latency_table(
        small_blueprint(), export_parts=parts, options=ROUNDS
    )
    path = tmp_path / "measurements.json"
    code = measure_parts.main(
        [
            f"--parts={parts}",
            f"--output={path}",
            "--delegate=libc.so.6",
            "--delegate_option=cores=2",
            "--delegate_option=mode=a=b",
        ]
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "ran nothing of 1 files" in said.out and "stem" in said.out
    data = json.loads(path.read_text())
    assert data["undelegated"] == ["stem"]
    assert data["machine"]["delegate"] == "libc.so.6 cores=2 mode=a=b"
    assert data["machine"]["tflite-runtime"] == "unknown"


def test_a_missing_runtime_is_said(monkeypatch):
    for module in measure_parts._INTERPRETERS.values():
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(measure_parts.Refused, match="none can be imported"):
        measure_parts.load_runtime("tflite")


def test_tensorflow_alone_will_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    runtime = measure_parts.load_runtime("tflite")
    assert runtime.package == "tensorflow"
    assert callable(runtime.module.Interpreter)
    assert callable(runtime.module.experimental.load_delegate)


def test_the_program_is_old_python():
    source = pathlib.Path(measure_parts.__file__).read_text("utf-8")
    ast.parse(source, feature_version=(3, 8))
