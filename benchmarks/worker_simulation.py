r"""What many workers would make of a search, on a clock that is not real.

Example:
  python benchmarks/worker_simulation.py \
      --record=runs/cifar10/search/evolution/record.jsonl

The loops and the algorithms are the package's own; the workers are imagined:
an evaluation takes as long as one of the record, drawn anew for every
architecture (the same for all runs), and some workers may be slower. What an
architecture scores is looked up in a NAS-Bench-201 table, so that a search by
generations and one without (tools/search.py --asynchronous) can also be
compared by the true accuracy of what they find.

Times are in evaluations of mean length: 1,000 evaluations by one worker take
1,000. docs/results.md has the last result.
"""

import collections
import heapq
import pathlib
import statistics
import sys

import numpy as np
from absl import app, flags

_HERE = pathlib.Path(__file__).resolve().parent
# So that it runs from any folder and without installing.
sys.path[:0] = [str(_HERE.parent)]

from spos_tf.analysis.benchmark_table import read_table
from spos_tf.evaluation.scorer import Score, Scorer
from spos_tf.options import SearchOptions
from spos_tf.search.asynchronous import run_asynchronous
from spos_tf.search.driver import run_search
from spos_tf.search.evolution import Evolution
from spos_tf.search.steady_state import SteadyEvolution
from spos_tf.space.record import Record, read_record
from spos_tf.spaces import build_blueprint, parse_architecture

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "record",
    None,
    "record.jsonl of a search: its `seconds` are what evaluations take.",
)
flags.DEFINE_string(
    "table",
    None,
    "NAS-Bench-201 table (tools/convert_nasbench201.py makes one).",
)
flags.DEFINE_string(
    "column", None, "Accuracies of the table, in percent; its first if unset."
)
flags.DEFINE_integer("population", 50, "Candidates of a generation.")
flags.DEFINE_integer("generations", 20, "Generations of a search.")
flags.DEFINE_integer("seeds", 20, "Searches of each kind.")
flags.DEFINE_multi_integer("workers", [1, 2, 8, 64, 1000], "Workers.")
flags.DEFINE_float("overhead_ms", 1.0, "Time of the driver for each candidate.")
flags.DEFINE_float(
    "slow_share", 0.0, "Share of workers that take twice as long."
)
flags.mark_flags_as_required(["record", "table"])


class Workers(Scorer):
    """Scores by a table and keeps a clock of its own.

    Args:
        count: Workers.
        lookup: Accuracy by encoding.
        seconds: What evaluations took; of each architecture one is drawn.
    """

    def __init__(self, count, lookup, seconds):
        super().__init__()
        self.now = self.busy = 0.0
        self._lookup, self._seconds = lookup, seconds
        self._overhead = FLAGS.overhead_ms / 1000
        slow = int(count * FLAGS.slow_share)
        # Fast ones first, as a pool hands out.
        self._idle = [(n >= count - slow, n) for n in range(count)]
        self._waiting = collections.deque()
        self._running = []

    def _queue(self, positions, candidates):
        self._waiting.extend(zip(positions, candidates, strict=True))
        self._start()

    def take(self):
        """See `spos_tf.evaluation.scorer.Scorer`."""
        if not self._running:
            return []
        end, position, key, seconds, worker = heapq.heappop(self._running)
        self.now = end
        heapq.heappush(self._idle, worker)
        self._start()
        return [Score(position, self._lookup[key], seconds, "imagined")]

    def _start(self):
        while self._waiting and self._idle:
            position, key = self._waiting.popleft()
            worker = heapq.heappop(self._idle)
            draw = np.random.default_rng(key).integers(len(self._seconds))
            seconds = float(self._seconds[draw]) * (1 + worker[0])
            self.busy += seconds
            end = self.now + seconds + self._overhead
            item = (end, position, key, seconds, worker)
            heapq.heappush(self._running, item)


def _lookup():
    table = read_table(FLAGS.table)
    column = FLAGS.column or table.accuracy_columns[0]
    blueprint = build_blueprint("nasbench201", preset="cifar")
    keys = (
        tuple(parse_architecture("nasbench201", text).tolist())
        for text in table.architectures
    )
    shares = table.numbers(column) / 100
    return blueprint, column, dict(zip(keys, shares.tolist(), strict=True))


def _search(kind, lag, seed, space, workers):
    numbers = {
        "population": FLAGS.population,
        "generations": FLAGS.generations,
        "seed": seed,
    }
    same = {"cost_functions": {}, "record": Record.in_memory()}
    if kind == "generations":
        algorithm = Evolution(space, [], SearchOptions(**numbers))
        return run_search(algorithm, workers, **same)
    steady = SteadyEvolution(
        space, [], SearchOptions(asynchronous=True, **numbers, lag=lag)
    )
    return run_asynchronous(steady, workers, **same)


def main(argv):
    """Prints a line of JSON and a row of Markdown for every setting."""
    if argv[1:]:
        app.usage(shorthelp=True, detailed_error=f"Flags only: {argv[1:]}.")
        sys.exit(2)
    seconds = [one.seconds for one in read_record(FLAGS.record)]
    # Known scores took none, and first ones include tracing.
    seconds = np.array([one for one in seconds if one])
    seconds = seconds[seconds < 5 * np.median(seconds)]
    seconds /= seconds.mean()
    spread = np.quantile(seconds, [0.01, 0.5, 0.99]).round(2).tolist()
    blueprint, column, lookup = _lookup()
    print(
        f"{len(seconds)} evaluation times, quantiles 1, 50, 99 %: {spread} of "
        f"the mean; accuracies: {column}; best {max(lookup.values()):.2%}.\n"
    )
    print("| workers | search | time | busy | best found (mean, sd) |")
    print("|---:|---|---:|---:|---|")
    for count in FLAGS.workers:
        lags = sorted({FLAGS.population // 2, FLAGS.population, 2 * count})
        budget = FLAGS.population * FLAGS.generations
        kinds = [("generations", None)]
        kinds += [("asynchronous", lag) for lag in lags if lag < budget]
        for kind, lag in kinds:
            times, busy, found = [], [], []
            for seed in range(FLAGS.seeds):
                workers = Workers(count, lookup, seconds)
                space = blueprint.search_space
                best = _search(kind, lag, seed, space, workers)
                times.append(workers.now)
                busy.append(workers.busy / workers.now / count)
                found.append(best.score)
            name = kind if lag is None else f"{kind}, lag {lag}"
            print(
                f"| {count:,} | {name} | {statistics.mean(times):,.1f} | "
                f"{statistics.mean(busy):.0%} | {statistics.mean(found):.3%}, "
                f"{statistics.stdev(found):.3%} |",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
