"""How well predicted latencies agree with networks measured end to end."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from spos_tf.analysis.correlation import kendall_tau

# For architectures spread over the whole range.
MOST_ERROR_PERCENT = 5.0
LEAST_TAU = 0.9


class Comparison(NamedTuple):
    """Some networks, predicted and measured twice.

    Attributes:
        encodings: int32 `[n, num_choices]`.
        predicted_ms: `[n]`.
        measured_ms: Medians of a first series of rounds, `[n]`.
        again_ms: Medians of a second series, `[n]`.
    """

    encodings: np.ndarray
    predicted_ms: np.ndarray
    measured_ms: np.ndarray
    again_ms: np.ndarray


def summarize(networks: Comparison) -> dict[str, Any]:
    """Figures of one set of networks.

    Returns:
        `architectures`, `error_percent` (mean absolute), `bias_percent`
        (mean signed), `worst_percent`, `tau` of prediction and measurement,
        and of the two series `repeatability_tau`, which no prediction can be
        expected to exceed, and `repeatability_percent`.
    """
    predicted, measured = networks.predicted_ms, networks.measured_ms
    errors = 100 * (predicted / measured - 1)
    repeated = 100 * (networks.again_ms / measured - 1)
    return {
        "architectures": len(measured),
        "fastest_ms": float(measured.min()),
        "slowest_ms": float(measured.max()),
        "error_percent": float(np.abs(errors).mean()),
        "bias_percent": float(errors.mean()),
        "worst_percent": float(np.abs(errors).max()),
        "tau": kendall_tau(predicted, measured),
        "repeatability_percent": float(np.abs(repeated).mean()),
        "repeatability_tau": kendall_tau(measured, networks.again_ms),
    }


def build_report(
    settings: Mapping[str, Any], spread: Comparison, uniform: Comparison
) -> dict[str, Any]:
    """The whole report.

    Args:
        settings: Of the table and of the measurement, copied into it.
        spread: Networks spread evenly over the predicted range.
        uniform: Uniformly sampled networks.
    """
    sets = {"spread": spread, "uniform": uniform}
    report: dict[str, Any] = {**settings}
    report.update({name: summarize(one) for name, one in sets.items()})
    figures = report["spread"]
    report["marks"] = {
        "error_percent": MOST_ERROR_PERCENT,
        "tau": LEAST_TAU,
        "met": figures["error_percent"] <= MOST_ERROR_PERCENT
        and (figures["tau"] or 0.0) >= LEAST_TAU,
    }
    report["networks"] = [
        {
            "set": name,
            "encoding": encoding.tolist(),
            "predicted_ms": float(predicted),
            "measured_ms": float(measured),
            "again_ms": float(again),
        }
        for name, one in sets.items()
        for encoding, predicted, measured, again in zip(*one, strict=True)
    ]
    return report


def report_text(report: Mapping[str, Any]) -> str:
    """The report as a short Markdown page."""
    marks = report["marks"]
    lines = [
        "# Predicted and measured latency",
        "",
        *(
            f"- {name.replace('_', ' ')}: {_plain(value)}"
            for name, value in report.items()
            if name not in ("spread", "uniform", "marks", "networks")
        ),
        "",
        "| networks | measured ms | error | bias | worst | tau | measured "
        "twice: difference | tau |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("spread", "uniform"):
        one = report[name]
        lines.append(
            f"| {one['architectures']} {name} | {one['fastest_ms']:.2f} to "
            f"{one['slowest_ms']:.2f} | {one['error_percent']:.2f} % | "
            f"{one['bias_percent']:+.2f} % | {one['worst_percent']:.2f} % | "
            f"{_tau(one['tau'])} | {one['repeatability_percent']:.2f} % | "
            f"{_tau(one['repeatability_tau'])} |"
        )
    verdict = "met" if marks["met"] else "missed"
    return "\n".join(
        [
            *lines,
            "",
            f"Marks for the spread networks: error at most "
            f"{marks['error_percent']:g} %, tau at least {marks['tau']:g}: "
            f"{verdict}. The error is the mean of |predicted / measured - 1|. "
            "No prediction can be expected to order networks better than "
            "measuring them twice does (last column).",
            "",
        ]
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _tau(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
