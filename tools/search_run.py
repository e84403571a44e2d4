"""What tools that search a trained supernet do alike."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tqdm
from absl import flags, logging

import limits
import measuring
import pins
import ray_workers
import scoring
import search_judge
import shared_flags
import trained_supernet
from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    from spos_tf.cost.constraint import CostFunction
    from spos_tf.evaluation.memo import ScoreMemo
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.search.driver import OnCandidate
    from spos_tf.search.generations import GenerationSearch, SearchOptions
    from spos_tf.search.steady_state import SteadyEvolution
    from spos_tf.space.candidate import Candidate
    from spos_tf.space.record import Record

FLAGS = flags.FLAGS

# Flags that a resumed search may change. What the files of pins and latencies
# say is in the record, and another one is refused there.
FREE = (
    *scoring.FREE,
    *ray_workers.FREE,
    *pins.FREE,
    *measuring.FREE,
    "latency_table",
)


def define_search() -> None:
    """The flags of a search."""
    shared_flags.define_run()
    shared_flags.define_space()
    shared_flags.define_data()
    shared_flags.define_width_mode()
    trained_supernet.define_supernet()
    pins.define_pins()
    limits.define_limits()
    flags.DEFINE_enum(
        "strategy",
        "evolution",
        ["evolution", "random", "nsga2"],
        "evolution: Algorithm 1. random: as many random candidates. nsga2: "
        "the front of accuracy and --objective.",
    )
    flags.DEFINE_string(
        "objective",
        "macs",
        "Cost of --strategy=nsga2's front; one of your own is "
        "FILE.py:function.",
    )
    flags.DEFINE_integer("population", 50, "Candidates a generation, P.")
    flags.DEFINE_integer("generations", 20, "Generations, T.")
    flags.DEFINE_integer(
        "top_k", 10, "Parents of a generation, k; evolution only."
    )
    flags.DEFINE_integer(
        "crossover", None, "Offspring by crossover, n; P/2. Evolution only."
    )
    flags.DEFINE_integer(
        "mutation", None, "Offspring by mutation, m; P/2. Evolution only."
    )
    flags.DEFINE_float(
        "mutation_probability", 0.1, "That a choice is redrawn in mutation."
    )
    flags.DEFINE_bool(
        "asynchronous",
        False,
        "A new candidate for every result instead of whole generations, so "
        "that no worker waits for the slowest of one; evolution only. Other "
        "candidates than without, the same for any number of workers.",
    )
    flags.DEFINE_integer(
        "lag",
        None,
        "With --asynchronous: candidates that may be under way at once, P/2 "
        "if unset. At least twice the workers keeps all of them busy.",
    )
    scoring.define_scoring()
    ray_workers.define_workers()
    measuring.define_measuring()
    shared_flags.define_threads()


@dataclasses.dataclass(frozen=True)
class Subject:
    """A trained supernet and what of it is searched.

    Attributes:
        trained: The supernet.
        blueprint: With all pins, the supernet's and the search's.
    """

    trained: trained_supernet.TrainedSupernet
    blueprint: "Blueprint"


def read_subject() -> Subject:
    """The supernet and the space that the flags name.

    Raises:
        UserError: See `read_supernet` and `pins.pinned`.
    """
    trained = trained_supernet.read_supernet(FLAGS.work_dir)
    inherited = trained.description.get("pins")
    return Subject(trained, pins.pinned(trained.blueprint, inherited)[0])


@dataclasses.dataclass(frozen=True)
class Plan:
    """A search that has not begun.

    Attributes:
        algorithm: Told nothing yet.
        options: Its numbers.
        costs: All that the record tells of a candidate, by name.
        objective: The cost that a front is over; None without a front.
    """

    algorithm: "GenerationSearch | SteadyEvolution"
    options: "SearchOptions"
    costs: "Mapping[str, CostFunction]"
    objective: "CostFunction | None"


def plan(blueprint: "Blueprint") -> Plan:
    """The search that the flags name, with their limits.

    Raises:
        UserError: A number or a cost is wrong, or no architecture keeps the
            limits.
    """
    from spos_tf.search.evolution import (
        Evolution,
        EvolutionOptions,
        RandomSearch,
    )

    measuring.check()
    _check_asynchronous()
    two = FLAGS.strategy == "nsga2"
    costs = limits.known_costs(blueprint, *[FLAGS.objective] * two)
    space = blueprint.search_space
    constraints = limits.constraints(costs, limits.given_limits())
    numbers = {
        name: FLAGS[name].value
        for name in (
            "population",
            "generations",
            "mutation_probability",
            "seed",
        )
    }
    if two:
        from spos_tf.search.nsga2 import NSGA2, NSGA2Options

        objective = limits.cost_named(costs, FLAGS.objective)
        both = NSGA2Options(**numbers)
        algorithm = NSGA2(space, constraints, both, cost=objective)
        return Plan(algorithm, both, costs, objective)
    for name in ("top_k", "crossover", "mutation"):
        numbers[name] = FLAGS[name].value
    if FLAGS.asynchronous:
        from spos_tf.search.steady_state import SteadyEvolution, SteadyOptions

        steady = SteadyOptions(**numbers, lag=FLAGS.lag)
        one_by_one = SteadyEvolution(space, constraints, steady)
        return Plan(one_by_one, steady, costs, None)
    options = EvolutionOptions(**numbers)
    kind = Evolution if FLAGS.strategy == "evolution" else RandomSearch
    return Plan(kind(space, constraints, options), options, costs, None)


def _check_asynchronous() -> None:
    if not FLAGS.asynchronous:
        if FLAGS.lag is not None:
            raise UserError(
                f"--lag={FLAGS.lag} is of --asynchronous. Leave it out, or "
                "add --asynchronous."
            )
        return
    for name, wanted in (("strategy", "evolution"), ("scoring", "single")):
        if FLAGS[name].value != wanted:
            raise UserError(
                f"--asynchronous is of --{name}={wanted}; got "
                f"--{name}={FLAGS[name].value}. Leave one of them out."
            )


def search(
    folder: pathlib.Path,
    blueprint: "Blueprint",
    plan: Plan,
    judge: search_judge.Judge,
) -> "Candidate":
    """Searches, or goes on, and writes what was found.

    Args:
        folder: The run's.
        blueprint: With its pins.
        plan: From `plan`, under the flags as they are.
        judge: Of the supernet.

    Returns:
        The most accurate candidate.

    Raises:
        UserError: See `run_search`; or the folder is of other weights.
    """
    from spos_tf.evaluation.memo import ScoreMemo
    from spos_tf.space.record import Record, write_best
    from spos_tf.space.search_space import format_encoding

    with tqdm.tqdm(
        total=plan.options.budget, desc=FLAGS.strategy, unit="path"
    ) as bar:
        _check_unchanged(folder / "scored_with.json", judge.scored_with)
        memo = ScoreMemo(
            folder.parent / "scores.jsonl",
            *judge.scored_with.values(),
            FLAGS.evaluation_batch_size,
            FLAGS.threads,
            FLAGS.width_mode,
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
                else f", {judge.images / candidate.seconds:.0f} images/s"
            )
            bar.set_postfix_str(
                f"generation {candidate.generation + 1}, best {best:.2%}"
                f"{speed}{computed}",
                refresh=False,
            )
            bar.update()

        record = Record.open(folder / "record.jsonl")
        winner = _run(
            plan, judge, memo, record, blueprint, on_chunk, on_candidate
        )
    # Before it is measured: a kill in between costs no result.
    architecture = blueprint.architecture(winner.encoding)
    path = folder / "best.json"
    kept = measuring.measured_before(path, architecture.choices)
    write_best(path, architecture, winner, **kept)
    _draw(folder, blueprint, plan, record.candidates)
    if FLAGS.measure_latency:
        measured = measuring.measure(blueprint, record.candidates)
        write_best(path, architecture, winner, measured=measured)
    if plan.algorithm.stopped_early:
        logging.info("%s", plan.algorithm.stopped_early)
    logging.info(
        "Best: %s, accuracy %.2f %%, %s; see %s.",
        format_encoding(winner.encoding),
        100 * winner.accuracy,
        ", ".join(f"{k} {v:,}" for k, v in winner.costs.items()),
        path,
    )
    return winner


def _run(
    plan: Plan,
    judge: search_judge.Judge,
    memo: "ScoreMemo",
    record: "Record",
    blueprint: "Blueprint",
    on_chunk: "Callable[[float], None]",
    on_candidate: "OnCandidate",
) -> "Candidate":
    """Runs the loop that the algorithm is made for."""
    from spos_tf.search.asynchronous import run_asynchronous
    from spos_tf.search.driver import run_search
    from spos_tf.search.steady_state import SteadyEvolution

    same: Any = {
        "space": blueprint.search_space,
        "cost_functions": plan.costs,
        "record": record,
        "on_candidate": on_candidate,
    }
    if isinstance(plan.algorithm, SteadyEvolution):
        return run_asynchronous(
            plan.algorithm,
            judge.stream(blueprint, memo),
            population=plan.options.population,
            **same,
        )
    evaluate = judge.scores(blueprint, memo, on_chunk)
    return run_search(plan.algorithm, evaluate, **same)


def _draw(
    folder: pathlib.Path,
    blueprint: "Blueprint",
    plan: Plan,
    candidates: "Sequence[Candidate]",
) -> None:
    """search.png, and the front in figures and in a picture."""
    from spos_tf.report.plots import plot_front, plot_search
    from spos_tf.space.front import front_of, write_front

    plot_search(_siblings(folder), folder / "search.png")
    if plan.objective is None:
        return
    name = plan.objective.name
    front = front_of(candidates, name)
    write_front(folder / "front.json", front, name, blueprint.architecture)
    plot_front(candidates, front, name, folder / "front.png")
    logging.info(
        "The front has %s of %s candidates; see %s.",
        len(front),
        len(candidates),
        folder / "front.json",
    )


def _check_unchanged(
    path: pathlib.Path, scored_with: Mapping[str, str]
) -> None:
    """A record mixes no scores of other weights or images."""
    if not path.exists():
        with unfinished(path) as temporary:
            text = json.dumps(dict(scored_with), indent=2) + "\n"
            temporary.write_text(text, "utf-8")
        return
    try:
        before = parse_json(path.read_bytes())
    except ValueError:
        before = None
    if before != scored_with:
        raise UserError(
            f"The supernet or the images changed since the search in "
            f"{str(path.parent)!r} began (see {path.name}). The supernet is "
            f"that in {str(trained_supernet.supernet_folder(FLAGS.work_dir))!r}"
            ". Choose another --name, or delete the search's folder."
        )


def _comparable(path: pathlib.Path) -> set[str]:
    """Flags of a search that make it comparable with another strategy's."""
    free = ("strategy", "objective", "name", "top_k", "crossover", "lag", *FREE)
    starts = (
        "--mutation",
        *("--asynchronous", "--noasynchronous"),
        *(f"--{name}=" for name in free),
        *("--measure_latency", "--nomeasure_latency"),
    )
    lines = path.read_text("utf-8").splitlines()
    return {line for line in lines if not line.startswith(starts)}


def _siblings(folder: pathlib.Path) -> dict[str, list["Candidate"]]:
    """Records of this search and of the other strategies', for the plot."""
    from spos_tf.space.record import read_record

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
