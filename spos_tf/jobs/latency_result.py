"""The table that measurements make, and its report."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spos_tf.analysis.latency_report import (
    Comparison,
    build_report,
    report_text,
)
from spos_tf.atomic_write import write_json, write_text
from spos_tf.cost.latency import read_latency_table
from spos_tf.cost.latency_entries import MeasuredTable
from spos_tf.errors import UserError
from spos_tf.export import part_timing
from spos_tf.export.part_files import network_key
from spos_tf.networks.blueprint import Blueprint


def refuse_changed(
    before: Mapping[str, Any], now: Mapping[str, Any], path: pathlib.Path
) -> None:
    """Refuses to mix what was measured with other settings.

    Args:
        before: Of the file.
        now: Of this call.
        path: The file.

    Raises:
        UserError: They differ.
    """
    different = [
        f"{name} {before.get(name)} (now {now.get(name)})"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if different:
        raise UserError(
            f"{str(path)!r} was measured with other settings: "
            f"{'; '.join(different)}. Use the same options on the same "
            "machine, or another `output`."
        )


def table_of(
    blueprint: Blueprint,
    parts: Sequence[part_timing.Part],
    samples: part_timing.Samples,
    *,
    settings: Mapping[str, Any],
    output: pathlib.Path,
) -> MeasuredTable:
    """The table of measurements.

    Args:
        blueprint: The networks.
        parts: All of the family.
        samples: Milliseconds of every part that does something and of every
            anchor, by key.
        settings: The table's fields beside entries and overhead.
        output: Where the table will be.

    Returns:
        The table as the file will have it, which rounds.

    Raises:
        UserError: The measurements cannot be right.
    """
    encodings = part_timing.anchors(blueprint)
    entries = part_timing.entries(parts, samples)
    network_ms = np.array(
        [np.median(samples[network_key(encoding)]) for encoding in encodings]
    )
    overhead = part_timing.overhead_ms(
        blueprint, entries, encodings, network_ms
    )
    made = MeasuredTable(
        **settings, overhead_ms=round(overhead, 6), entries=entries
    )
    return MeasuredTable.from_dict(made.to_dict(), source=repr(str(output)))


def read_table(
    output: pathlib.Path, settings: Mapping[str, Any]
) -> MeasuredTable:
    """The table that is there.

    Raises:
        UserError: It is none of ours, or of other settings.
    """
    table = read_latency_table(output)
    if not isinstance(table, MeasuredTable):
        raise UserError(
            f"{str(output)!r} exists and is no table that was measured "
            "here. Choose another `output`."
        )
    before = {name: getattr(table, name) for name in settings}
    refuse_changed(before, settings, output)
    return table


def write_comparison(
    table: MeasuredTable,
    output: pathlib.Path,
    *,
    settings: Mapping[str, Any],
    rounds: int,
    spread: Comparison,
    uniform: Comparison,
) -> pathlib.Path:
    """Writes how well predictions agree with whole networks.

    Args:
        table: What predicts.
        output: The table's file.
        settings: Of the table.
        rounds: Calls of a network in each series.
        spread: Networks spread evenly over the range.
        uniform: Uniformly sampled networks.

    Returns:
        The path of the report for people.
    """
    report = build_report(
        {
            "table": output.name,
            **settings,
            "overhead_ms": table.overhead_ms,
            "rounds": rounds,
        },
        spread,
        uniform,
    )
    json_path = output.with_name(f"{output.name}.report.json")
    text_path = output.with_name(f"{output.name}.report.md")
    write_json(json_path, report, indent=1, allow_nan=False)
    write_text(text_path, report_text(report))
    return text_path
