"""A latency table without measurements, for tests."""

from spos_tf.cost.latency_entries import LatencyEntry, MeasuredTable
from spos_tf.cost.table import slot_options


def write_table(blueprint, path):
    """Every part takes a millisecond for each million multiply-adds."""
    entries = tuple(
        LatencyEntry(
            slots=(option.name,),
            choices=option.choices,
            input_shape=option.input_shape,
            output_shape=option.output_shape,
            macs=option.macs,
            median_ms=option.macs / 1e6,
            low_ms=option.macs / 1e6,
            high_ms=option.macs / 1e6,
            repeats=30,
        )
        for option in slot_options(blueprint)
    )
    MeasuredTable(
        search_space=blueprint.search_space.name,
        space_arguments=dict(blueprint.space_arguments),
        machine={"processor": "abacus", "cores": 2},
        runtime="tflite",
        threads=1,
        batch=1,
        overhead_ms=0.0,
        entries=entries,
    ).write(path)
