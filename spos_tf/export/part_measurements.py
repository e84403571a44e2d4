"""Reads what was measured of parts on another device."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from spos_tf.errors import UserError, system_errors
from spos_tf.export import measure_parts
from spos_tf.export.benchmark_model import read_benchmark
from spos_tf.export.part_files import SUFFIXES
from spos_tf.export.part_timing import Samples, merged
from spos_tf.strict_json import parse_json

# Beside the output of `benchmark_model`: what it does not say itself.
DEVICE = "device.json"
_TOOL = "benchmark_model"
# FILE.RUN.csv, for example part-001.tflite.2.csv.
_RUN = re.compile(r"(?P<file>.+)\.(?P<run>[0-9]{1,6})\.(csv|log)")
# Keys that a message names; the rest it counts.
_NAMED = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurements:
    """What a device took.

    Attributes:
        settings: Fields of a `MeasuredTable`: space, its arguments, machine,
            runtime, threads and batch.
        fingerprint: Of the export; see `part_files.fingerprint`.
        passes: Milliseconds of parts and anchors by key, once a pass.
        series: The same of whole networks, in two series.
        spread: Keys of networks spread over the range.
        uniform: Keys of networks drawn uniformly.
        rounds: Calls of a network in each series.
        undelegated: Keys of files that a delegate took nothing of.
        source: The file, for messages.
    """

    settings: Mapping[str, Any]
    fingerprint: str
    passes: list[Samples]
    series: list[Samples]
    spread: list[str]
    uniform: list[str]
    rounds: int
    undelegated: list[str]
    source: str

    def check_complete(self, keys: list[str]) -> None:
        """Refuses measurements that were not finished.

        Args:
            keys: Of all parts that do something, and of the anchors.

        Raises:
            UserError: Something was not measured.
        """
        networks = [*self.spread, *self.uniform]
        wanted = [(keys, one) for one in self.passes]
        wanted += [(networks, one) for one in self.series]
        missing = [
            *dict.fromkeys(
                key for some, one in wanted for key in some if key not in one
            )
        ]
        if missing or not self.passes:
            named = ", ".join(repr(key) for key in (missing or keys)[:_NAMED])
            raise UserError(
                "Measurements have every part in every pass and every network "
                f"in both series; {self.source} lacks "
                f"{len(missing or keys)}, such as {named}. Start the "
                "measuring again: it measures what is missing."
            )

    def samples(self) -> Samples:
        """What parts and anchors took, all passes together."""
        return merged(self.passes)


def read_measurements(path: str | pathlib.Path) -> Measurements:
    """Reads the file of `measure_parts.py`, or a folder of `benchmark_model`.

    Args:
        path: The file, or a folder with manifest.json, device.json and a file
            `FILE.RUN.csv` or `FILE.RUN.log` for each run of each file;
            docs/contracts.md says more.

    Raises:
        UserError: It is missing, damaged or not understood.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _of_folder(path)
    data = _object(path, measure_parts.KIND, f"Run {_program()} again")
    rounds = _get(data, "rounds", dict, path)
    measured = Measurements(
        settings=_settings(data, path),
        fingerprint=_get(data, "fingerprint", str, path),
        passes=_samples(data, "passes", path),
        series=_samples(data, "series", path),
        rounds=_get(rounds, "check_rounds", int, path),
        **{
            name: _texts(data, name, path)
            for name in ("spread", "uniform", "undelegated")
        },
        source=repr(str(path)),
    )
    passes = _get(rounds, "passes", int, path)
    series = 2 if measured.spread or measured.uniform else 0
    found = len(measured.passes), len(measured.series)
    if found != (passes, series):
        raise UserError(
            f"{str(path)!r} has {found[0]} of {passes} passes and {found[1]} "
            f"of {series} series. Start {_program()} again: it measures what "
            "is missing."
        )
    return measured


def _program() -> str:
    return pathlib.Path(measure_parts.__file__).name


def _object(path: pathlib.Path, kind: str, way_out: str) -> dict[str, Any]:
    """A JSON object of a kind."""
    with system_errors("read", path, f"{way_out}."):
        content = path.read_bytes()
    try:
        data = parse_json(content)
    except ValueError as error:
        raise UserError(
            f"Measurements are JSON; {str(path)!r} is not: {error}. {way_out}."
        ) from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != measure_parts.SCHEMA or data.get("kind") != kind:
        raise UserError(
            f"This version reads {kind} of schema {measure_parts.SCHEMA}; "
            f"{str(path)!r} is not. {way_out}."
        )
    return dict(data)


def _get(
    data: Mapping[str, Any], name: str, kind: type, path: pathlib.Path
) -> Any:
    value = data.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UserError(
            f"{name!r} of measurements is of type {kind.__name__}; "
            f"{str(path)!r} has {str(value)[:100]!r}. Measure again."
        )
    return value


def _texts(data: Mapping[str, Any], name: str, path: pathlib.Path) -> list[str]:
    values = _get(data, name, list, path)
    if not all(isinstance(value, str) for value in values):
        raise UserError(
            f"{name!r} of measurements is a list of names; {str(path)!r} has "
            f"{str(values)[:100]!r}. Measure again."
        )
    return list(values)


