"""What a tool has to say of a file that it accepts, found out another way.

Nothing here uses a reader of the package: JSON, YAML, CSV, NPZ and pickles are
read by plain libraries, and figures are counted again.
"""

import csv
import io
import json
import pathlib
import zipfile
from typing import Any

import numpy as np
import scipy.stats
import yaml

from fuzz_tools import Ran
from spos_tf.cost.description import describe
from spos_tf.options import (
    LimitOptions,
    PinOptions,
    RunOptions,
    SearchOptions,
    SourceOptions,
)
from spos_tf.spaces import build_blueprint

_RECORD = "runs/search/default/record.jsonl"
# Options of these may change between two starts of one run.
_OF_SEARCH = (
    RunOptions,
    SourceOptions,
    SearchOptions,
    PinOptions,
    LimitOptions,
)


def _json(content: bytes | str) -> Any:
    """JSON that says everything once; ValueError where it does not."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def number(text: str) -> Any:
        raise ValueError(f"{text} is no number")

    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _differ(what: str, said: Any, found: Any) -> str | None:
    # As text: true is not 1.
    a, b = (json.dumps(one, sort_keys=True) for one in (said, found))
    if a == b or _same_numbers(said, found):
        return None
    return f"{what}: the file says {a[:200]}, the tool {b[:200]}"


def _same_numbers(a: Any, b: Any) -> bool:
    """1 and 1.0 are one number in JSON; true is another thing."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(
            _same_numbers(a[key], b[key]) for key in a
        )
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same_numbers, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _recounted(space: str, arguments: Any, choices: Any) -> dict[str, Any]:
    """Counts of a network that is looked up by hand."""
    blueprint = build_blueprint(space, **arguments)
    encoding = []
    for choice in blueprint.search_space.choices:
        options = [json.dumps(option) for option in choice.options]
        encoding.append(options.index(json.dumps(choices[choice.name])))
    if len(choices) != len(encoding):
        raise ValueError("there are other choices")
    return describe(blueprint, encoding)


