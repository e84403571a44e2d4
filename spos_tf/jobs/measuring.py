"""Latency of a search's best candidates, measured end to end."""

from collections.abc import Sequence
from typing import Any

from spos_tf.errors import UserError
from spos_tf.export.timing import (
    describe_machine,
    measure_network,
    set_tensorflow_threads,
)
from spos_tf.jobs.notes import tell
from spos_tf.jobs.process import precision
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.subnet import build_subnet
from spos_tf.options import MeasuringOptions
from spos_tf.space.candidate import Candidate, ranked, score_text
from spos_tf.space.search_space import format_encoding


def check(options: MeasuringOptions, threads: int | None) -> None:
    """Refuses what could not be measured after a search.

    Args:
        options: What is measured.
        threads: CPU threads of this process; None: all cores.

    Raises:
        UserError: TensorFlow is to run with other threads than this process.
    """
    wanted = options.latency_threads
    asked = options.measure_latency and options.runtime == "tensorflow"
    if asked and threads != wanted:
        raise UserError(
            "TensorFlow runs with the threads of the whole process; got "
            f"`latency_threads={wanted}` and `threads={threads}`. Use the "
            "same number for both, or `runtime=tflite` or onnxruntime."
        )
    if asked:
        set_tensorflow_threads(wanted)


def measure(
    blueprint: Blueprint,
    candidates: Sequence[Candidate],
    options: MeasuringOptions,
) -> dict[str, Any]:
    """Times the best candidates as networks of their own.

    Their weights are fresh: latency does not depend on them.

    Args:
        blueprint: Of the candidates.
        candidates: Everything evaluated.
        options: How many, and how.

    Returns:
        A JSON object: how it was measured, and the candidates, best first.

    Raises:
        UserError: See `spos_tf.export.timing.open_session`.
    """
    rows = []
    for one in ranked(candidates)[: options.measured_candidates]:
        # As it would be deployed, whatever paths were scored in.
        with precision("float32"):
            network = build_subnet(blueprint, one.encoding)
        timing = measure_network(
            network,
            options.runtime,
            options.latency_threads,
            options.latency_batch,
        )
        rows.append(
            {
                "i": one.i,
                "encoding": list(one.encoding),
                **one.scores(),
                **timing._asdict(),
            }
        )
        predicted = one.costs.get("latency_ms")
        tell(
            f"Measured {timing.median_ms:.3f} ms ({timing.low_ms:.3f} to "
            f"{timing.high_ms:.3f})"
            + ("" if predicted is None else f", predicted {predicted:.3f} ms")
            + f", {one.metric} {score_text(one.metric, one.score)}: "
            + format_encoding(one.encoding)
        )
    return {
        "runtime": options.runtime,
        "threads": options.latency_threads,
        "batch": options.latency_batch,
        "machine": describe_machine(options.runtime),
        "candidates": rows,
    }
