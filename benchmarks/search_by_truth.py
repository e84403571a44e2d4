r"""Search by truth: how good are the networks that a search picks?

Evolution and random search run over stored scores of a supernet, under
limits; the true accuracy of what they pick is looked up in the benchmark.
Beside them stand choices that need no supernet. No network is evaluated, so
this takes seconds:

  python benchmarks/search_by_truth.py --output=docs/results/search_by_truth \
      --scores=docs/results/nas_bench_macro_seed0.npz

It prints a table and writes OUTPUT.json and OUTPUT.png. A file of scores is
`scores.npz` of `spos correlate --num_architectures=0`. Searches are those of
`spos search` with the same options, seed, and limits on the table's
multiply-adds (benchmarks/table_macs.py); it proposes the same networks. Where
the file does not have all networks of the space, as of a table that is a part,
the searches propose only those that it has.
"""

import dataclasses
import functools
import json
import math
import pathlib

import numpy as np
from absl import app, flags

from mean_interval import MeanInterval, mean_interval
from spos_tf.analysis.benchmark_table import read_table
from spos_tf.analysis.read_outs import additive_winner
from spos_tf.analysis.stored_scores import read_scores
from spos_tf.analysis.table_architectures import sub_table
from spos_tf.cost.constraint import Constraint
from spos_tf.cost.counting import counts
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.options import SearchOptions
from spos_tf.search.evolution import Evolution
from spos_tf.search.generations import RandomSearch
from spos_tf.spaces import build_blueprint, parse_architecture
from truth_plot import AtLimit, plot_truth

FLAGS = flags.FLAGS

flags.DEFINE_list("scores", None, "Files of scores, one for each supernet.")
flags.DEFINE_string("table", None, "Table for scores without truth.")
flags.DEFINE_string("output", None, "Path of the results without suffix.")
flags.DEFINE_list("limits", ["40e6", "55e6", "70e6"], "Multiply-adds.")
flags.DEFINE_integer("seeds", 20, "Searches of each kind and limit.")
flags.DEFINE_integer("population", 20, "Candidates of a generation.")
flags.DEFINE_integer("generations", 5, "Generations.")
flags.mark_flags_as_required(["scores", "output"])

# The least share of the limit that a random network at the limit costs.
_AT_LIMIT = 0.97
# Space arguments that the table's network has too; others make a proxy.
_KEPT = ("stage_quarters",)
_SEARCHES = {"evolution": Evolution, "random search": RandomSearch}
_BY_FIT = ", additive"


class Truth:
    """Networks of a benchmark with scores, true accuracy and costs.

    Args:
        stored: Scores, with truth where no table is given.
        table: The benchmark's file, for scores that are kept without truth.
    """

    def __init__(self, stored, table=None):
        name = stored.settings["search_space"]
        # The table's network, whatever the supernet's stem was.
        arguments = stored.settings["space_arguments"]
        self.blueprint = build_blueprint(
            name, **{k: v for k, v in arguments.items() if k in _KEPT}
        )
        self.encodings = stored.encodings
        canonical = self.blueprint.canonical(self.encodings)
        if not np.array_equal(canonical, self.encodings):
            raise UserError("The scores are not of canonical encodings.")
        self.truth = stored.truth
        if self.truth is None:
            self.truth = self._looked_up(stored.settings, table)
        self.cost = cost_table(self.blueprint, "macs")
        self.macs = self.cost(self.encodings)
        self.counts = {
            name: count(self.encodings)
            for name, count in counts(self.blueprint).items()
        }
        self._places = {
            tuple(one): place
            for place, one in enumerate(self.encodings.tolist())
        }
        self._merits = stored.merits
        # Kept by networks with a truth, where some are without.
        self._further = []
        if len(self.encodings) < self._networks():
            self._further = [Constraint(_Known(self._places), minimum=1)]

    def _looked_up(self, settings, path):
        """True accuracies in the table that the scores are of."""
        if path is None:
            raise UserError("The scores have no truth beside them: --table.")
        table = read_table(path)
        if table.sha256 != settings["table"]:
            raise UserError(f"The scores are of another table than {path}.")
        space = self.blueprint.search_space
        rows = sub_table(
            table,
            space,
            functools.partial(parse_architecture, space.name),
            self.blueprint.canonical,
        )
        values = table.numbers(settings["accuracy_column"])[rows.rows]
        found = dict(zip(map(tuple, rows.encodings), values, strict=True))
        return np.array([found[tuple(one)] for one in self.encodings])

    def _networks(self):
        """How many networks the space has."""
        space = self.blueprint.search_space
        every = np.indices(space.num_legal).reshape(space.num_choices, -1).T
        every = space.legal_table[np.arange(space.num_choices), every]
        return len(np.unique(self.blueprint.canonical(every), axis=0))

    def uniform(self, legal):
        """Networks with one option in all choices, the most expensive one."""
        searched = self.blueprint.search_space.num_legal > 1
        same = (np.ptp(self.encodings[:, searched], axis=1) == 0) & legal
        return same & (self.macs == self.macs[same].max(initial=0))

    def place(self, encoding):
        """Row of a network."""
        key = tuple(int(option) for option in encoding)
        if key not in self._places:
            raise UserError(f"The file has no score of network {key}.")
        return self._places[key]

    def picked(self, kind, limit, options):
        """True accuracy of what one search picks, by score and by fit."""
        search = kind(
            self.blueprint.search_space,
            [Constraint(self.cost, maximum=limit), *self._further],
            options,
            self.blueprint.canonical,
        )
        places = []
        while encodings := search.ask():
            new = [self.place(one) for one in encodings]
            search.tell(encodings, [self._merits[one] for one in new])
            places += new
        merits = self._merits[places]
        # As `spos search --winner=additive` does.
        by_fit = additive_winner(self.encodings[places], merits)
        best = [merits.argmax(), by_fit]
        return self.truth[np.array(places)[best]]


