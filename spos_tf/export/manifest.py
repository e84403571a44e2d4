"""manifest.json: what an export folder holds and how well it agrees."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spos_tf.export.parity import Parity
from spos_tf.space import Architecture

FILE_NAME = "manifest.json"
_PACKAGES = (
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "ai-edge-litert",
    "spos_tf",
)


def build_manifest(
    architecture: Architecture,
    image_size: int,
    files: Mapping[str, Mapping[str, Any]],
    deploy_form: Parity | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The object of manifest.json.

    Args:
        architecture: Of the exported network.
        image_size: Height and width of its images, pixels.
        files: From format to `file_entry`.
        deploy_form: How it compares with the network, if files are of it.
        class_names: In the order of the outputs, if they are known.

    Returns:
        `"architecture"` as in an architecture file, `"input"` (the batch size
        is null, any; `"range"` is that of RGB values, whose normalisation is
        the network's first layer), `"labels"` (null where they are not
        known), `"files"`, `"versions"` and, with one, `"deploy_form"`.
    """
    manifest = {
        "architecture": architecture.to_dict(),
        "input": {
            "shape": [None, image_size, image_size, 3],
            "dtype": "float32",
            "range": [0, 255],
        },
        "labels": None if class_names is None else list(class_names),
        "files": {name: dict(entry) for name, entry in files.items()},
        "versions": installed_versions(),
    }
    if deploy_form is not None:
        manifest["deploy_form"] = _figures(deploy_form)
    return manifest


def file_entry(
    path: pathlib.Path,
    parity: Parity,
    levels: Mapping[str, int],
    dimensions: int | None = None,
) -> dict[str, Any]:
    """A format's entry: name, bytes, SHA-256 and parity of its file.

    Args:
        path: The file or folder.
        parity: With what it was made of.
        levels: From `most_levels`; goes in as `"most_weights_a_channel"` if
            there are any.
        dimensions: From `most_dimensions`, of a TFLite file.
    """
    entry = {
        "path": path.name,
        "bytes": sum(part.stat().st_size for part in _parts(path)),
        "sha256": sha256(path),
        **_figures(parity),
    }
    if dimensions is not None:
        entry["most_dimensions"] = dimensions
    if levels:
        entry["most_weights_a_channel"] = dict(levels)
    return entry


def _figures(parity: Parity) -> dict[str, Any]:
    return {
        "max_abs_difference": parity.max_abs_difference,
        "top1_agreement": parity.top1_agreement,
        "accuracy": parity.accuracy,
        "images": parity.num_images,
        "near_ties": parity.near_ties,
    }


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, or of a folder, in hexadecimal.

    A folder's is that of the text which `sha256sum` prints for the files in
    it, sorted by path: a line `HASH  PATH` each, with the path relative to
    the folder and forward slashes. In a shell, within the folder:
    `find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`.
    """
    root = pathlib.Path(path)
    if not root.is_dir():
        return _file_sha256(root)
    lines = [
        f"{_file_sha256(part)}  {part.relative_to(root).as_posix()}\n"
        for part in _parts(root)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def installed_versions() -> dict[str, str | None]:
    """Versions of Python and of all that has a part in an export.

    None stands for a package that is not installed under that name.
    """
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def _file_sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parts(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The files of a folder by relative path, or the file itself."""
    if not path.is_dir():
        yield path
        return
    files = (part for part in path.rglob("*") if part.is_file())
    yield from sorted(
        files, key=lambda part: part.relative_to(path).as_posix().encode()
    )
