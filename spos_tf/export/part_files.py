"""Writes every distinct part as a file, to be measured on another device.

Beside the parts there are whole networks: the anchors that tell a call's
overhead (`part_timing`), and those that predictions are compared with.
"""

import functools
import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from spos_tf.atomic_write import unfinished, write_json
from spos_tf.cost.spread import spread_encodings
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.export import measure_parts, part_timing
from spos_tf.export.onnx_model import write_onnx
from spos_tf.export.timing import convert_tflite
from spos_tf.networks.blueprint import Blueprint, plain_arguments
from spos_tf.networks.subnet import build_subnet
from spos_tf.options import EXPORTED_ARCHITECTURES, LatencyOptions
from spos_tf.progress import progress
from spos_tf.space.search_space import format_encoding, parse_encoding
from spos_tf.strict_json import parse_json

# By the runtime that the files are for.
SUFFIXES = {"tflite": ".tflite", "onnxruntime": ".onnx"}

_NETWORK = "network "


def network_key(encoding: Any) -> str:
    """The name of a whole network among the parts."""
    return f"{_NETWORK}{format_encoding(encoding)}"


def network_encoding(key: str, blueprint: Blueprint) -> np.ndarray:
    """The encoding of a network's key, int32 `[num_choices]`.

    Raises:
        UserError: The key names no network of the family.
    """
    encoding = parse_encoding(key.removeprefix(_NETWORK))
    return blueprint.search_space.check(encoding)


def fingerprint(
    blueprint: Blueprint,
    parts: list[part_timing.Part],
    *,
    runtime: str,
    batch: int,
) -> str:
    """Tells measurements of one family, runtime and batch size from others.

    Args:
        blueprint: The family.
        parts: All of it.
        runtime: A key of `SUFFIXES`.
        batch: Images of one call.
    """
    described = {
        "search_space": blueprint.search_space.name,
        "space_arguments": plain_arguments(blueprint.space_arguments),
        "runtime": runtime,
        "batch": batch,
        "parts": [
            [
                part.key,
                part.slots,
                part.option.input_shape,
                part.option.output_shape,
                part.option.macs,
                part.does_something,
            ]
            for part in parts
        ],
    }
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def export_parts(
    blueprint: Blueprint, folder: str | pathlib.Path, *, options: LatencyOptions
) -> pathlib.Path:
    """Writes the parts, the networks, a manifest and `measure_parts.py`.

    A run that was killed is resumed: files that the manifest has are kept.

    Args:
        blueprint: Of the networks.
        folder: Made if need be; empty, or of the same export.
        options: Runtime and batch of the files. The others are what the
            measuring starts from.

    Returns:
        The path of the manifest; docs/contracts.md says what is in it.

    Raises:
        UserError: The runtime has no files, the folder holds something else,
            or a part cannot be exported.
    """
    if options.runtime not in SUFFIXES:
        raise UserError(
            f"Parts are exported for {' or '.join(SUFFIXES)}; got "
            f"`runtime={options.runtime}`. Choose one of them."
        )
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / measure_parts.MANIFEST
    models, manifest = _plan(blueprint, options)
    manifest["files"] = _files_before(path, manifest)
    program = pathlib.Path(measure_parts.__file__)
    shutil.copyfile(program, folder / program.name)
    write_json(path, manifest, indent=1, allow_nan=False)
    entries = [*manifest["parts"], *manifest["networks"]]
    for entry in progress(entries, desc="exporting", unit="file"):
        file = folder / entry["file"]
        if entry["file"] in manifest["files"] and file.is_file():
            continue
        model = models[entry["key"]]()
        if options.runtime == "tflite":
            with unfinished(file) as temporary:
                temporary.write_bytes(convert_tflite(model, options.batch))
        else:
            write_onnx(model, file)
        content = file.read_bytes()
        manifest["files"][entry["file"]] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        write_json(path, manifest, indent=1, allow_nan=False)
    return path


def _plan(
    blueprint: Blueprint, options: LatencyOptions
) -> tuple[dict[str, Callable[[], keras.Model]], dict[str, Any]]:
    """What makes every file, by key, and the manifest without its files."""
    parts = part_timing.distinct_parts(blueprint)
    measured = [part for part in parts if part.does_something]
    macs = cost_table(blueprint, "macs")
    space, count = blueprint.search_space, options.check_architectures
    if count is None:
        count = EXPORTED_ARCHITECTURES
    # As the local road has them; what is cheap is not known yet in
    # milliseconds.
    sets: dict[str, Any] = {
        "anchors": part_timing.anchors(blueprint),
        "spread": spread_encodings(macs, space, count) if count else [],
        "uniform": space.sample(np.random.default_rng(1), count),
    }
    encodings = {
        network_key(one): one for several in sets.values() for one in several
    }
    suffix = SUFFIXES[options.runtime]
    manifest = {
        "schema": measure_parts.SCHEMA,
        "kind": measure_parts.MANIFEST_KIND,
        "fingerprint": fingerprint(
            blueprint, parts, runtime=options.runtime, batch=options.batch
        ),
        "search_space": blueprint.search_space.name,
        "space_arguments": plain_arguments(blueprint.space_arguments),
        "runtime": options.runtime,
        "batch": options.batch,
        "defaults": {
            name: getattr(options, name)
            for name in ("threads", *measure_parts.ROUNDS)
        },
        **{
            name: [network_key(one) for one in several]
            for name, several in sets.items()
        },
        "parts": [
            {
                "key": part.key,
                "slots": [*part.slots],
                "file": f"part-{number:03}{suffix}",
                "macs": part.option.macs,
                "input_shape": [options.batch, *part.option.input_shape],
                "output_shape": [options.batch, *part.option.output_shape],
            }
            for number, part in enumerate(measured, 1)
        ],
        "networks": [
            {
                "key": key,
                "file": f"network-{number:03}{suffix}",
                "macs": int(macs(encoding)),
                "input_shape": [options.batch, *blueprint.input_shape],
                "output_shape": [options.batch, blueprint.num_classes],
            }
            for number, (key, encoding) in enumerate(encodings.items(), 1)
        ],
    }
    models: dict[str, Callable[[], keras.Model]] = {
        part.key: part.build for part in measured
    }
    models |= {
        key: functools.partial(build_subnet, blueprint, encoding)
        for key, encoding in encodings.items()
    }
    return models, manifest


def _files_before(
    path: pathlib.Path, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """What an earlier run of the same export wrote."""
    if not path.exists():
        if any(path.parent.iterdir()):
            raise UserError(
                "Parts are exported into a folder of their own; "
                f"{str(path.parent)!r} holds something else. Choose another "
                "`export_parts`."
            )
        return {}
    try:
        before = parse_json(path.read_bytes())
        files = dict(before.pop("files"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{str(path)!r} is not what an export left there. Choose another "
            "`export_parts`."
        ) from None
    if before != manifest:
        raise UserError(
            f"{str(path.parent)!r} holds parts of another space, or with "
            "other options. Use the same, or another `export_parts`."
        )
    return files
