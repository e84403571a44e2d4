"""Searches a trained supernet under hard limits (the paper's Algorithm 1)."""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tqdm

from spos_tf.analysis.read_outs import additive_winner
from spos_tf.analysis.trust import Trust
from spos_tf.cost.constraint import CostFunction
from spos_tf.errors import UserError, check_kind
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.evaluation.scorer import Remembered, Scorer
from spos_tf.jobs import measuring, scoring
from spos_tf.jobs.found import (
    BEST_FILE,
    SEARCH_STAGE,
    FoundNetwork,
    SearchResult,
)
from spos_tf.jobs.limits import (
    constraints,
    cost_named,
    given_limits,
    known_costs,
)
from spos_tf.jobs.notes import tell
from spos_tf.jobs.pins import pin_options
from spos_tf.jobs.process import process_settings, threads
from spos_tf.jobs.run_folder import Run, RunPlan, open_run
from spos_tf.jobs.scoring import memo_of, tell_outdated
from spos_tf.jobs.search_files import (
    FRONT_FILE,
    MEMO_FILE,
    RECORD_FILE,
    BestWriter,
    check_unchanged,
    draw_search,
)
from spos_tf.jobs.search_subject import Subject
from spos_tf.jobs.trained import TrainedSupernet, check_supernet
from spos_tf.jobs.trust import TrustOf, confirm_winner
from spos_tf.options import LimitOptions, SearchOptions
from spos_tf.progress import progress
from spos_tf.report.plots import plot_front
from spos_tf.search.asynchronous import run_asynchronous
from spos_tf.search.driver import run_search
from spos_tf.search.evolution import Evolution
from spos_tf.search.generations import GenerationSearch, RandomSearch
from spos_tf.search.nsga2 import NSGA2
from spos_tf.search.steady_state import SteadyEvolution
from spos_tf.space.candidate import Candidate, best_of, score_text
from spos_tf.space.front import front_of, write_front
from spos_tf.space.record import Record
from spos_tf.space.search_space import format_encoding

# Seconds; drawing takes about one.
_DRAWN_EVERY = 10.0
_DEFAULTS = SearchOptions()


def search_supernet(
    supernet: TrainedSupernet,
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
    **limits: Any,
) -> SearchResult:
    """Searches a supernet, or resumes a search where it stopped.

    Writes `work_dir/search/<name>/`: `record.jsonl` (every evaluation, at
    once), `best.json` (renewed after every generation), `search.png`,
    `run.json` and `scored_with.json`; with `strategy="nsga2"` also
    `front.json` and `front.png`. Searches of one supernet share their scores
    in `work_dir/search/scores.jsonl`.

    At its end it says how far the scores can be trusted (`SearchResult.trust`
    and docs/trust.md): how well they repeat on other images, and how much
    better the winner is than random networks on images that neither training
    nor search used.

    Args:
        supernet: From `train_supernet` or `load_supernet`.
        options: How it is searched.
        work_dir: Folder of all results; that of the supernet if None. Where
            the supernet has none either, the search stays in memory.
        name: Name of this search.
        train: The images that the supernet was trained on, which are split as
            in the training. Needed only if the supernet was loaded, for a
            data set that has moved and for arrays.
        validation: Images that the training was given to score on, where they
            were arrays or a `tf.data.Dataset` and the supernet was loaded.
        recalibration: Training images that batch norm is recalibrated on, the
            same as in the training; given together with `validation`.
        metric: Keras metric that paths are scored by; accuracy if None.
        labels: "sparse" or "one_hot": what the metric takes, where the name
            of its class does not say so.
        direction: "max" or "min": which values of the metric are better.
        fix: Choices that are fixed, such as `["stage1.block1.op=3x3"]` or
            `{"stage1.block1.op": "3x3"}`.
        fix_from: Architecture file; fixes every choice that it has.
        **limits: Limits that every candidate keeps, by the names of
            `LimitOptions`: `max_macs=290e6`, `constraint=["params<=4e6"]`,
            `latency_table=["table.yaml"]`.

    Returns:
        The best network, the front, and everything evaluated.

    Raises:
        UserError: An argument is wrong or contradicts another one, no
            architecture keeps the limits, or the folder holds another search.

    Example:
        >>> found = spos_tf.search_supernet(  # doctest: +SKIP
        ...     supernet, max_macs=5.5e6,
        ...     options=spos_tf.SearchOptions(generations=20))
        >>> found.best.architecture.choices  # doctest: +SKIP
    """
    check_supernet(supernet)
    check_kind(options, SearchOptions, "options", "spos_tf.SearchOptions(...)")
    measure = ScoreMetric.make(
        metric,
        labels=labels,
        direction=direction,
        num_classes=supernet.blueprint.num_classes,
        scored_by=options.scored_by,
    )
    options = supernet.decided(options)
    subject = Subject.of(supernet, pin_options(fix, fix_from), measure, train)
    search = Search(subject, options, LimitOptions(**limits), work_dir, name)
    settings = process_settings(
        deterministic=True, dtype_policy=options.dtype_policy
    )
    with search.opened() as run, settings:
        images = subject.images(options, validation, recalibration)
        task = scoring.ScoringTask.of(supernet, images, measure, options)
        with scoring.open_scorer(task, options, search.threads) as scorer:
            return search.run(scorer, task, run, images.inputs)


