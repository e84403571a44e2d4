"""Says whether a supernet's ranking can be trusted (the paper's Table 8)."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from spos_tf.analysis.benchmark_table import COST_COLUMNS, read_table
from spos_tf.analysis.correlation import Correlation, top_count
from spos_tf.analysis.reliability import Reliability
from spos_tf.analysis.table_architectures import sub_table
from spos_tf.analysis.trust import Trust
from spos_tf.cost.counting import counts
from spos_tf.cost.table import cost_table
from spos_tf.data.splits import scored_subset
from spos_tf.errors import UserError, check_kind
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.jobs import data as job_data
from spos_tf.jobs.blueprints import place_options
from spos_tf.jobs.comparison import Comparison
from spos_tf.jobs.correlation_files import Compared, Facts, write_results
from spos_tf.jobs.notes import tell
from spos_tf.jobs.process import process_settings, threads
from spos_tf.jobs.run_folder import RunPlan, open_run
from spos_tf.jobs.scoring import ScoringTask
from spos_tf.jobs.trained import TrainedSupernet, check_supernet
from spos_tf.jobs.trust import images_per_option, trust_of_scores
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import (
    CorrelationOptions,
    SupernetNameOptions,
    TableOptions,
)
from spos_tf.report.scores import Metric
from spos_tf.spaces import parse_architecture
from spos_tf.strict_json import parse_json
from spos_tf.training.checkpoints import (
    checkpoint_path,
    checkpoint_steps,
    read_checkpoint,
)

CORRELATE_STAGE = "correlate"

_DEFAULTS = CorrelationOptions()


@dataclasses.dataclass(frozen=True, eq=False)
class CorrelationResult:
    """How a supernet's scores rank architectures, beside a benchmark.

    Attributes:
        correlation: By the weights of the last checkpoint.
        by_step: Of every checkpoint, by its training steps, ascending.
        folder: Where the files are.
        trust: How far the scores can be trusted, by the weights of the last
            checkpoint.
    """

    correlation: Correlation
    by_step: Mapping[int, Correlation]
    folder: pathlib.Path
    trust: Trust

    @property
    def reliability(self) -> Reliability:
        """How well these scores repeat on other images."""
        return self.trust.reliability


def correlate_supernet(
    supernet: TrainedSupernet,
    table: str | os.PathLike[str],
    *,
    accuracy_column: str,
    options: CorrelationOptions = _DEFAULTS,
    work_dir: str | os.PathLike[str] | None = None,
    name: str = "default",
    train: Any = None,
    validation: Any = None,
    recalibration: Any = None,
    metric: keras.metrics.Metric | None = None,
    labels: str | None = None,
    direction: str = "max",
) -> CorrelationResult:
    """Compares a supernet's scores with the accuracies of a benchmark.

    Architectures of the benchmark's table are scored as a search would score
    them. Writes `work_dir/correlate/<name>/`: `scores.jsonl` (every score, at
    once), `scores.npz`, `correlation.json`, `read_outs.json` and
    `read_outs.md` (what else ranks these architectures, and how well),
    `scatter.png`, `beside.png` (all runs on the same table), and with several
    checkpoints `over_training.json` and `over_training.png`. Call it again to
    resume.

    Args:
        supernet: From `train_supernet` or `load_supernet`.
        table: The benchmark's table, .npz or .csv, with a column `arch_str`.
        accuracy_column: Column of the table to compare with.
        options: Which architectures and checkpoints, and how they are scored.
        work_dir: Folder of all results; that of the supernet if None.
        name: Name of this comparison.
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

    Returns:
        Rank correlations, and the folder.

    Raises:
        UserError: The table, a column or a checkpoint is not there, the
            images are not those that the training held out, or the folder
            holds another comparison.

    Example:
        >>> spos_tf.correlate_supernet(  # doctest: +SKIP
        ...     supernet, "nb201.npz", accuracy_column="test200_cifar10")
    """
    check_supernet(supernet)
    check_kind(
        options,
        CorrelationOptions,
        "options",
        "spos_tf.CorrelationOptions(...)",
    )
    place = work_dir or supernet.work_dir
    if place is None:
        raise UserError(
            "The results of a comparison go into a folder, and the supernet "
            "has none. Give a `work_dir`."
        )
    options = supernet.decided(options)
    score_metric = ScoreMetric.make(
        metric,
        labels=labels,
        direction=direction,
        num_classes=supernet.blueprint.num_classes,
        scored_by=options.scored_by,
    )
    source = supernet.source if train is None else train
    words = {} if metric is None else parse_json(score_metric.identity)
    plan = RunPlan.of(
        "correlate",
        CORRELATE_STAGE,
        *place_options(place, name, supernet.blueprint, threads()),
        *job_data.source_options(source),
        SupernetNameOptions(supernet_name=supernet.name),
        TableOptions(table=os.fspath(table), accuracy_column=accuracy_column),
        options,
        # No flag can name it.
        **({"metric": words} if words else {}),
    )
    with (
        process_settings(deterministic=True, dtype_policy=options.dtype_policy),
        open_run(pathlib.Path(place), name, plan) as run,
    ):
        steps = _steps(supernet, options.supernet_step)
        first = _at_step(supernet, steps[0])
        compared = _read_compared(
            supernet.blueprint, table, accuracy_column, options
        )
        for asked in options.top_k:
            top_count(asked, len(compared.encodings))
        images = job_data.search_data(
            first,
            options,
            source=train,
            validation=validation,
            recalibration=recalibration,
        )
        task = ScoringTask.of(first, images, score_metric, options)
        task = dataclasses.replace(
            task,
            validation=scored_subset(
                task.validation, options.scored_images, options.drawn_by
            ),
        )
        comparison = Comparison(task, compared, run.folder, options)
        run.check_inputs(table=compared.fingerprint, **images.inputs)
        by_step = comparison.scores(
            [functools.partial(_at_step, supernet, step) for step in steps]
        )
        trusts = {
            step: trust_of_scores(
                task,
                scores.tolist(),
                comparison.halves(step),
                seen=images_per_option(
                    dataclasses.replace(supernet, step=step)
                ),
            )
            for step, scores in by_step.items()
        }
        found = write_results(
            run.folder,
            compared,
            by_step,
            trusts,
            Facts(
                supernet,
                options,
                Metric(score_metric.name, score_metric.direction),
                accuracy_column,
            ),
        )
    tell(f"See {run.folder / 'correlation.json'}.")
    last = max(found)
    for line in trusts[last].lines:
        tell(line)
    return CorrelationResult(found[last], found, run.folder, trusts[last])


def _steps(supernet: TrainedSupernet, asked: Sequence[str]) -> list[int | None]:
    """The checkpoints that are asked for; None is the supernet as it is.

    Raises:
        UserError: One is not there.
    """
    if not asked:
        return [None]
    if supernet.folder is None:
        raise UserError(
            "`supernet_step` names checkpoints of a `work_dir`, and this "
            "supernet was trained without one. Leave it out."
        )
    folder = supernet.folder / "checkpoints"
    there = checkpoint_steps(folder)
    if list(asked) == ["all"] and there:
        return [*there]
    wanted: set[int] = set()
    for text in asked:
        if not text.isdecimal() or int(text) not in there:
            raise UserError(
                f"`supernet_step` is all, or checkpoints of {str(folder)!r}, "
                f"which are: {', '.join(map(str, there)) or 'none'}; got "
                f"{text!r}. The training keeps as many as "
                "`keep_checkpoints` says."
            )
        wanted.add(int(text))
    return [*sorted(wanted)]


def _at_step(supernet: TrainedSupernet, step: int | None) -> TrainedSupernet:
    """The supernet with the weights of another checkpoint."""
    if step is None or step == supernet.step or supernet.folder is None:
        return supernet
    path = checkpoint_path(supernet.folder / "checkpoints", step)
    found = read_checkpoint(path)
    return dataclasses.replace(
        supernet,
        weights=found.weights(),
        averages=found.averages(),
        description=found.description,
        step=found.step,
    )


def _read_compared(
    blueprint: Blueprint,
    path: str | os.PathLike[str],
    accuracy_column: str,
    options: CorrelationOptions,
) -> Compared:
    """The sample of the table, with what is known of it."""
    space = blueprint.search_space
    table = read_table(pathlib.Path(path))
    accuracies = table.numbers(accuracy_column)
    legal = sub_table(
        table,
        space,
        functools.partial(parse_architecture, space.name),
        blueprint.canonical,
    )
    if legal.left_out:
        tell(
            f"{legal.left_out:,} of the table's "
            f"{len(table.architectures):,} architectures are not in space "
            f"{space.name} and are left out."
        )
    if legal.equal:
        tell(
            f"{legal.equal:,} of the table's architectures are networks that "
            "it has under another encoding too: every network counts once."
        )
    sample = legal.sample(
        options.num_architectures, options.seed, without=options.other_sample
    )
    if len(sample) < 2:
        raise UserError(
            "A comparison needs at least 2 architectures; got "
            f"{len(sample)} of table {os.fspath(path)!r}. Raise "
            "`num_architectures`, or give a table of this space."
        )
    costs = {
        name: table.numbers(name)[sample.rows]
        if name in table.columns
        else np.asarray(cost_table(blueprint, name)(sample.encodings))
        for name in COST_COLUMNS
    }
    costs |= {
        name: count(sample.encodings)
        for name, count in counts(blueprint).items()
    }
    return Compared(
        sample.encodings,
        [table.architectures[row] for row in sample.rows],
        accuracies[sample.rows],
        costs,
        table.sha256,
    )
