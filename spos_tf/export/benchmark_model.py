"""Reads what Google's `benchmark_model` says of a TFLite file.

Two forms are read, as the tool's documentation shows them: what it prints, and
the file of `--enable_op_profiling=true --profiling_output_csv_file=FILE`,
where the sum of all operations stands in the line `Timings (microseconds)`.
Both hold the same statistic; newer releases give a median in it.

Source: tensorflow/lite/tools/benchmark/README.md of TensorFlow.
"""

import re
from typing import NamedTuple

from spos_tf.errors import UserError

_NUMBER = r"([0-9.]+(?:e[+-]?[0-9]+)?)"
_STATISTIC = re.compile(
    r"count=([0-9]+) (?:"
    rf"first={_NUMBER} curr={_NUMBER} min={_NUMBER} max={_NUMBER} "
    rf"avg={_NUMBER} std={_NUMBER}"
    rf"|curr={_NUMBER}(?:\(all same\))?)"
    rf"(?: p5={_NUMBER} median={_NUMBER} p95={_NUMBER})?"
)
_SUMMARY = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
    rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
)
_PROFILE = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_TIMINGS = "Timings (microseconds): "
_COLUMNS = (
    "node type, start, first, avg_ms, %, cdf%, mem KB, times called, name",
    "node type, first, avg_ms, %, cdf%, mem KB, times called, name",
)
# After the whole network: what a delegate says of its own operations, which
# the timings hold already.
_INTERNAL = "Delegate internal:"
_NO_DELEGATE = "will not be executed by the delegate"


class Benchmarked(NamedTuple):
    """One run of the tool.

    Attributes:
        ms: Median of its calls; their mean where the release gives no median.
        threads: CPU threads; None where it does not say.
        graph: Name of the TFLite file; None where it does not say.
        delegated: False where a delegate that was asked for took nothing.
    """

    ms: float
    threads: int | None = None
    graph: str | None = None
    delegated: bool = True


def read_benchmark(text: str, source: str) -> Benchmarked:
    """Reads one run of the tool.

    Args:
        text: What it printed, or its CSV file.
        source: Where the text is from, for messages.

    Raises:
        UserError: It is neither, or says something that is not understood.
    """
    lines = [line.strip() for line in text.splitlines()]
    summaries = sum("Inference timings in us: " in line for line in lines)
    if summaries > 1:
        raise UserError(
            f"A file has the output of one run of `benchmark_model`; {source} "
            f"has {summaries}. Give every run a file of its own."
        )
    if summaries:
        return _of_log(lines, source)
    if _PROFILE in text:
        return Benchmarked(_of_profile(lines, source))
    raise UserError(
        "`benchmark_model` prints 'Inference timings in us: ...', and its CSV "
        f"file has the line {_PROFILE!r}; {source} has neither. Run it again."
    )


def _of_log(lines: list[str], source: str) -> Benchmarked:
    statistics = []
    summary = None
    for line in lines:
        if "Inference timings in us: " in line:
            summary = _SUMMARY.search(line)
            break
        # Not of operations or of memory.
        if "count=" in line and "): count=" not in line:
            statistics.append(line)
    # One line for the warm-up and one for the regular runs.
    if summary is None or len(statistics) != 2:
        raise UserError(
            "`benchmark_model` prints a line with 'count=' for the warm-up, "
            "one for the regular runs, and a summary 'Inference timings in us: "
            f"Init: 1, ..., Inference (avg): 4'; {source} has "
            f"{len(statistics)} and {summary and summary[0]!r}. Use a release "
            "that prints them."
        )
    ms, mean = _milliseconds(statistics[1], source)
    said = float(summary[4]) / 1e3
    # Both have six digits.
    if abs(mean - said) > 2e-5 * said:
        raise UserError(
            f"{source} has an average of {said * 1e3:g} microseconds in its "
            f"summary and of {mean * 1e3:g} before it. Run it again."
        )
    threads = _said("Num threads", lines)
    graph = _said("Graph", lines)
    return Benchmarked(
        ms,
        None if threads is None else int(threads),
        None if graph is None else graph.rpartition("/")[2],
        not any(_NO_DELEGATE in line for line in lines),
    )


def _said(name: str, lines: list[str]) -> str | None:
    """A parameter that the tool repeats, such as `Num threads: [4]`."""
    for line in lines:
        found = re.search(rf"(?:^|: ){name}: \[(.*)\]$", line)
        if found is not None:
            return found[1]
    return None


def _of_profile(lines: list[str], source: str) -> float:
    section = lines[lines.index(_PROFILE) + 1 :] if _PROFILE in lines else []
    if _INTERNAL in section:
        section = section[: section.index(_INTERNAL)]
    headers = [line for line in section if line.startswith("node type, ")]
    # The last table is by type, and has a count.
    known = [line for line in headers if ", count, " not in line]
    if not known or any(line not in _COLUMNS for line in known):
        raise UserError(
            f"The tables of a CSV file of `benchmark_model` begin with "
            f"{_COLUMNS[0]!r}; {source} has {known[:1]}. Use a release that "
            "writes it, or give what the tool prints."
        )
    timings = [line for line in section if _TIMINGS in line]
    if len(timings) != 1:
        raise UserError(
            f"A CSV file of `benchmark_model` has one line {_TIMINGS!r} of "
            f"the regular runs; {source} has {len(timings)}: it is cut off, "
            "or of a network with subgraphs. Run it again."
        )
    return _milliseconds(timings[0], source)[0]


def _milliseconds(line: str, source: str) -> tuple[float, float]:
    """Median, where there is one, and mean of a statistic."""
    found = _STATISTIC.search(line)
    if found is None or found.end() != len(line) or int(found[1]) < 1:
        raise UserError(
            "`benchmark_model` gives a statistic as 'count=50 first=79449 "
            f"curr=81350 min=77385 max=88213 avg=79732 std=1929'; {source} "
            f"has {line[:200]!r}. Run it again."
        )
    mean = float(found[6] or found[8])
    return float(found[10] or mean) / 1e3, mean / 1e3
