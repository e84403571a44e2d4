"""Latency of a search's best candidates, measured end to end."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.space.candidate import Candidate

FLAGS = flags.FLAGS

# Nothing of the search depends on these.
FREE = (
    "measure_latency",
    "measured_candidates",
    "runtime",
    "latency_threads",
    "latency_batch",
)


def define_measuring() -> None:
    """--measure_latency, how many, and in which runtime."""
    flags.DEFINE_bool(
        "measure_latency",
        False,
        "Measures the final best candidates end to end on this machine.",
    )
    flags.DEFINE_integer(
        "measured_candidates",
        5,
        "With --measure_latency: how many of the best.",
        lower_bound=1,
    )
    flags.DEFINE_enum(
        "runtime",
        "tflite",
        ["tflite", "onnxruntime", "tensorflow"],
        "What runs the networks that are measured.",
    )
    flags.DEFINE_integer(
        "latency_threads", 1, "CPU threads of that runtime.", lower_bound=1
    )
    flags.DEFINE_integer(
        "latency_batch", 1, "Images of one call.", lower_bound=1
    )


def check() -> None:
    """Refuses what could not be measured after a search.

    Raises:
        UserError: TensorFlow is to run with other threads than this process.
    """
    wanted = FLAGS.latency_threads
    asked = FLAGS.measure_latency and FLAGS.runtime == "tensorflow"
    if asked and FLAGS.threads != wanted:
        raise UserError(
            "TensorFlow runs with the threads of the whole process; "
            f"--latency_threads is {wanted}, --threads is {FLAGS.threads}. "
            "Give both the same number, or --runtime=tflite or onnxruntime."
        )


def measured_before(
    path: pathlib.Path, choices: Mapping[str, Any]
) -> dict[str, Any]:
    """What an earlier start measured, if it is of the same network.

    Args:
        path: Of best.json.
        choices: Of the network.

    Returns:
        `{"measured": ...}`, or nothing.
    """
    try:
        data = parse_json(path.read_bytes())
        same = data["choices"] == json.loads(json.dumps(dict(choices)))
        return {"measured": data["measured"]} if same else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def measure(
    blueprint: "Blueprint", candidates: "Sequence[Candidate]"
) -> dict[str, Any]:
    """Times the most accurate candidates as networks of their own.

    Their weights are fresh: latency does not depend on them.

    Args:
        blueprint: Of the candidates.
        candidates: Everything evaluated.

    Returns:
        A JSON object: how it was measured, and the candidates, best first.

    Raises:
        UserError: See `spos_tf.export.timing.open_session`.
    """
    from spos_tf.export.machine import describe_machine
    from spos_tf.export.timing import measure_network
    from spos_tf.networks.subnet import build_subnet
    from spos_tf.space.search_space import format_encoding

    best = sorted(candidates, key=lambda one: (-one.accuracy, one.i))
    rows = []
    for one in best[: FLAGS.measured_candidates]:
        timing = measure_network(
            build_subnet(blueprint, one.encoding),
            FLAGS.runtime,
            FLAGS.latency_threads,
            FLAGS.latency_batch,
        )
        rows.append(
            {
                "i": one.i,
                "encoding": list(one.encoding),
                "accuracy": one.accuracy,
                **timing._asdict(),
            }
        )
        predicted = one.costs.get("latency_ms")
        logging.info(
            "Measured %.3f ms (%.3f to %.3f)%s, accuracy %.2f %%: %s",
            timing.median_ms,
            timing.low_ms,
            timing.high_ms,
            "" if predicted is None else f", predicted {predicted:.3f} ms",
            100 * one.accuracy,
            format_encoding(one.encoding),
        )
    return {
        "runtime": FLAGS.runtime,
        "threads": FLAGS.latency_threads,
        "batch": FLAGS.latency_batch,
        "machine": describe_machine(FLAGS.runtime),
        "candidates": rows,
    }
