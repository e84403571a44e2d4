"""What a killed run may leave: files that are whole, and nothing half."""

import io
import json
import pathlib
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

from kill_disks import FILLER

CHECKPOINT = re.compile(r"step-(\d+)\.npz")


def is_unfinished(path: pathlib.PurePath) -> bool:
    """Whether a path, relative to a run's folder, has no final name."""
    return any(part.startswith(".unfinished") for part in path.parts)


def paths_below(folder: pathlib.Path) -> set[pathlib.Path]:
    """All files and folders below, relative."""
    return {path.relative_to(folder) for path in folder.rglob("*")}


def results(folder: pathlib.Path) -> list[pathlib.Path]:
    """Files with a final name, relative and sorted.

    Event files are TensorBoard's, which it appends to; what they say is
    compared by `differences`.
    """
    return sorted(
        path
        for path in paths_below(folder)
        if not is_unfinished(path)
        and "events" not in path.parts
        and (folder / path).is_file()
    )


def leftovers(folder: pathlib.Path) -> list[str]:
    """What was begun and not removed by the run that ended well."""
    return sorted(str(p) for p in paths_below(folder) if is_unfinished(p))


def newest_step(folder: pathlib.Path) -> int:
    """Steps of the newest checkpoint below a folder; 0 without any."""
    found = (CHECKPOINT.search(path.name) for path in results(folder))
    return max((int(one[1]) for one in found if one), default=0)


def partial_files(folder: pathlib.Path) -> list[str]:
    """Files that have their final name and are not whole."""
    problems = []
    for path in results(folder):
        read = _READERS.get(path.name, _READERS.get(path.suffix))
        try:
            if read is None:
                _no_reader(path)
            else:
                read(folder / path)
        # Whatever the readers of eight formats raise on a damaged file.
        except Exception as error:
            problems.append(f"{path}: {type(error).__name__} {error}"[:200])
    return problems


def _no_reader(path: pathlib.Path) -> None:
    # Parts of a SavedModel, which saved_model.pb's reader looks at.
    known = (".lock", FILLER)
    if path.name not in known and "variables" not in path.parts:
        raise ValueError("the sweep does not know what a whole one is")


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        # Reading verifies the CRC.
        return {name: file[name] for name in file.files}


def read_json(path: pathlib.Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Whole lines; the last alone may be unfinished."""
    whole = path.read_bytes().rpartition(b"\n")[0]
    lines = [line for line in whole.splitlines() if line]
    if path.name == "scores.jsonl":
        # A full disk may cut any line of it; the next starts on its own.
        lines = [line for line in lines if line.endswith(b"}")]
    return [json.loads(line) for line in lines]


def _read_flags(path: pathlib.Path) -> list[str]:
    text = path.read_text("utf-8")
    lines = text.splitlines()
    if not text.endswith("\n") or not all(
        one.startswith("--") for one in lines
    ):
        raise ValueError("no flags, or the last without its end")
    return lines


def read_keras(path: pathlib.Path) -> dict[str, Any]:
    """Weights by name, and the configuration."""
    import h5py

    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as file:
        damaged = file.testzip()
        if damaged:
            raise ValueError(f"{damaged} is damaged")
        # Keras says by their addresses which objects layers share.
        found["config.json"] = re.sub(
            rb'"shared_object_id": \d+', b"", file.read("config.json")
        )
        with h5py.File(io.BytesIO(file.read("model.weights.h5"))) as weights:

            def note(name: str, node: Any) -> None:
                if isinstance(node, h5py.Dataset):
                    found[name] = (str(node.dtype), node[()].tobytes())

            weights.visititems(note)
    return found


def _read_tflite(path: pathlib.Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    Interpreter(model_path=str(path)).allocate_tensors()


def read_onnx(path: pathlib.Path) -> tuple[Any, bytes]:
    """Operations in sorted order, and logits of made-up images."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(str(path))
    (images,) = session.get_inputs()
    shape = [8, *images.shape[1:]]
    pixels = np.random.default_rng(0).uniform(0, 255, shape)
    (logits,) = session.run(None, {images.name: pixels.astype(np.float32)})
    return sorted(node.op_type for node in model.graph.node), logits.tobytes()


def _read_saved_model(path: pathlib.Path) -> None:
    import tensorflow as tf

    if path.name == "saved_model.pb":
        tf.saved_model.load(str(path.parent))


def _read_png(path: pathlib.Path) -> None:
    import PIL.Image

    with PIL.Image.open(path) as image:
        image.load()


def _read_text(path: pathlib.Path) -> str:
    text = path.read_text("utf-8")
    if not text.endswith("\n"):
        raise ValueError("its last line has no end")
    return text


def read_table(path: pathlib.Path) -> dict[str, Any]:
    from spos_tf.cost.latency import read_latency_table

    read_latency_table(path)
    return yaml.safe_load(path.read_text("utf-8"))


def read_manifest(path: pathlib.Path) -> Any:
    """It speaks of the files beside it and of no others."""
    from spos_tf.export.manifest import sha256

    manifest = read_json(path)
    for entry in manifest["files"].values():
        if entry["sha256"] != sha256(path.parent / entry["path"]):
            raise ValueError(f"it is not of the {entry['path']} beside it")
    return manifest


_READERS: dict[str, Callable[[pathlib.Path], Any]] = {
    "manifest.json": read_manifest,
    ".npz": _read_npz,
    ".json": read_json,
    ".jsonl": _read_lines,
    ".flags": _read_flags,
    ".keras": read_keras,
    ".tflite": _read_tflite,
    ".onnx": read_onnx,
    ".pb": _read_saved_model,
    ".png": _read_png,
    ".yaml": read_table,
    ".md": _read_text,
}
