"""Makes a latency table of what another device measured."""

import pathlib

import numpy as np

from spos_tf.analysis.latency_report import Comparison
from spos_tf.cost.latency import latency_table
from spos_tf.cost.latency_entries import MeasuredTable
from spos_tf.errors import UserError
from spos_tf.export import part_timing
from spos_tf.export.part_files import fingerprint, network_encoding, network_key
from spos_tf.export.part_measurements import Measurements, read_measurements
from spos_tf.jobs.latency_result import read_table, table_of, write_comparison
from spos_tf.jobs.notes import tell, warn
from spos_tf.networks.blueprint import Blueprint, plain_arguments


def import_measurements(
    blueprint: Blueprint, output: pathlib.Path, path: str | pathlib.Path
) -> MeasuredTable:
    """Makes the table, and its report where networks were measured.

    Args:
        blueprint: Of the networks.
        output: The table to write. One that is there has to say the same.
        path: See `read_measurements`.

    Raises:
        UserError: The measurements are of another space, preset or export,
            or not complete, or `output` holds something else.
    """
    measured = read_measurements(path)
    settings = measured.settings
    parts = part_timing.distinct_parts(blueprint)
    found = fingerprint(
        blueprint, parts, runtime=settings["runtime"], batch=settings["batch"]
    )
    if measured.fingerprint != found:
        raise UserError(
            f"{measured.source} is of space {settings['search_space']!r} "
            f"{settings['space_arguments']}, and not of the parts of space "
            f"{blueprint.search_space.name!r} "
            f"{plain_arguments(blueprint.space_arguments)}. Use the space and "
            "the version that the parts were exported with."
        )
    anchors = part_timing.anchors(blueprint)
    keys = [part.key for part in parts if part.does_something]
    measured.check_complete([*keys, *(network_key(one) for one in anchors)])
    networks = [
        np.array([network_encoding(key, blueprint) for key in several])
        for several in (measured.spread, measured.uniform)
    ]
    table = table_of(
        blueprint, parts, measured.samples(), settings=settings, output=output
    )
    if not output.exists():
        output.parent.mkdir(parents=True, exist_ok=True)
        table.write(output)
    if read_table(output, settings) != table:
        raise UserError(
            f"{str(output)!r} is there and holds other measurements than "
            f"{measured.source}. Delete it, or choose another `output`."
        )
    tell(f"{len(table.entries)} parts of {measured.source}: {output}.")
    if measured.undelegated:
        names = ", ".join(measured.undelegated[:5])
        warn(
            f"The delegate ran nothing of {len(measured.undelegated)} files; "
            f"the CPU ran them: {names}."
        )
    if measured.spread or measured.uniform:
        report = _check(blueprint, output, table, measured, *networks)
        tell(f"How well the sums predict whole networks: {report}.")
    return table


def _check(
    blueprint: Blueprint,
    output: pathlib.Path,
    table: MeasuredTable,
    measured: Measurements,
    spread: np.ndarray,
    uniform: np.ndarray,
) -> pathlib.Path:
    """Compares predictions with the whole networks that were measured."""
    costs = latency_table(blueprint, table)

    def compared(keys: list[str], encodings: np.ndarray) -> Comparison:
        first, second = (
            np.array([np.median(one[key]) for key in keys])
            for one in measured.series
        )
        return Comparison(encodings, costs(encodings), first, second)

    return write_comparison(
        table,
        output,
        settings=measured.settings,
        rounds=measured.rounds,
        spread=compared(measured.spread, spread),
        uniform=compared(measured.uniform, uniform),
    )