def _settings(data: Mapping[str, Any], path: pathlib.Path) -> dict[str, Any]:
    """What a table says of the networks and of the device."""
    machine = _get(data, "machine", dict, path)
    if not all(isinstance(one, (str, int, float)) for one in machine.values()):
        raise UserError(
            "'machine' of measurements holds texts and numbers; "
            f"{str(path)!r} has {str(machine)[:100]!r}. Measure again."
        )
    settings = {
        "search_space": _get(data, "search_space", str, path),
        "space_arguments": _get(data, "space_arguments", dict, path),
        "machine": machine,
        "runtime": _get(data, "runtime", str, path),
        "threads": _get(data, "threads", int, path),
        "batch": _get(data, "batch", int, path),
    }
    if settings["runtime"] not in SUFFIXES or settings["threads"] < 1:
        raise UserError(
            f"Measurements are of {' or '.join(SUFFIXES)} with at least 1 "
            f"thread; {str(path)!r} has {settings['runtime']!r} and "
            f"{settings['threads']}. Measure again."
        )
    return settings


def _samples(
    data: Mapping[str, Any], name: str, path: pathlib.Path
) -> list[Samples]:
    """Milliseconds by key, of each pass or series."""
    listed = _get(data, name, list, path)
    for one in listed:
        if not isinstance(one, dict) or not all(
            isinstance(values, list)
            and values
            and all(type(ms) in (int, float) and ms >= 0 for ms in values)
            for values in one.values()
        ):
            raise UserError(
                f"{name!r} of measurements holds lists of milliseconds, at "
                f"least 0, by name; {str(path)!r} has something else. Measure "
                "again."
            )
    return [
        {key: [float(ms) for ms in values] for key, values in one.items()}
        for one in listed
    ]


def _of_folder(folder: pathlib.Path) -> Measurements:
    """Reads what `benchmark_model` said of every file, run by run."""
    path = folder / measure_parts.MANIFEST
    manifest = _object(
        path, measure_parts.MANIFEST_KIND, "Copy the manifest of the export"
    )
    keys = _keys(manifest, path)
    device_path = folder / DEVICE
    device = _device(device_path)
    runs: dict[int, Samples] = {}
    undelegated = []
    for file in sorted(folder.iterdir()):
        if file in (path, device_path):
            continue
        found = _RUN.fullmatch(file.name)
        if found is None or found["file"] not in keys:
            raise UserError(
                f"A folder of {_TOOL} has {path.name}, {DEVICE} and files "
                "such as part-001.tflite.1.csv or .log, by the manifest's "
                f"names; {str(folder)!r} has {file.name!r}. Move it away."
            )
        key, run = keys[found["file"]], int(found["run"])
        if key in runs.setdefault(run, {}):
            raise UserError(
                f"{str(folder)!r} has run {run} of {found['file']} twice. "
                "Keep the .csv or the .log."
            )
        said = read_benchmark(
            file.read_text("utf-8", "replace"), repr(str(file))
        )
        for name, there, wanted in (
            ("threads", said.threads, device["threads"]),
            ("file", said.graph, found["file"]),
        ):
            if there not in (None, wanted):
                raise UserError(
                    f"{str(file)!r} was measured with {name} {there}, and "
                    f"should be with {wanted}. Run it again."
                )
        if not said.delegated:
            undelegated.append(key)
        runs[run][key] = [round(said.ms, 6)]
    if not runs:
        raise UserError(
            f"A folder of {_TOOL} has a file for every run of every part; "
            f"{str(folder)!r} has none. See docs/device_latency.md."
        )
    listed = [runs[run] for run in sorted(runs)]
    anchors, spread, uniform = (
        _texts(manifest, name, path)
        for name in ("anchors", "spread", "uniform")
    )
    # Whole networks to compare with: every second run is the second series.
    series = [merged(listed[start::2]) for start in (0, 1)]
    checked = {*spread, *uniform} - {*anchors}
    measured = any(key in one for one in series for key in checked)
    return Measurements(
        settings=_settings({**manifest, **device}, path),
        fingerprint=_get(manifest, "fingerprint", str, path),
        passes=listed,
        series=series if measured else [],
        spread=spread if measured else [],
        uniform=uniform if measured else [],
        rounds=len(listed) // 2,
        undelegated=[*dict.fromkeys(undelegated)],
        source=repr(str(folder)),
    )


def _keys(manifest: Mapping[str, Any], path: pathlib.Path) -> dict[str, str]:
    """Keys of parts and networks by the names of their files."""
    entries = [
        *_get(manifest, "parts", list, path),
        *_get(manifest, "networks", list, path),
    ]
    return {
        _get(entry, "file", str, path): _get(entry, "key", str, path)
        for entry in entries
        if isinstance(entry, dict)
    }


def _device(path: pathlib.Path) -> dict[str, Any]:
    """`threads` and `machine`, by what the user wrote down."""
    try:
        said = parse_json(path.read_bytes())
        threads = said.pop("threads")
        if type(threads) is not int or not isinstance(said["processor"], str):
            raise TypeError(said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{str(path)!r} is a JSON file that says what {_TOOL} measured on, "
            'such as {"processor": "Pixel 8", "threads": 1}; it is missing, '
            "cannot be read, or holds something else. Write it."
        ) from None
    return {"threads": threads, "machine": {**said, "tool": _TOOL}}
