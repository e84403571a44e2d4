r"""Searches a trained supernet under hard limits (paper, Algorithm 1).

Example:
  python tools/search.py --work_dir=runs/cifar10 --name=evolution \
      --dataset=cifar10 --data_dir=DIR --max_macs=9.2e6

Reads work_dir/supernet/<supernet_name>/ and writes work_dir/search/<name>/:
record.jsonl (every evaluation, at once), best.json, search.png, search.flags
and scored_with.json (which weights and images). Start it again to go on where
it stopped. Scores are shared with other searches of the same supernet in
work_dir/search/scores.jsonl.
"""

import json
import pathlib

import tqdm
from absl import flags, logging

import program
import run_folder
import scoring
import shared_flags
import trained_supernet
from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError

FLAGS = flags.FLAGS

shared_flags.define_run()
shared_flags.define_space()
shared_flags.define_data()
trained_supernet.define_supernet()
flags.DEFINE_enum(
    "strategy",
    "evolution",
    ["evolution", "random"],
    "evolution: Algorithm 1. random: as many random candidates.",
)
flags.DEFINE_integer("population", 50, "Candidates a generation, P.")
flags.DEFINE_integer("generations", 20, "Generations, T.")
flags.DEFINE_integer("top_k", 10, "Parents of a generation, k.")
flags.DEFINE_integer("crossover", None, "Offspring by crossover, n; P/2.")
flags.DEFINE_integer("mutation", None, "Offspring by mutation, m; P/2.")
flags.DEFINE_float(
    "mutation_probability", 0.1, "That a choice is redrawn in mutation."
)
flags.DEFINE_float("max_macs", None, "Most multiply-adds, inclusive.")
flags.DEFINE_float("min_macs", None, "Fewest multiply-adds, inclusive.")
flags.DEFINE_float("max_params", None, "Most weights, inclusive.")
flags.DEFINE_float("min_params", None, "Fewest weights, inclusive.")
flags.DEFINE_multi_string(
    "constraint", [], "Repeatable; any cost, for example 'macs<=330e6'."
)
scoring.define_scoring()
shared_flags.define_threads()


def _limits() -> list[tuple[str, float | None, float | None]]:
    from spos_tf.cost.constraint import parse_constraint

    shorthands = [
        (cost, FLAGS[f"min_{cost}"].value, FLAGS[f"max_{cost}"].value)
        for cost in ("macs", "params")
    ]
    return [
        limit
        for limit in (*shorthands, *map(parse_constraint, FLAGS.constraint))
        if limit[1:] != (None, None)
    ]


def _constraints(tables):
    from spos_tf.cost.constraint import Constraint
    from spos_tf.cost.table import COSTS

    constraints = []
    for name, minimum, maximum in _limits():
        if name not in tables:
            raise UserError(
                f"Unknown cost {name!r}. The costs are: {', '.join(COSTS)}."
            )
        constraints.append(
            Constraint(tables[name], minimum=minimum, maximum=maximum)
        )
    return constraints


def _algorithm(space, constraints):
    from spos_tf.search.evolution import Evolution, EvolutionOptions
    from spos_tf.search.random_search import RandomSearch

    options = EvolutionOptions(
        population=FLAGS.population,
        generations=FLAGS.generations,
        top_k=FLAGS.top_k,
        crossover=FLAGS.crossover,
        mutation=FLAGS.mutation,
        mutation_probability=FLAGS.mutation_probability,
        seed=FLAGS.seed,
    )
    kind = Evolution if FLAGS.strategy == "evolution" else RandomSearch
    return kind(space, constraints, options), options


def _check_split(trained, parts) -> None:
    """Candidates are scored on what the supernet's training held out."""
    from spos_tf.data.splits import fingerprint

    if not len(parts.search):
        raise UserError(
            "Candidates are scored on held-out training images; "
            "--holdout_per_class=0 leaves none. Train a supernet with some."
        )
    if fingerprint(parts.search) != trained.description.get("search_split"):
        raise UserError(
            "Candidates are scored on the images that the supernet's training "
            "held out; these flags give others. Use its --dataset and "
            "--test_fraction, and --holdout_per_class="
            f"{trained.description.get('holdout_per_class')}."
        )


def _check_unchanged(path: pathlib.Path, scored_with: dict[str, str]) -> None:
    """A record mixes no scores of other weights or images."""
    if not path.exists():
        with unfinished(path) as temporary:
            text = json.dumps(scored_with, indent=2) + "\n"
            temporary.write_text(text, "utf-8")
        return
    try:
        before = json.loads(path.read_text("utf-8"))
    except ValueError:
        before = None
    if before != scored_with:
        raise UserError(
            f"The supernet or the images changed since the search in "
            f"{str(path.parent)!r} began (see {path.name}). Choose another "
            "--name, or delete that folder."
        )