def described(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`describe.py --architecture`."""
    del right
    said = _json((case / "a.json").read_bytes())
    found = _json(ran.stdout)
    if said["schema"] != 1:
        return f"it has schema {said['schema']!r}"
    return _as_said(
        said["search_space"], said["space_arguments"], said["choices"], found
    )


def _as_said(
    space: str, arguments: Any, choices: Any, found: Any
) -> str | None:
    again = _recounted(space, arguments, choices)
    for field in ("search_space", "encoding", "macs", "params", "slots"):
        ours = json.loads(json.dumps(again[field]))
        wrong = _differ(field, ours, found[field])
        if wrong:
            return wrong
    return _differ("choices", choices, found["architecture"]["choices"])


def flagged(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`describe.py --flagfile`: the last of equal flags holds."""
    del right
    text = (case / "a.flags").read_text("utf-8")
    values = {"format": "table"}
    for line in text.splitlines():
        words = line.strip()
        if not words or words.startswith(("#", "//")):
            continue
        if not words.startswith("-"):
            return f"it has the line {line!r}"
        name, _, value = words.lstrip("-").partition("=")
        values[name] = value
    if values["format"] != "json":
        return None
    found = _json(ran.stdout)
    arguments: dict[str, Any] = {
        name: int(values[name])
        for name in ("num_classes", "image_size")
        if name in values
    }
    if "preset" in values:
        arguments["preset"] = values["preset"]
    arguments |= _json(values.get("space_arguments", "{}"))
    space = values.get("search_space", "shufflenet_blocks")
    blueprint = build_blueprint(space, **arguments)
    if "encoding" not in values:
        return _differ("encoding", None, found["encoding"])
    encoding = [int(one) for one in values["encoding"].split(",")]
    again = describe(blueprint, encoding)
    for field in ("search_space", "encoding", "macs", "params"):
        wrong = _differ(field, again[field], found[field])
        if wrong:
            return wrong
    return None


def _lines(path: pathlib.Path) -> list[Any]:
    return [_json(line) for line in path.read_bytes().splitlines()]


def searched(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`search.py` that goes on: `best.json` is the record's best line."""
    del ran
    # The later line counts for a candidate that was scored anew.
    by_number = {one["i"]: one for one in _lines(case / _RECORD)}
    record = [by_number[i] for i in sorted(by_number)]
    known = {one["i"]: one for one in _lines(right / _RECORD)}
    best = _json((case / "runs/search/default/best.json").read_bytes())
    top = min(record, key=lambda one: (-one["score"], one["i"]))
    for field in ("score", "costs", "choices"):
        wrong = _differ(field, top[field], best[field])
        if wrong:
            return wrong
    if [one["i"] for one in record] != list(range(len(known))):
        return f"the record has {len(record)} candidates of {len(known)}"
    for one in record:
        # Another score is what the file says; other networks are not.
        for field in ("encoding", "choices", "costs", "generation"):
            wrong = _differ(field, known[one["i"]][field], one[field])
            if wrong:
                return f"candidate {one['i']}, {wrong}"
    return None


def resumed(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`search.py` with the spoilt run.json of the run it goes on with."""
    spoilt = (case.parent / "spoilt").read_bytes()
    if not spoilt:
        # A run without it is a first one; what its record and
        # scored_with.json say is compared.
        return searched(ran, case, right)
    ours = _json((right / "runs/search/default/run.json").read_bytes())
    # What the tool found before it wrote the file again.
    theirs = _json(spoilt)
    if (theirs["schema"], theirs["tool"]) != (1, "search"):
        return f"it is of {theirs['tool']!r}, schema {theirs['schema']!r}"
    free = {
        one.name
        for kind in _OF_SEARCH
        for one in kind.described()
        if not one.about.decides_result
    }
    said = {
        group: {
            name: value
            for name, value in theirs[group].items()
            # What is not there may be new in this version.
            if name in ours[group] and name not in free
        }
        for group in ("options", "inputs")
    }
    for group, values in said.items():
        for name, value in values.items():
            wrong = _differ(name, ours[group][name], value)
            if wrong:
                return wrong
    return searched(ran, case, right)


def priced(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`search.py --latency_table`: every latency is the sum of its parts."""
    del ran, right
    said = yaml.safe_load((case / "latency.yaml").read_bytes())
    overhead = said.get("overhead_ms", 0.0)
    blueprint = build_blueprint("shufflenet_blocks", preset="demo")
    for one in _lines(case / "runs/search/new/record.jsonl"):
        slots = describe(blueprint, one["encoding"])["slots"]
        parts = [(slot["name"], slot) for slot in slots]
        total = 0.0
        for name, slot in [*parts, ("stem", None), ("head", None)]:
            values = [
                max(entry["median_ms"] - overhead, 0.0)
                for entry in said["entries"]
                if name in entry["slots"] and _is_part(entry, slot)
            ]
            if len(values) != 1:
                return f"{name} has {len(values)} latencies"
            total += values[0]
        found = one["costs"]["latency_ms"]
        if abs(found - total) > 1e-9 * max(1.0, abs(total)):
            return f"latency_ms: the table says {total}, the tool {found}"
    return None


def _is_part(entry: Any, slot: Any) -> bool:
    if slot is None:
        return True
    chosen = {name: one["chosen"] for name, one in slot["choices"].items()}
    return bool(
        entry["choices"] == chosen
        and entry["macs"] == slot["macs"]
        and entry["input_shape"] == list(slot["input_shape"])
        and entry["output_shape"] == list(slot["output_shape"])
    )


def correlated(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`correlate.py`: tau of the figures that the table has."""
    table = case / "table.npz"
    if "--table=table.csv" in ran.tool or not _changed(table, right):
        table = case / "table.csv"
        rows = list(
            csv.DictReader(
                io.StringIO(table.read_bytes().decode("utf-8-sig"), newline="")
            )
        )
        names = [key.strip() for key in rows[0]]
        rows = [dict(zip(names, row.values(), strict=True)) for row in rows]
        name = "arch_str" if "arch_str" in names else "arch"
        texts = [row[name] for row in rows]
        figures = [float(row["test"]) for row in rows]
    else:
        with np.load(table, allow_pickle=False) as file:
            name = "arch_str" if "arch_str" in file.files else "arch"
            texts = [str(text) for text in file[name].tolist()]
            figures = file["test"].astype(np.float64).tolist()
    known = {
        tuple(one["encoding"]): one["accuracy"]
        for one in _lines_with(case / "runs/correlate/scores.jsonl")
    }
    folder = case / "runs/correlate/new"
    found = _json((folder / "correlation.json").read_bytes())
    keys = [tuple(int(one) for one in text.split(",")) for text in texts]
    if found["num_architectures"] != len(keys):
        return f"it has {len(keys)} rows, {found['num_architectures']} compared"
    if not np.isfinite(figures).all():
        return "it has figures that are not finite"
    scores = [known[key] for key in keys]
    tau = scipy.stats.kendalltau(scores, figures).statistic
    ours = found["kendall"]["tau"]
    if ours is None:
        return None if np.isnan(tau) else f"tau is {tau}, not null"
    return None if abs(tau - ours) < 1e-9 else f"tau is {tau}, not {ours}"


def _changed(path: pathlib.Path, right: pathlib.Path) -> bool:
    if not path.is_file():
        return True
    return path.read_bytes() != (right / path.name).read_bytes()


def _lines_with(path: pathlib.Path) -> list[Any]:
    return [_json(line) for line in path.read_text("utf-8").split("\n") if line]


def restored(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`search.py` of a spoilt checkpoint: accepted if it says the same."""
    for one in (right / "runs/supernet").rglob("step-*.npz"):
        with np.load(one, allow_pickle=False) as file:
            ours = dict(file)
        theirs = case / one.relative_to(right)
        with np.load(theirs, allow_pickle=False) as file:
            for name, array in ours.items():
                if not name.startswith(("weights/", "average/")):
                    continue
                if file[name].tobytes() != array.tobytes():
                    return f"its weights {name} are others"
            said = _json(str(file["description.json"]))
        before = _json(str(ours["description.json"]))
        for field in ("kind", "search_space", "space_arguments", "pins"):
            if said.get(field, {}) != before[field]:
                return f"it has {field} {said.get(field)!r}"
    return searched(ran, case, right)


def trained(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`train_supernet.py` that goes on: it has the arrays of the run."""
    del ran
    for one in (right / "runs/supernet").rglob("step-*.npz"):
        with np.load(one, allow_pickle=False) as file:
            ours = dict(file)
        with np.load(case / one.relative_to(right), allow_pickle=False) as file:
            for name, array in ours.items():
                if file[name].shape != array.shape:
                    return f"its {name} is of shape {file[name].shape}"
                if name != "description.json" and (
                    file[name].dtype != array.dtype
                ):
                    return f"its {name} is {file[name].dtype}"
    return None


def evaluated(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`evaluate.py`: the same figure where the file says the same."""
    found = _json(ran.stdout)
    if not 0 <= found["accuracy"] <= 1:
        return f"an accuracy of {found['accuracy']}"
    folder = "runs/subnet/default"
    metrics = _json((right / folder / "metrics.json").read_bytes())
    entries = []
    for base in (case, right):
        with zipfile.ZipFile(base / folder / "subnet.keras") as file:
            entries.append(
                [file.read(n) for n in ("config.json", "model.weights.h5")]
            )
    if entries[0] == entries[1]:
        return _differ("accuracy", metrics["test_accuracy"], found["accuracy"])
    return None


def reported(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`report.py`: says what cannot be read, and shows what can."""
    del ran
    page = (case / "runs/report.html").read_text("utf-8")
    if "<script" in page or "</html>" not in page:
        return "the page is not whole, or runs something"
    metrics = case / "runs/subnet/winner/metrics.json"
    for path in sorted((right / "runs").rglob("*.json")):
        now = case / path.relative_to(right)
        if now.is_file() and now.read_bytes() == path.read_bytes():
            continue
        try:
            said = _json(now.read_bytes())
        except OSError:
            continue
        except ValueError:
            if f"{path.name} could not be read" not in page:
                return f"{path.name} is no JSON, and the page does not say so"
            continue
        if now == metrics and isinstance(said, dict):
            share = said.get("test_accuracy")
            is_number = type(share) in (int, float) and abs(share) < 1e9
            if is_number and f"{100 * share:.2f} %" not in page:
                return f"the page does not show {share}"
    return None