class _Known:
    """A cost that is 1 where a network has a truth, and otherwise 0."""

    name = "known"

    def __init__(self, places):
        self._places = places

    def __call__(self, encodings):
        rows = np.asarray(encodings).tolist()
        return np.array([tuple(row) in self._places for row in rows], int)


def at_limit(networks, limit, options):
    """All ways to choose under a limit.

    Args:
        networks: A `Truth` for each supernet; all of the same table.
        limit: Most multiply-adds.
        options: Of the searches, one a seed.

    Returns:
        Values by the way's name, `[repetitions]`; of the searches supernet by
        supernet, and seed by seed.
    """
    one = networks[0]
    legal = one.macs <= limit
    near = legal & (one.macs >= _AT_LIMIT * limit)
    if not near.any():
        raise UserError(f"No network costs about {limit:,.0f}.")
    largest = legal & (one.macs == one.macs[legal].max())
    beside = {"largest": one.truth[largest]}
    if "blocks" in one.counts:
        blocks = one.counts["blocks"]
        most = legal & (blocks == blocks[legal].max())
        beside["most blocks"] = one.truth[most]
    if "log_widths" in one.counts:
        logs = np.where(legal, one.counts["log_widths"], -np.inf)
        beside["ten widest"] = one.truth[np.argsort(-logs, kind="stable")[:10]]
        uniform = one.uniform(legal)
        if uniform.any():
            beside["uniform"] = one.truth[uniform]
    picked = {
        name: np.array(
            [
                truth.picked(kind, limit, option)
                for truth in networks
                for option in options
            ]
        )
        for name, kind in _SEARCHES.items()
    }
    return {
        **{name: both[:, 0] for name, both in picked.items()},
        **{f"{name}{_BY_FIT}": both[:, 1] for name, both in picked.items()},
        "random networks": one.truth[near],
        **beside,
        "best": one.truth[legal].max(keepdims=True),
    }


def summary(values):
    """Means with intervals, and what the marks ask for.

    `way` is the share of the way from random networks to the best, and
    `lead` how far evolution is above each other choice, and evolution with
    the additive fit above them, with intervals over the searches. Searches
    have the same seeds, so they are paired.
    """
    means = {name: mean_interval(one) for name, one in values.items()}
    random = means["random networks"].mean
    best = means["best"].mean
    searches = [*_SEARCHES, *(f"{name}{_BY_FIT}" for name in _SEARCHES)]
    beside = {
        name: one if name in searches else means[name].mean
        for name, one in values.items()
        if name != "best"
    }
    return {
        "means": {k: dataclasses.asdict(v) for k, v in means.items()},
        "way": {
            name: dataclasses.asdict(
                mean_interval((values[name] - random) / (best - random))
            )
            for name in searches
        },
        "lead": {
            name: {
                other: dataclasses.asdict(mean_interval(values[name] - one))
                for other, one in beside.items()
                if other != name
            }
            for name in ("evolution", f"evolution{_BY_FIT}")
        },
    }


def markdown(limits):
    """A table of the summaries by limit."""
    ways = [name for name in limits[0]["way"] if name.startswith("evolution")]
    heading = [
        *("multiply-adds", *limits[0]["means"]),
        *(f"way of {name}" for name in ways),
    ]
    lines = [heading, ["---"] * len(heading)]
    for one in limits:
        cells = [f"{one['limit'] / 1e6:g} M"]
        for mean in one["means"].values():
            found = MeanInterval(**mean)
            cells.append(str(found) if found.count > 1 else f"{found.mean:.2f}")
        cells += [str(MeanInterval(**one["way"][name])) for name in ways]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def draw(networks, limits, path):
    """The picture: all networks, and each way to choose at each limit."""
    one = networks[0]
    names = (
        *("random networks", "random search", "evolution"),
        *(f"evolution{_BY_FIT}", "best"),
    )
    ways = {
        name: [
            AtLimit(
                at["limit"] / 1e6,
                at["means"][name]["mean"],
                at["means"][name]["spread"],
            )
            for at in limits
        ]
        for name in names
    }
    # A tenth of the networks is so bad that the rest would be a line.
    lowest = math.floor(np.percentile(one.truth, 10))
    plot_truth(
        one.macs / 1e6,
        one.truth,
        ways,
        path,
        cost_label="multiply-adds of the benchmark's network, millions",
        lowest=lowest,
    )


def main(argv):
    del argv
    stored = [read_scores(path) for path in FLAGS.scores]
    networks = [Truth(one, FLAGS.table) for one in stored]
    tables = {one.settings["table"] for one in stored}
    if len(tables) > 1:
        raise UserError("All scores are of one table; got several.")
    options = [
        SearchOptions(
            population=FLAGS.population,
            generations=FLAGS.generations,
            seed=seed,
        )
        for seed in range(FLAGS.seeds)
    ]
    limits = []
    for text in FLAGS.limits:
        values = at_limit(networks, float(text), options)
        limits.append({"limit": float(text), **summary(values)})
    result = {
        "table": tables.pop(),
        "scores": {
            pathlib.Path(path).name: one.sha256
            for path, one in zip(FLAGS.scores, stored, strict=True)
        },
        "evaluations": FLAGS.population * FLAGS.generations,
        "seeds": FLAGS.seeds,
        "limits": limits,
    }
    output = pathlib.Path(FLAGS.output)
    text = json.dumps(result, indent=1)
    output.with_suffix(".json").write_text(text + "\n", "utf-8")
    draw(networks, limits, output.with_suffix(".png"))
    print(markdown(limits))


if __name__ == "__main__":
    app.run(main)