def _comparable(path: pathlib.Path) -> set[str]:
    """Flags of a search that make it comparable with another strategy's."""
    free = (
        *("--strategy=", "--name=", "--top_k=", "--crossover=", "--mutation"),
        *(f"--{name}=" for name in scoring.FREE),
    )
    lines = path.read_text("utf-8").splitlines()
    return {line for line in lines if not line.startswith(free)}


def _siblings(folder) -> dict[str, list]:
    """Records of this search and of the other strategy's, for the plot."""
    from spos_tf.search.record import read_record

    records = {FLAGS.strategy: read_record(folder / "record.jsonl")}
    own = _comparable(folder / "search.flags")
    for other in sorted(folder.parent.glob("*/search.flags")):
        strategy = other.read_text("utf-8").partition("--strategy=")[2]
        strategy = strategy.partition("\n")[0]
        if strategy in records or _comparable(other) != own:
            continue
        try:
            records[strategy] = read_record(other.parent / "record.jsonl")
        except UserError as error:
            logging.warning("%s It is left out of the plot.", error)
    return records


def main() -> None:
    """Searches and writes what it found."""
    with run_folder.open_run("search", "search", free=scoring.FREE) as folder:
        _search(folder)


def _search(folder: pathlib.Path) -> None:
    trained = trained_supernet.read_supernet(FLAGS.work_dir)
    blueprint = trained.blueprint
    space = blueprint.search_space

    from spos_tf.analysis.plots import plot_search
    from spos_tf.cost.table import COSTS, cost_table
    from spos_tf.data.splits import fingerprint
    from spos_tf.search.driver import run_search
    from spos_tf.search.memo import ScoreMemo
    from spos_tf.search.record import Record, write_best
    from spos_tf.space.search_space import format_encoding

    tables = {name: cost_table(blueprint, name) for name in COSTS}
    algorithm, options = _algorithm(space, _constraints(tables))

    import tensorflow as tf

    shared_flags.set_threads()
    tf.config.experimental.enable_op_determinism()
    preprocessing = shared_flags.preprocessing(blueprint)
    parts = shared_flags.splits(blueprint)
    _check_split(trained, parts)
    recalibration = scoring.recalibration_split(parts)
    evaluator = scoring.make_evaluator(
        trained, recalibration, parts.search, preprocessing
    )
    images = len(recalibration) + len(parts.search)

    with tqdm.tqdm(
        total=options.population * options.generations,
        desc=FLAGS.strategy,
        unit="path",
    ) as bar:
        scored_with = {
            "supernet": trained.fingerprint(),
            "recalibration": fingerprint(recalibration),
            "search_split": fingerprint(parts.search),
            "preprocessing": str(preprocessing),
        }
        _check_unchanged(folder / "scored_with.json", scored_with)
        memo = ScoreMemo(
            folder.parent / "scores.jsonl",
            *scored_with.values(),
            FLAGS.evaluation_batch_size,
            FLAGS.threads,
        )

        best, computed = 0.0, ""

        def on_chunk(share):
            nonlocal computed
            computed = f", {share:.0%} of segments computed"

        def on_candidate(candidate, generation_size, resumed):
            del generation_size
            nonlocal best
            best = max(best, candidate.accuracy)
            speed = (
                ""
                if resumed or candidate.seconds == 0
                else f", {images / candidate.seconds:.0f} images/s"
            )
            bar.set_postfix_str(
                f"generation {candidate.generation + 1}, best {best:.2%}"
                f"{speed}{computed}",
                refresh=False,
            )
            bar.update()

        winner = run_search(
            algorithm,
            scoring.scores(evaluator, blueprint, memo, on_chunk),
            space=space,
            cost_functions=tables,
            record=Record.open(folder / "record.jsonl"),
            on_candidate=on_candidate,
        )
        write_best(
            folder / "best.json",
            blueprint.architecture(winner.encoding),
            winner,
        )
        plot_search(_siblings(folder), folder / "search.png")
    if algorithm.stopped_early:
        logging.info("%s", algorithm.stopped_early)
    costs = ", ".join(f"{k} {v:,}" for k, v in winner.costs.items())
    logging.info(
        "Best: %s, accuracy %.2f %%, %s; see %s.",
        format_encoding(winner.encoding),
        100 * winner.accuracy,
        costs,
        folder / "best.json",
    )


if __name__ == "__main__":
    program.run(main)
