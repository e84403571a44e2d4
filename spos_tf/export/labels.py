"""Names of the classes, kept within the files that have a place for them."""

import json
import pathlib
from collections.abc import Callable, Sequence

import onnx
from ai_edge_litert import schema_py_generated as schema

from spos_tf.export.tflite_operations import model_content, read_model

# What the entry is called in both kinds of files.
LABELS = "labels"


def put_labels(path: pathlib.Path, names: Sequence[str]) -> None:
    """Writes the names of the classes into an exported file.

    ONNX files have them in `metadata_props`, TFLite files in a buffer that an
    entry of `metadata` names; both as a JSON list in UTF-8, under the name
    `labels`. A SavedModel has no place for them and is left as it is.

    Args:
        path: The file or folder.
        names: In the order of the outputs.
    """
    write = _WRITERS.get(path.suffix)
    if write is not None:
        write(path, json.dumps(list(names), ensure_ascii=False))


def _into_onnx(path: pathlib.Path, text: str) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(
        model,
        {**{one.key: one.value for one in model.metadata_props}, LABELS: text},
    )
    onnx.save(model, path)


def _into_tflite(path: pathlib.Path, text: str) -> None:
    model = read_model(path.read_bytes())
    entry = schema.MetadataT()
    entry.name = LABELS
    entry.buffer = len(model.buffers)
    buffer = schema.BufferT()
    buffer.data = list(text.encode("utf-8"))
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    path.write_bytes(model_content(model))


_WRITERS: dict[str, Callable[[pathlib.Path, str], None]] = {
    ".onnx": _into_onnx,
    ".tflite": _into_tflite,
}
