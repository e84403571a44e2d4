"""How a run that was disturbed is compared with one that was not."""

import json
import pathlib
import statistics
from collections.abc import Callable, Iterable
from typing import Any

from kill_files import (
    paths_below,
    read_json,
    read_keras,
    read_manifest,
    read_onnx,
    read_table,
    results,
)

# Timings: nobody measures the same twice.
_MEASURED = ("median_ms", "low_ms", "high_ms", "overhead_ms")


def differences(
    found: pathlib.Path, expected: pathlib.Path, *, saved_between: bool = False
) -> list[str]:
    """How a finished run differs from one that nobody disturbed.

    Files are equal byte for byte, but for: records (equal as the contract
    says), scores (the same lines in any order, none twice), `seconds` of
    metrics.json, date and addresses of objects in a .keras file, the random
    number of a SavedModel, names in ONNX files (operations and logits are
    equal), measured milliseconds, and times in event files, whose scalars
    are equal.

    Args:
        found: A work_dir.
        expected: That of the undisturbed run.
        saved_between: SIGTERM had another step saved and reported, so
            scalars are not compared.
    """
    ours, theirs = results(found), results(expected)
    names = sorted({*ours} ^ {*theirs})
    problems = [
        f"{path} is {'missing' if path in theirs else 'too many'}"
        for path in names
    ]
    for path in sorted({*ours} & {*theirs}):
        same = _COMPARED.get(path.name, _COMPARED.get(path.suffix, _same_bytes))
        try:
            equal = same(found / path, expected / path)
        except Exception as error:
            problems.append(f"{path}: {type(error).__name__} {error}"[:200])
            continue
        if not equal:
            problems.append(f"{path} differs")
    for folder in () if saved_between else _event_folders(expected):
        if _scalars(found / folder) != _scalars(expected / folder):
            problems.append(f"{folder}: the scalars differ")
    return problems


def _same_bytes(one: pathlib.Path, other: pathlib.Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _same_record(one: pathlib.Path, other: pathlib.Path) -> bool:
    from spos_tf.space.candidate import same_record
    from spos_tf.space.record import read_record

    return same_record(read_record(one), read_record(other))


def _same_scores(one: pathlib.Path, other: pathlib.Path) -> bool:
    """The same evaluations, none of them made twice."""
    ours, theirs = (
        sorted(json.dumps(line) for line in _whole_score_lines(path))
        for path in (one, other)
    )
    return ours == theirs


def _whole_score_lines(path: pathlib.Path) -> Iterable[dict[str, Any]]:
    # A kill may cut any line of it; the next one starts on its own.
    for line in path.read_text("utf-8").splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict):
            yield data


def _without(data: Any, *names: str) -> Any:
    if isinstance(data, dict):
        return {
            key: _without(value, *names)
            for key, value in data.items()
            if key not in names
        }
    if isinstance(data, list):
        return [_without(value, *names) for value in data]
    return data


def _same_metrics(one: pathlib.Path, other: pathlib.Path) -> bool:
    ours, theirs = (_without(read_json(p), "seconds") for p in (one, other))
    return ours == theirs


def _same_keras(one: pathlib.Path, other: pathlib.Path) -> bool:
    return read_keras(one) == read_keras(other)


def _same_onnx(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Equal operations and logits; names hang on Python's hash seed."""
    return read_onnx(one) == read_onnx(other)


def _same_manifest(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Equal but for what hangs on names and random numbers in files."""
    ours, theirs = read_manifest(one), read_manifest(other)
    for data in (ours, theirs):
        for file in ("saved_model", "onnx"):
            for name in ("sha256", "bytes"):
                data["files"].get(file, {}).pop(name, None)
    return ours == theirs


def _same_table(one: pathlib.Path, other: pathlib.Path) -> bool:
    ours, theirs = (_without(read_table(p), *_MEASURED) for p in (one, other))
    return ours == theirs


def _same_report(one: pathlib.Path, other: pathlib.Path) -> bool:
    """The same networks are compared; the spread ones hang on timings."""
    ours, theirs = (
        [
            n["encoding"]
            for n in read_json(p)["networks"]
            if n["set"] != "spread"
        ]
        for p in (one, other)
    )
    return ours == theirs


def _exists(one: pathlib.Path, other: pathlib.Path) -> bool:
    return one.exists() and other.exists()


_COMPARED: dict[str, Callable[[pathlib.Path, pathlib.Path], bool]] = {
    "record.jsonl": _same_record,
    "scores.jsonl": _same_scores,
    "metrics.json": _same_metrics,
    ".keras": _same_keras,
    ".onnx": _same_onnx,
    # TensorFlow gives every SavedModel a random number.
    "fingerprint.pb": _exists,
    "manifest.json": _same_manifest,
    "table.yaml": _same_table,
    "table.yaml.report.json": _same_report,
    "table.yaml.report.md": _exists,
}


def _event_folders(folder: pathlib.Path) -> list[pathlib.PurePath]:
    return sorted(p for p in paths_below(folder) if p.name == "events")


def _scalars(folder: pathlib.Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows, without speeds."""
    from spos_tf.report.event_scalars import read_scalars

    # A kill may cut a file's last record, which the next file has again.
    found = read_scalars(folder, [])
    return {
        tag: series
        for tag, series in found.items()
        if not tag.endswith("images_per_second")
    }


def samples_of(folder: pathlib.Path) -> list[dict[str, list[float]]]:
    """What an unfinished latency table has measured: passes, part by part."""
    path = folder / "table.yaml.partial.json"
    return read_json(path)["passes"] if path.exists() else []


def lost_samples(
    before: list[dict[str, list[float]]], folder: pathlib.Path
) -> list[str]:
    """What was measured before a kill and is not what it was since.

    Args:
        before: From `samples_of`, after an earlier kill.
        folder: As it is now, after another kill or at the end.
    """
    if (folder / "table.yaml").exists():
        return _lost_in_table(before, folder / "table.yaml")
    now = samples_of(folder)
    return [
        f"pass {index + 1} of {key} was measured anew"
        for index, one in enumerate(before)
        for key, values in one.items()
        if index >= len(now) or now[index].get(key, [])[: len(values)] != values
    ]


def _lost_in_table(
    before: list[dict[str, list[float]]], path: pathlib.Path
) -> list[str]:
    """Parts measured in all passes before have their medians of then."""
    data = read_table(path)
    entries = {
        " ".join(
            [
                entry["slots"][0],
                *(f"{k}={v}" for k, v in entry["choices"].items()),
            ]
        ): entry
        for entry in data["entries"]
    }
    lost = []
    for key, entry in entries.items():
        values = [value for one in before for value in one.get(key, [])]
        if len(values) != entry["repeats"]:
            continue
        if abs(statistics.median(values) - entry["median_ms"]) > 1e-6:
            lost.append(f"{key} of the table is not what was measured")
    return lost
