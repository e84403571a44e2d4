"""`.keras` files of our networks, looked into before Keras reads them.

Such a file is a zip: a JSON description and an HDF5 file of weights. Keras
makes what the description names. Its safe mode refuses the code that a Lambda
layer holds; which other classes may be named differs by version, and some read
files or run graphs. So only the classes that our networks consist of come
through, and only weights that are in the file itself.
"""

import functools
import io
import os
import pathlib
import zipfile
from collections.abc import Iterator
from typing import Any

import keras

from spos_tf import quantization
from spos_tf.errors import UserError
from spos_tf.ops.keras_ops import KerasOps
from spos_tf.ops.protocol import INPUT_KINDS, Ops, Precision
from spos_tf.quantization import Pact
from spos_tf.quantization.quantizers import check_clip_level
from spos_tf.strict_json import parse_json

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_METADATA = "metadata.json"
_ENTRIES = {_CONFIG, _METADATA, _WEIGHTS}
# The lowest Keras that reads our files, by what a description says that
# earlier releases do not know. Measured: files of 3.8 to 3.15, each read by
# all of them.
_LOWEST = (3, 8)
_SINCE = {"quantization_config": (3, 13), "renorm": (3, 14)}
# How Keras writes Python values that JSON has not.
_VALUES = {"__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__"}
# Whole numbers of a description that may be anything.
_NO_SIZES = ("seed", "shared_object_id")
# Packed files may grow to this many times their size, and this more.
_GROWTH, _ALWAYS = 64, 64 << 20


def load_keras_file(path: pathlib.Path) -> keras.Model:
    """Reads a network that `spos train_subnet` saved.

    Raises:
        UserError: It is not readable, names something that is no part of our
            networks, or clips features at no sensible level.
    """
    try:
        _check(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        # A file of another kind of Keras object.
        if not isinstance(model, keras.Model):
            raise ValueError(f"it holds a {type(model).__name__}")
    # A zip, JSON or HDF5 error, by where the file is damaged.
    except Exception as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        versions = _other_versions(path)
        if versions:
            raise UserError(
                f"{str(path)!r} {versions}, which cannot read it ({reason})."
            ) from None
        raise UserError(
            f"{str(path)!r} is not a readable .keras file of ours: {reason}. "
            "Train it again."
        ) from None
    for layer in model.layers:
        if isinstance(layer, Pact):
            check_clip_level(layer.alpha, f"{layer.name!r} in {str(path)!r}")
    return model


def lowest_keras(path: pathlib.Path) -> str:
    """The lowest version of Keras that reads a file of ours.

    Args:
        path: A file that this Keras has saved.
    """
    with zipfile.ZipFile(path) as archive:
        description = parse_json(archive.read(_CONFIG))
    return _words(_needed(description))


def _needed(description: Any) -> tuple[int, int]:
    said: set[str] = set()
    for one in _objects(description):
        if isinstance(one.get("config"), dict):
            said |= one["config"].keys()
    return max(
        (since for name, since in _SINCE.items() if name in said),
        default=_LOWEST,
    )


def _other_versions(path: pathlib.Path) -> str:
    """Which Keras a file needs, if it may be newer than this one."""
    ours = keras.version()
    try:
        with zipfile.ZipFile(path) as archive:
            saved = str(parse_json(archive.read(_METADATA))["keras_version"])
            needed = _needed(parse_json(archive.read(_CONFIG)))
        newer = _numbers(saved) > _numbers(ours)
    # It is damaged besides, which is said.
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return ""
    if not newer:
        return ""
    needs = f"Keras {_words(needed)}"
    if needed <= _numbers(ours):
        needs = f"perhaps Keras {saved}"
    return (
        f"was saved by Keras {saved} and needs {needs} or later; this is "
        f"Keras {ours}"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _words(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _check(path: pathlib.Path) -> None:
    size = os.stat(path).st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        odd = set(names) ^ _ENTRIES
        if odd or len(set(names)) < len(names):
            raise ValueError(
                f"it does not hold {', '.join(sorted(_ENTRIES))}, once each "
                "and nothing else"
            )
        grown = sum(entry.file_size for entry in entries)
        if grown > _GROWTH * size + _ALWAYS:
            raise ValueError(f"{size:,} bytes would grow to {grown:,}")
        description = parse_json(archive.read(_CONFIG))
        for one in _objects(description):
            _check_object(one)
        _check_sizes(description, grown)
        _check_weights(archive.read(_WEIGHTS))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All JSON objects of a description that name what is to be made."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "class_name" in one:
                yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


@functools.cache
def _of_keras() -> frozenset[str]:
    """Names of all classes of Keras that a network's description holds."""
    images = keras.Input((8, 8, 3))
    model = keras.Model(
        images, _every_operation(KerasOps("a", 0, False), images)
    )
    description = keras.saving.serialize_keras_object(model)
    return frozenset(
        one["class_name"]
        for one in _objects(description)
        if str(one["module"]).partition(".")[0] == "keras"
    )


def _every_operation(ops: Ops[Any], x: Any) -> Any:
    """A block of all operations, each in every form that it has in Keras."""
    x = ops.concat([ops.normalize(x, kind, name=kind) for kind in INPUT_KINDS])
    x = ops.conv(x, 4 * ops.channels(x), name="conv")
    x = ops.batch_norm(ops.depthwise(x, 3, name="dw"), name="bn")
    x = ops.conv(
        ops.clip(ops.relu(x), Precision(1, 1), name="clip"),
        ops.channels(x),
        bits=Precision(1, 1),
        name="few_bits",
    )
    x = ops.add(ops.max_pool(x, 3, strides=1), ops.avg_pool(x, 3, strides=1))
    x = ops.interleave(*ops.split_halves(ops.zeros(x)))
    x = ops.global_average_pool(ops.split_even_odd(x)[0])
    x = ops.dropout(x, 0.5, name="dropout")
    return ops.dense(x, 1, use_bias=True, stddev=1.0, name="dense")


def _check_object(one: dict[str, Any]) -> None:
    name, module = one["class_name"], one.get("module")
    registered = one.get("registered_name")
    package = str(module).partition(".")[0]
    if module is None:
        known = name in _VALUES and registered is None
    elif package == "keras":
        known = name in _of_keras() and registered in (None, name)
    else:
        known = package == "spos_tf" and name in quantization.__all__
        known = known and registered == f"spos_tf>{name}"
    if not known:
        raise ValueError(
            f"it names {module}.{name}, which is no part of our networks and "
            "is not loaded: it could run code"
        )


def _check_sizes(value: Any, most: int) -> None:
    """No size in a description is beyond the bytes of the whole file."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [p for name, p in one.items() if name not in _NO_SIZES]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, int) and abs(one) > most:
            raise ValueError(f"it says a size of {one:,}, more than its bytes")


def _check_weights(content: bytes) -> None:
    """Arrays that are there, all of them, and no way to other files."""
    import h5py

    total = visited = 0
    with h5py.File(io.BytesIO(content), "r") as file:
        groups: list[Any] = [file]
        while groups:
            group = groups.pop()
            visited += 1
            for name in group:
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise ValueError(f"its weights {name!r} lie elsewhere")
                one = group[name]
                if isinstance(one, h5py.Group):
                    groups.append(one)
                    continue
                if one.external or one.is_virtual:
                    raise ValueError(f"its weights {name!r} lie elsewhere")
                total += one.size * one.dtype.itemsize
                if total > len(content):
                    raise ValueError("its weights are more than its bytes")
            if visited > len(content):
                raise ValueError("a group of its weights is within itself")
