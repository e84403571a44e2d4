"""Our own latency tables: every part by slot and options, with its spread."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml

from spos_tf.atomic_write import write_text
from spos_tf.cost.table import SlotOption
from spos_tf.errors import UserError
from spos_tf.ops.shape_ops import Shape
from spos_tf.space.choice import Option, option_of
from spos_tf.strict_json import is_number

KIND = "latency_ms"
SCHEMA = 1

# Fields of a table beside schema, kind, overhead and entries: name -> type.
_FIELDS: dict[str, type] = {
    "search_space": str,
    "space_arguments": dict,
    "machine": dict,
    "runtime": str,
    "threads": int,
    "batch": int,
}
# What an entry is found by.
_Key = tuple[str, tuple[tuple[str, Option], ...], Shape, Shape, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyEntry:
    """One distinct part of the networks, measured as a network of its own.

    Attributes:
        slots: Names of the slots where it can stand; identical blocks on
            identical inputs are measured once.
        choices: `{last word of the choice: option}`; empty for stem and head.
        input_shape: (height, width, channels).
        output_shape: (height, width, channels), or (classes,).
        macs: Multiply-adds of one image. Together with the shapes it tells a
            part from one of the same name in another preset.
        median_ms: Milliseconds of one call of the part alone.
        low_ms: Lower quartile.
        high_ms: Upper quartile.
        repeats: Calls measured; 0 for a part that does nothing.
    """

    slots: tuple[str, ...]
    choices: Mapping[str, Option]
    input_shape: Shape
    output_shape: Shape
    macs: int
    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int

    @property
    def does_something(self) -> bool:
        """False for a skip."""
        return self.repeats > 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredTable:
    """A table that `spos build_latency_table` wrote.

    A part's latency within a network is `median_ms - overhead_ms`, at least
    0: what it costs alone includes a call's overhead, which a network pays
    once and not once a part.

    Attributes:
        search_space: Of the networks it was made for.
        space_arguments: Of them, as in an architecture file.
        machine: Description; `{field: text or number}`.
        runtime: `"tflite"`, `"onnxruntime"` or `"tensorflow"`.
        threads: CPU threads of the runtime.
        batch: Images of one call; latencies are those of a call.
        overhead_ms: Of a call; see `spos_tf.export.part_timing`.
        entries: The measurements.
        source: The file, for messages.
    """

    search_space: str
    space_arguments: Mapping[str, Any]
    machine: Mapping[str, Any]
    runtime: str
    threads: int
    batch: int
    overhead_ms: float
    entries: tuple[LatencyEntry, ...]
    source: str = "the table"

    @functools.cached_property
    def _latencies(self) -> dict[_Key, float]:
        found: dict[_Key, float] = {}
        for entry in self.entries:
            latency = 0.0
            if entry.does_something:
                latency = max(entry.median_ms - self.overhead_ms, 0.0)
            for slot in entry.slots:
                key = _key(slot, entry)
                if key in found:
                    raise UserError(
                        "A latency table has one entry a part; "
                        f"{self.source} has two for "
                        f"{_name(slot, entry.choices)!r}. Delete one."
                    )
                found[key] = latency
        return found

    def latency_of(self, option: SlotOption) -> float | None:
        """Milliseconds within a network; None where there is no entry."""
        return self._latencies.get(_key(option.name, option))

    def name_of(self, option: SlotOption) -> str:
        """Slot, options and shapes."""
        shape = "x".join(map(str, option.input_shape))
        return f"{_name(option.name, option.choices)} on {shape}"

    def to_dict(self) -> dict[str, Any]:
        """What the file says; times are rounded."""
        return {
            "schema": SCHEMA,
            "kind": KIND,
            **{
                name: dict(value) if isinstance(value, Mapping) else value
                for name in _FIELDS
                for value in (getattr(self, name),)
            },
            "overhead_ms": self.overhead_ms,
            "entries": [_entry_to_dict(entry) for entry in self.entries],
        }

    def write(self, path: str | pathlib.Path) -> None:
        """Writes it as YAML; the file is whole or not there."""
        # One line for what holds plain values only: it is there to be read.
        text = yaml.safe_dump(
            self.to_dict(), default_flow_style=None, sort_keys=False
        )
        write_text(path, text)

    @classmethod
    def from_dict(cls, data: Any, *, source: str) -> "MeasuredTable":
        """Checks parsed YAML.

        Args:
            data: `is_measured_table(data)` holds.
            source: Where it came from, for messages.

        Raises:
            UserError: Another schema or kind, a field is missing or of
                another type, or a latency is none.
        """
        if (data.get("schema"), data.get("kind")) != (SCHEMA, KIND):
            raise UserError(
                f"This version reads latency tables of schema {SCHEMA}, kind "
                f"{KIND}; {source} has schema {data.get('schema')!r}, kind "
                f"{data.get('kind')!r}. Build it again with "
                "spos build_latency_table."
            )
        values = {
            name: _field(data, name, kind, source)
            for name, kind in _FIELDS.items()
        }
        overhead = data.get("overhead_ms", 0.0)
        # Negative where blocks in a row disturb each other's caches.
        if not is_number(overhead):
            raise _no_latency("overhead_ms", overhead, source)
        listed = _field(data, "entries", list, source)
        table = cls(
            **values,
            overhead_ms=float(overhead),
            entries=tuple(
                _entry_from_dict(entry, number, source)
                for number, entry in enumerate(listed, 1)
            ),
            source=source,
        )
        medians = [e.median_ms for e in table.entries if e.does_something]
        if medians and table.overhead_ms >= max(medians):
            raise UserError(
                "'overhead_ms' of a latency table is below the largest "
                f"latency, since every latency contains it; {source} has "
                f"{overhead:g} and {max(medians):g}. Measure it again."
            )
        # Now, so that a table with two entries for a part is refused here.
        assert table._latencies is not None
        return table


def is_measured_table(data: Any) -> bool:
    """Whether parsed YAML means to be a table of ours."""
    return isinstance(data, dict) and ("kind" in data or "entries" in data)


def check_latency(value: Any, name: str, source: str) -> float:
    """Milliseconds, from what a file holds.

    Raises:
        UserError: Not a number, negative, NaN or infinite.
    """
    if not is_number(value) or value < 0:
        raise _no_latency(name, value, source)
    return float(value)


def _no_latency(name: str, value: Any, source: str) -> UserError:
    return UserError(
        "A latency is a finite number of milliseconds, at least 0; "
        f"{name!r} of {source} is {value!r}. Measure it again."
    )


def _field(data: Any, name: str, kind: type, source: str) -> Any:
    value = data.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UserError(
            f"{name!r} of a latency table is of type {kind.__name__}; "
            f"{source} has {str(value)[:100]!r}. Build it again with "
            "spos build_latency_table."
        )
    return value


def _key(slot: str, part: LatencyEntry | SlotOption) -> _Key:
    return (
        slot,
        tuple(sorted(part.choices.items())),
        part.input_shape,
        part.output_shape,
        part.macs,
    )


def _name(slot: str, choices: Mapping[str, Option]) -> str:
    return " ".join([slot, *(f"{k}={v}" for k, v in choices.items())])


def _entry_to_dict(entry: LatencyEntry) -> dict[str, Any]:
    return {
        "slots": list(entry.slots),
        "choices": {
            name: list(option) if isinstance(option, tuple) else option
            for name, option in entry.choices.items()
        },
        "input_shape": list(entry.input_shape),
        "output_shape": list(entry.output_shape),
        "macs": entry.macs,
        **{
            name: round(getattr(entry, name), 6)
            for name in ("median_ms", "low_ms", "high_ms")
        },
        "repeats": entry.repeats,
    }


def _entry_from_dict(data: Any, number: int, source: str) -> LatencyEntry:
    where = f"entry {number} of {source}"
    if not isinstance(data, dict):
        raise UserError(
            f"An entry of a latency table is a mapping; {where} is "
            f"{str(data)[:100]!r}. Build the table again."
        )
    slots = _strings(_field(data, "slots", list, where), where)
    choices = _field(data, "choices", dict, where)
    name = _name(slots[0], choices) if slots else "no slot"
    median = check_latency(data.get("median_ms"), name, source)
    quartiles = [
        check_latency(data.get(key, median), f"{name} {key}", source)
        for key in ("low_ms", "high_ms")
    ]
    macs = _field(data, "macs", int, where)
    repeats = _field(data, "repeats", int, where)
    if repeats < 0 or (macs > 0 and not repeats):
        raise UserError(
            "A part with multiply-adds was called at least once; "
            f"{name!r} of {source} has {macs:,} and repeats {repeats}. "
            "Measure it again."
        )
    return LatencyEntry(
        slots=slots,
        choices={
            choice: _option(choice, option, where)
            for choice, option in choices.items()
        },
        input_shape=_shape(data, "input_shape", where),
        output_shape=_shape(data, "output_shape", where),
        macs=macs,
        median_ms=median,
        low_ms=quartiles[0],
        high_ms=quartiles[1],
        repeats=repeats,
    )


def _option(choice: Any, option: Any, where: str) -> Option:
    value: Option = option_of(option)
    parts = value if isinstance(value, tuple) else (value,)
    if not isinstance(choice, str) or not all(
        isinstance(part, (str, int, float)) for part in parts
    ):
        raise UserError(
            "'choices' of a latency table are names with texts, numbers or "
            f"lists of these; {where} has {choice!r}: {option!r}. Build the "
            "table again."
        )
    return value


def _strings(values: list[Any], where: str) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise UserError(
            f"'slots' of a latency table are names; {where} has {values!r}. "
            "Build the table again."
        )
    return tuple(values)


def _shape(data: Any, name: str, where: str) -> Shape:
    shape = _field(data, name, list, where)
    if not all(type(size) is int for size in shape):
        raise UserError(
            f"{name!r} of a latency table is a list of whole numbers; {where} "
            f"has {shape!r}. Build the table again."
        )
    return tuple(shape)
