"""Searches one trained supernet under several limits (paper, Table 5)."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from spos_tf.atomic_write import write_json, write_text
from spos_tf.cost.constraint import parse_constraint
from spos_tf.errors import UserError
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.jobs import scoring
from spos_tf.jobs.found import SearchResult
from spos_tf.jobs.limits import Limit, known_costs, latency_cost
from spos_tf.jobs.notes import tell, warn
from spos_tf.jobs.pins import pin_options
from spos_tf.jobs.process import process_settings
from spos_tf.jobs.run_folder import Run, RunPlan, open_run
from spos_tf.jobs.search import Search
from spos_tf.jobs.search_subject import Subject
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import LimitOptions, LimitsTableOptions, SearchOptions
from spos_tf.space.candidate import score_text
from spos_tf.spaces import named_network
from spos_tf.strict_json import parse_json

LIMITS_STAGE = "search_limits"
_TITLES = {"macs": "MACs", "params": "params", "latency_ms": "latency [ms]"}

Row = dict[str, Any]

_DEFAULTS = SearchOptions()


@dataclasses.dataclass(frozen=True, eq=False)
class LimitsResult:
    """What searches under several limits found.

    Attributes:
        searches: By limit, as it was given.
        rows: JSON objects, one a limit and then one a baseline.
        table: The rows as a Markdown table.
        folder: Where the table is; None for searches in memory.
    """

    searches: Mapping[str, SearchResult]
    rows: Sequence[Row]
    table: str
    folder: pathlib.Path | None


def search_limits(
    supernet: TrainedSupernet,
    limits: Sequence[str],
    baselines: Sequence[str] = (),
    *,
    options: SearchOptions = _DEFAULTS,
    work_dir: str | os.PathLike[str] | None = None,
    name: str = "default",
    train: Any = None,
    validation: Any = None,
    recalibration: Any = None,
    metric: keras.metrics.Metric | None = None,
    labels: str | None = None,
    direction: str = "max",
    fix: Sequence[str] | Mapping[str, Any] = (),
    fix_from: str | os.PathLike[str] | None = None,
    **limits_of_all: Any,
) -> LimitsResult:
    """Searches a supernet under limit after limit, or resumes.

    Weights and images are loaded once. Every limit is a search of its own in
    `work_dir/search/<name>-<limit>/`, as `search_supernet` leaves it;
    `work_dir/search_limits/<name>/table.md` and `table.json` put the winners
    beside published networks. Networks that `train_subnet` trained under the
    same names show their test accuracy.

    Args:
        supernet: From `train_supernet` or `load_supernet`.
        limits: Such as `"macs<=290e6"`, or several with a comma between them.
        baselines: Names of published networks.
        options: How every search is done.
        work_dir: See `search_supernet`.
        name: Of the table, and the first part of the searches' names.
        train: See `search_supernet`.
        validation: See `search_supernet`.
        recalibration: See `search_supernet`.
        metric: See `search_supernet`.
        labels: See `search_supernet`.
        direction: See `search_supernet`.
        fix: See `search_supernet`.
        fix_from: See `search_supernet`.
        **limits_of_all: Limits that hold in every search, by the names of
            `LimitOptions`.

    Returns:
        The searches and their table.

    Raises:
        UserError: See `search_supernet`; or two limits are the same.
    """
    names = _names(limits, name)
    if options.time_limit is not None:
        raise UserError(
            "`time_limit` ends one search; here are several. Leave it out, "
            "give fewer `generations`, or stop and start again at any time."
        )
    shared = LimitOptions(**limits_of_all)
    table = LimitsTableOptions(limits=tuple(limits), baseline=tuple(baselines))
    measure = ScoreMetric.make(
        metric,
        labels=labels,
        direction=direction,
        num_classes=supernet.blueprint.num_classes,
        scored_by=options.scored_by,
    )
    options = supernet.decided(options)
    subject = Subject.of(supernet, pin_options(fix, fix_from), measure, train)
    place = None if work_dir is None else pathlib.Path(work_dir)
    place = place or supernet.work_dir
    # Whatever can be refused is, before anything is scored.
    rows = [
        _baseline(one, subject.blueprint, shared, place) for one in baselines
    ]
    searches = {
        limit: Search(
            subject,
            options,
            dataclasses.replace(
                shared, constraint=(*shared.constraint, *limit.split(","))
            ),
            place,
            own,
        )
        for own, limit in names.items()
    }
    threads = next(iter(searches.values())).threads
    found: dict[str, SearchResult] = {}

    def search_all(table_run: Run | None) -> None:
        images = subject.images(options, validation, recalibration)
        task = scoring.ScoringTask.of(supernet, images, measure, options)
        if table_run is not None:
            weights = task.scored_with["supernet"]
            table_run.check_inputs(supernet=weights, **images.inputs)
        with scoring.open_scorer(task, options, threads) as scorer:
            for limit, search in searches.items():
                tell(f"Searching under {limit}.")
                with search.opened() as run:
                    found[limit] = search.run(scorer, task, run, images.inputs)

    def result(folder: pathlib.Path | None) -> LimitsResult:
        all_rows = [
            *(
                _row(own, limit, found[limit], place)
                for own, limit in names.items()
            ),
            *rows,
        ]
        return LimitsResult(found, all_rows, _markdown(all_rows), folder)

    with process_settings(
        deterministic=True, dtype_policy=options.dtype_policy
    ):
        if place is None:
            search_all(None)
            return result(None)
        plan = RunPlan.of(
            LIMITS_STAGE,
            LIMITS_STAGE,
            *subject.options(place, name, threads),
            options.complete(),
            shared,
            table,
            **subject.metric_words(),
        )
        with open_run(place, name, plan) as run:
            search_all(run)
            made = result(run.folder)
            write_json(run.folder / "table.json", made.rows)
            write_text(run.folder / "table.md", made.table)
    tell(f"See {run.folder / 'table.md'}.")
    return made


def _search_name(limit: str, name: str) -> str:
    """A folder's name for a limit.

    >>> _search_name("macs<=290e6", "default")
    'default-macs_max_290e6'
    """
    # The function's name says enough of a cost of the user's own.
    short = re.sub(r"[^\s,<>=]*\.py:", "", limit)
    for sign, word in (("<=", "_max_"), (">=", "_min_"), (",", "_and_")):
        short = short.replace(sign, word)
    return f"{name}-{re.sub(r'[^A-Za-z0-9_.+-]', '', short)}"


def _names(limits: Sequence[str], name: str) -> dict[str, str]:
    """Limits by the folders' names.

    Raises:
        UserError: There is none, or two are alike.
    """
    if not limits:
        raise UserError(
            "Give at least one limit to search under, such as "
            "`limits=macs<=290e6`."
        )
    names: dict[str, str] = {}
    meanings: dict[frozenset[Limit], str] = {}
    for limit in limits:
        meaning = frozenset(map(parse_constraint, limit.split(",")))
        own = _search_name(limit, name)
        before = meanings.get(meaning, names.get(own))
        if before is not None:
            raise UserError(
                f"Each of `limits` is a search of its own; {limit!r} and "
                f"{before!r} are the same. Leave one out."
            )
        names[own] = meanings[meaning] = limit
    return names


def _row(
    name: str, limit: str, found: SearchResult, work_dir: pathlib.Path | None
) -> Row:
    best = found.best
    encoding = list(best.encoding)
    return {
        "limit": limit,
        "name": name,
        "search_space": best.blueprint.search_space.name,
        "encoding": encoding,
        "costs": dict(best.costs),
        **next(
            one.scores()
            for one in found.candidates
            if one.encoding == best.encoding
        ),
        "test_accuracy": _test_accuracy(name, encoding, work_dir),
    }


def _test_accuracy(
    name: str, encoding: list[int] | None, work_dir: pathlib.Path | None
) -> float | None:
    """That of the retrained network of this name; None if it is not known."""
    if work_dir is None:
        return None
    path = work_dir / "subnet" / name / "metrics.json"
    try:
        metrics = parse_json(path.read_bytes())
        # None where it was measured by another metric, or on nothing.
        trained, said = metrics["encoding"], metrics.get("test_accuracy")
        accuracy = None if said is None else float(said)
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        warn(f"{path} cannot be read; it is left out.")
        return None
    if trained != encoding:
        warn(f"{path} is of another network; it is left out.")
        return None
    return accuracy


def _baseline(
    name: str,
    blueprint: Blueprint,
    limits: LimitOptions,
    work_dir: pathlib.Path | None,
) -> Row:
    """A named network at the image size and classes of the supernet."""
    theirs, encoding = named_network(
        name, image_size=blueprint.image_size, num_classes=blueprint.num_classes
    )
    # Only its own parts are looked up then.
    one = theirs.pinned(theirs.search_space.decode(encoding))
    costs = known_costs(one, limits, latency=False)
    if limits.latency_table:
        try:
            costs["latency_ms"] = latency_cost(one, limits.latency_table)
        except UserError as error:
            warn(f"{name} has no latency here: {error}")
    # Baselines of uniform bits are nothing that was chosen.
    shown = encoding.tolist() if theirs.search_space.has_choices else None
    return {
        "limit": None,
        "name": name,
        "search_space": theirs.search_space.name,
        "encoding": shown,
        "costs": {
            cost: function(encoding[None]).tolist()[0]
            for cost, function in costs.items()
        },
        "score": None,
        "metric": None,
        "direction": None,
        "test_accuracy": _test_accuracy(name, shown, work_dir),
    }


def _markdown(rows: Sequence[Row]) -> str:
    costs = list(dict.fromkeys(name for row in rows for name in row["costs"]))
    metric = rows[0]["metric"]
    lines = [
        [
            "limit or baseline",
            *(_TITLES.get(cost, cost) for cost in costs),
            f"supernet {metric}",
            "test accuracy",
            "encoding",
        ]
    ]
    lines.append(["---", *["---:"] * (len(costs) + 2), "---"])
    for row in rows:
        lines.append(
            [
                f"`{row['limit'] or row['name']}`",
                *(_number(row["costs"], cost) for cost in costs),
                _share(metric, row["score"]),
                _share("accuracy", row["test_accuracy"]),
                ",".join(map(str, row["encoding"] or ["-"])),
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(costs: Mapping[str, int | float], name: str) -> str:
    value = costs.get(name)
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _share(metric: str, score: float | None) -> str:
    return "-" if score is None else score_text(metric, score)
