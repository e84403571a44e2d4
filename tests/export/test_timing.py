"""Timing of networks in their runtimes, and of the parts they are made of."""

import keras
import numpy as np
import pytest

from spos_tf.cost.latency_entries import LatencyEntry
from spos_tf.errors import UserError
from spos_tf.export import part_timing, timing
from spos_tf.export.timing import describe_machine


@pytest.mark.parametrize("runtime", ["tflite", "onnxruntime"])
def test_a_network_is_timed(model, runtime):
    found = timing.measure_network(model, runtime, 1, 2, 7)
    assert found.repeats == 7
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms


def test_tensorflow_is_timed_with_the_threads_of_the_process(model):
    import tensorflow as tf

    threads = tf.config.threading.get_intra_op_parallelism_threads()
    keras.ops.zeros(1)  # Something has run: they are settled.
    with pytest.raises(UserError, match=r"threads belong .* `runtime=tflite`"):
        timing.measure_network(model, "tensorflow", threads + 1, 1, 3)


def test_a_saved_model_is_timed(model, monkeypatch):
    monkeypatch.setattr(timing, "set_tensorflow_threads", lambda one: None)
    found = timing.measure_network(model, "tensorflow", 1, 2, 3)
    assert found.median_ms > 0


MISTAKES = {
    "runtime": (("tvm", 1, 1, 3), "'tvm'. The runtimes are: tflite, onnx"),
    "threads": (("tflite", 0, 1, 3), "`threads` is at least 1; got 0"),
    "batch": (("tflite", 1, 0, 3), "`batch` is at least 1; got 0"),
    "rounds": (("tflite", 1, 1, 0), "at least 1 round"),
}


@pytest.mark.parametrize(
    ("arguments", "message"), MISTAKES.values(), ids=MISTAKES
)
def test_wrong_arguments(model, arguments, message):
    with pytest.raises(UserError, match=message):
        timing.measure_network(model, *arguments)


def test_sessions_take_turns():
    calls = []

    def session(name):
        def run():
            calls.append(name)
            return float(len(calls))

        return run

    names = "abcd"
    times = timing.interleaved(
        [session(name) for name in names], 5, warmup=2, seed=3
    )
    assert times.shape == (5, 4)
    rounds = [calls[start : start + 4] for start in range(0, len(calls), 4)]
    assert len(rounds) == 7
    assert all(sorted(one) == sorted(names) for one in rounds)
    assert len({*map(tuple, rounds)}) > 1
    # Row by round after the warm-up, column by session.
    for row, order in zip(times, rounds[2:], strict=True):
        assert [names[i] for i in np.argsort(row)] == order


def test_quartiles():
    found = timing.timing_of(np.array([4.0, 1.0, 3.0, 2.0, 100.0]))
    assert found == timing.Timing(3.0, 2.0, 4.0, 5)


def test_equal_blocks_on_equal_inputs_are_one_part(blueprint):
    parts = part_timing.distinct_parts(blueprint)
    # Stem, head, and of the two stages first and other blocks.
    assert len(parts) == 2 + 4 * 4
    assert len({part.key for part in parts}) == len(parts)
    slots = {part.slots for part in parts if part.option.choices}
    assert ("stage2.block2", "stage2.block3") in slots
    assert all(part.does_something for part in parts)


def test_a_part_is_built_as_within_the_network(blueprint, model):
    stem = part_timing.distinct_parts(blueprint)[0].build()
    layers = [layer.name for layer in model.layers]
    assert [layer.name for layer in stem.layers] == layers[: len(stem.layers)]


def test_a_skip_is_not_measured(blueprint):
    part = part_timing.distinct_parts(blueprint)[1]
    skip = part_timing.Part(
        part.option._replace(block=lambda ops, x: x), ("stage1.block1",)
    )
    assert not skip.does_something
    (entry,) = part_timing.entries([skip], {})
    assert (entry.median_ms, entry.repeats) == (0.0, 0)


def test_the_overhead_is_what_the_parts_take_too_long(blueprint):
    parts = part_timing.distinct_parts(blueprint)
    samples = {part.key: [part.option.macs / 1e3] * 3 for part in parts}
    entries = part_timing.entries(parts, samples)
    assert all(isinstance(entry, LatencyEntry) for entry in entries)
    encodings = part_timing.anchors(blueprint)
    assert {(0,) * 5, (3,) * 5} <= {*map(tuple, encodings.tolist())}
    from spos_tf.cost.table import cost_table

    # Seven parts, each 0.25 ms less within a network than alone.
    network_ms = cost_table(blueprint, "macs")(encodings) / 1e3 - 7 * 0.25
    found = part_timing.overhead_ms(blueprint, entries, encodings, network_ms)
    assert found == pytest.approx(0.25)


def test_a_machine_is_described():
    found = describe_machine("tflite")
    assert found["cores"] >= 1
    assert found["processor"] and found["ai-edge-litert"]