class Search:
    """One search that has not begun; all that can be refused is, by now.

    Args:
        subject: What is searched.
        options: How it is searched.
        limits: That every candidate keeps.
        work_dir: Folder of all results; the supernet's if None.
        name: Of this search.

    Raises:
        UserError: A cost is wrong, or no architecture keeps the limits.
    """

    def __init__(
        self,
        subject: Subject,
        options: SearchOptions,
        limits: LimitOptions,
        work_dir: str | os.PathLike[str] | None,
        name: str,
    ) -> None:
        self._subject = subject
        self._options = options = options.complete()
        self._limits = limits
        place = work_dir or subject.supernet.work_dir
        self._work_dir = None if place is None else pathlib.Path(place)
        self._name = name
        self.threads = threads()
        if options.workers == "ray":
            # The number decides last bits of scores, so it is part of the run.
            self.threads = self.threads or 1
        self._deadline = time.monotonic() + options.seconds_allowed
        measuring.check(options, self.threads)
        named = () if options.objective is None else (options.objective,)
        self._costs = known_costs(subject.blueprint, limits, *named)
        self._objective: CostFunction | None = None
        if options.objective is not None:
            self._objective = cost_named(self._costs, options.objective)
        self._algorithm = self._made()

    def _made(self) -> GenerationSearch | SteadyEvolution:
        blueprint, options = self._subject.blueprint, self._options
        space, canonical = blueprint.search_space, blueprint.canonical
        rules = constraints(self._costs, given_limits(self._limits))
        if self._objective is not None:
            return NSGA2(
                space, rules, options, cost=self._objective, canonical=canonical
            )
        if options.asynchronous:
            return SteadyEvolution(space, rules, options, canonical)
        kind = Evolution if options.strategy == "evolution" else RandomSearch
        return kind(space, rules, options, canonical)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Run | None]:
        """The search in its folder, locked; None where it is in memory.

        Raises:
            UserError: The folder holds another run.
        """
        if self._work_dir is None:
            yield None
            return
        subject = self._subject
        plan = RunPlan.of(
            "search",
            SEARCH_STAGE,
            *subject.options(self._work_dir, self._name, self.threads),
            self._options,
            self._limits,
            **subject.metric_words(),
        )
        with open_run(self._work_dir, self._name, plan) as run:
            yield run

    def run(
        self,
        scorer: Scorer,
        task: scoring.ScoringTask,
        run: Run | None,
        inputs: Mapping[str, str],
    ) -> SearchResult:
        """Searches, or resumes, and writes what was found.

        Args:
            scorer: Scores paths of the supernet.
            task: What the scores depend on.
            run: From `opened`.
            inputs: Fingerprints of the images, by the argument's name.

        Raises:
            UserError: See `run_search`; or the folder is of other weights.
        """
        confirming = scorer.confirming
        record = Record.in_memory()
        folder = None if run is None else run.folder
        if run is not None and folder is not None:
            check_unchanged(folder, task)
            supernet = task.scored_with["supernet"]
            run.check_inputs(supernet=supernet, **inputs)
            record = Record.open(folder / RECORD_FILE)
            self._check_not_fewer(record)
            memo = memo_of(task, folder.parent / MEMO_FILE, self.threads)
            tell_outdated(record.path, record.outdated)
            tell_outdated(memo.path, 0 if len(memo) else memo.outdated)
            scorer = Remembered(scorer, memo)
        trust_of = TrustOf(task, self._options)
        limit = self._options.time_limit
        # What is forecast by the bar does not know of the limit.
        at_most = f" for at most {limit}" if limit else ""
        with progress(
            total=self._options.budget,
            desc=f"{self._options.strategy}{at_most}",
            unit="path",
        ) as bar:
            watch = _Watch(
                bar, scorer, task.images, self._writer(folder, record, trust_of)
            )
            self._searched(scorer, record, watch)
        if self._algorithm.stopped_early:
            tell(self._algorithm.stopped_early)
        elif len(record) < self._options.budget:
            tell(
                f"`time_limit={self._options.time_limit}` is over after "
                f"{len(record):,} of {self._options.budget:,} evaluations. "
                "Start it again to continue."
            )
        best = self._winner(record.candidates)
        confirmed = None
        if folder is not None:
            confirmed = self._best_file(folder).confirmed(best)
        if confirmed is None and confirming is not None:
            confirmed = confirm_winner(
                best.encoding, confirming(), self._algorithm, best.direction
            )
        trust = trust_of(record.candidates, confirmed, is_over=True)
        if folder is not None:
            self._finish(folder, record, best, trust)
        where = "" if folder is None else f"; see {folder / BEST_FILE}"
        costs = ", ".join(f"{k} {v:,}" for k, v in best.costs.items())
        rule = "" if self._options.winner == "score" else " by the additive fit"
        tell(
            f"Best{rule}: {format_encoding(best.encoding)}, {best.metric} "
            f"{score_text(best.metric, best.score)} in the supernet, "
            f"{costs}{where}."
        )
        for line in trust.lines:
            tell(line)
        return self._result(record, best, folder, trust)

    def _searched(
        self, scorer: Scorer, record: Record, watch: "_Watch"
    ) -> None:
        """Runs the loop that the algorithm is made for."""
        metric = self._subject.metric
        same: dict[str, Any] = {
            "cost_functions": self._costs,
            "record": record,
            "metric": metric.name,
            "direction": metric.direction,
            "on_candidate": watch,
            "stop": lambda: time.monotonic() >= self._deadline,
        }
        if isinstance(self._algorithm, SteadyEvolution):
            run_asynchronous(self._algorithm, scorer, **same)
        else:
            run_search(self._algorithm, scorer, **same)

    def _winner(self, candidates: Sequence[Candidate]) -> Candidate:
        """The result, as `winner` says."""
        if self._options.winner == "score":
            return best_of(candidates)
        encodings = self._subject.blueprint.canonical(
            np.array([one.encoding for one in candidates])
        )
        merits = [one.merit for one in candidates]
        return candidates[additive_winner(encodings, merits)]

    def _check_not_fewer(self, record: Record) -> None:
        """Generations can be added to a search, and not be taken away."""
        options = self._options
        if len(record) > options.budget:
            least = -(-len(record) // options.population)
            raise UserError(
                f"The search has {len(record):,} evaluations already, more "
                f"than `generations={options.generations}` makes. Give "
                f"`generations={least}` or more to continue it, or choose "
                "another `name`."
            )

    def _best_file(self, folder: pathlib.Path) -> BestWriter:
        return BestWriter(folder / BEST_FILE, self._subject.blueprint)

    def _writer(
        self, folder: pathlib.Path | None, record: Record, trust_of: TrustOf
    ) -> "Callable[[], None] | None":
        """Writes what a search has found so far; called by generations."""
        if folder is None:
            return None
        write = self._best_file(folder)
        drawn = time.monotonic()

        def write_all() -> None:
            nonlocal drawn
            # What is resumed has the best of a later generation, perhaps.
            best = self._winner(record.candidates)
            write(best, trust_of(record.candidates, write.confirmed(best)))
            if time.monotonic() - drawn >= _DRAWN_EVERY:
                self._draw(folder, record)
                drawn = time.monotonic()

        return write_all

    def _draw(self, folder: pathlib.Path, record: Record) -> None:
        """The plot, and the front where there is one."""
        draw_search(folder, self._options.strategy)
        if self._objective is not None:
            cost, blueprint = self._objective.name, self._subject.blueprint
            front = front_of(record.candidates, cost)
            write_front(
                folder / FRONT_FILE, front, cost, blueprint.architecture
            )
            plot_front(record.candidates, front, cost, folder / "front.png")

    def _finish(
        self,
        folder: pathlib.Path,
        record: Record,
        best: Candidate,
        trust: Trust,
    ) -> None:
        """Files of a search that has ended."""
        blueprint, options = self._subject.blueprint, self._options
        # Before it is measured: a kill in between costs no result.
        write = self._best_file(folder)
        write(best, trust)
        self._draw(folder, record)
        candidates = record.candidates
        if self._objective is not None:
            front = front_of(candidates, self._objective.name)
            tell(
                f"The front has {len(front)} of {len(candidates)} candidates; "
                f"see {folder / FRONT_FILE}."
            )
        if options.measure_latency:
            measured = measuring.measure(blueprint, candidates, options)
            write(best, trust, measured=measured)

    def _result(
        self,
        record: Record,
        best: Candidate,
        folder: pathlib.Path | None,
        trust: Trust,
    ) -> SearchResult:
        subject = self._subject

        def found(candidate: Candidate) -> FoundNetwork:
            return FoundNetwork(
                architecture=subject.blueprint.architecture(candidate.encoding),
                blueprint=subject.blueprint,
                encoding=candidate.encoding,
                score=candidate.score,
                metric=candidate.metric,
                direction=candidate.direction,
                costs=dict(candidate.costs),
                supernet=subject.supernet,
            )

        front: list[Candidate] = []
        if self._objective is not None:
            front = front_of(record.candidates, self._objective.name)
        return SearchResult(
            best=found(best),
            front=tuple(map(found, front)),
            candidates=tuple(record.candidates),
            folder=folder,
            trust=trust,
        )


class _Watch:
    """Moves the bar, and writes the best after every generation."""

    def __init__(
        self,
        bar: "tqdm.tqdm[Any]",
        scorer: Scorer,
        images: int,
        write: Callable[[], None] | None,
    ) -> None:
        self._bar = bar
        self._scorer = scorer
        # What the latest chunk that shared any said, until another shares some.
        self._shared = ""
        self._images = images
        self._write = write
        self._best: Candidate | None = None
        self._count = 0

    def __call__(
        self, candidate: Candidate, generation_size: int, resumed: bool
    ) -> None:
        """See `run_search`."""
        known = [candidate] if self._best is None else [self._best, candidate]
        self._best = best_of(known)
        speed = ""
        if not resumed and candidate.seconds:
            speed = f", {self._images / candidate.seconds:.0f} images/s"
        if self._scorer.computed < 1:
            share = f"{self._scorer.computed:.0%}"
            self._shared = f", {share} of segments computed"
        text = score_text(self._best.metric, self._best.score)
        self._bar.set_postfix_str(
            f"generation {candidate.generation + 1}, best {text}{speed}"
            f"{self._shared}",
            refresh=False,
        )
        self._bar.update()
        self._count += 1
        if self._count % generation_size == 0 and self._write:
            self._write()
