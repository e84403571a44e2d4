"""How paths of a trained supernet are scored, here or by workers."""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from spos_tf.data.evaluation_cache import EvaluationCache, KeptBatches, Place
from spos_tf.data.examples import AnySplit, Split, joined
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.errors import UserError, said_of
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.halves import HalvedMetric, PartedMetric
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.memo import ScoreMemo
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.evaluation.ray_cluster import PoolOptions
from spos_tf.evaluation.ray_pool import open_pool
from spos_tf.evaluation.scorer import (
    ChunkScorer,
    LocalScorer,
    RayScorer,
    Scorer,
)
from spos_tf.evaluation.tree import can_share
from spos_tf.evaluation.tree_evaluator import TreeEvaluator
from spos_tf.jobs.notes import tell
from spos_tf.jobs.process import process_settings
from spos_tf.jobs.trained import SearchData, TrainedSupernet
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.supernet import Supernet
from spos_tf.networks.transfer import load_weights
from spos_tf.options import ScoringOptions, WorkerOptions
from spos_tf.randomness import Purpose, derive_seed

_AnyEvaluator = Evaluator[Measured] | TreeEvaluator[Measured]
# Candidates that are scored together where images are decoded for every chunk:
# a generation of the paper. What they hold meanwhile are statistics.
_CHUNK = 50
# What makes one worker.
_FACTORY = f"{__name__}:make_worker"


@dataclasses.dataclass(frozen=True, eq=False)
class ScoringTask:
    """All that a score depends on besides the path.

    It can be sent to another process, so that workers need no files but the
    images, where those are files.

    Attributes:
        supernet: Its weights.
        recalibration: Images that batch norm is recalibrated on.
        validation: Images that are scored on.
        preprocessing: How they become inputs.
        metric: What is scored.
        options: How.
        confirmation: Images that a winner is confirmed on; None where there
            are none.
        sharers: Processes of a machine that score, each with images of its
            own in memory.
    """

    supernet: TrainedSupernet
    recalibration: AnySplit
    validation: AnySplit
    preprocessing: PreprocessingOptions
    metric: ScoreMetric
    options: ScoringOptions
    confirmation: AnySplit | None = None
    sharers: int = 1

    @classmethod
    def of(
        cls,
        supernet: TrainedSupernet,
        images: SearchData,
        metric: ScoreMetric,
        options: ScoringOptions,
    ) -> "ScoringTask":
        """The task of scoring a supernet's paths.

        Args:
            supernet: With its weights.
            images: What they are scored on.
            metric: By what.
            options: How.

        Raises:
            UserError: The images are not those that the training held out,
                or there are none.
        """
        if not len(images.validation):
            raise UserError(
                "Paths are scored on training images that were held out; "
                "`holdout_per_class=0` leaves none. Train a supernet with some."
            )
        options = supernet.decided(options)
        count = options.recalibration_images or 0
        task = cls(
            supernet,
            images.recalibration(count, options.drawn_by),
            _scored(images, options),
            images.preprocessing,
            metric,
            options,
            images.confirmation,
        )
        task._check_held_out("search_split", images.validation)
        if images.confirmation is not None:
            task._check_held_out("confirm_split", images.confirmation)
        return task

    def _check_held_out(self, name: str, split: AnySplit) -> None:
        """Refuses images that the training did not hold out."""
        supernet = self.supernet
        held_out = supernet.description.get(name)
        if held_out not in (None, self.cache.fingerprint(split)):
            raise UserError(
                "Paths are scored on the images that the training of "
                f"{supernet.words()} held out; these are others. Give the "
                "same `validation`, or its `dataset` and `test_fraction` with "
                "`holdout_per_class="
                f"{supernet.description.get('holdout_per_class')}`."
            )

    @property
    def blueprint(self) -> Blueprint:
        """The networks of the supernet."""
        return self.supernet.blueprint

    @property
    def weights(self) -> Mapping[str, np.ndarray]:
        """That paths are scored with, by name."""
        return self.supernet.arrays(self.options.weights)

    @property
    def images(self) -> int:
        """That a path sees."""
        return len(self.recalibration) + len(self.validation)

    @functools.cached_property
    def cache(self) -> EvaluationCache:
        """Where images are kept."""
        return EvaluationCache(self.options, tell, self.sharers)

    @functools.cached_property
    def scored_with(self) -> dict[str, str]:
        """Which weights, images and metric, by fingerprints."""
        found = {
            "supernet": self.supernet.fingerprint(self.options.weights),
            "weights": self.supernet.chosen(self.options.weights),
            "recalibration": self.cache.fingerprint(self.recalibration),
            "search_split": self.cache.fingerprint(self.validation),
            "preprocessing": self.preprocessing.words(),
            "metric": self.metric.identity,
        }
        # Runs of releases without the option do not say that theirs was this.
        if self.options.dtype_policy != "float32":
            found["dtype_policy"] = self.options.dtype_policy
        return found

    @property
    def is_tree(self) -> bool:
        """Whether paths of a generation are scored together."""
        return (
            self.options.scoring == "tree"
            and can_share(self.blueprint.reads)
            and self.blueprint.is_chain
        )

    def places(self) -> list[Place]:
        """Where images to recalibrate and to score on are to be kept."""
        splits = [self.recalibration, self.validation]
        return self.cache.places(splits, self.preprocessing)

    def batches(self) -> tuple[KeptBatches, KeptBatches]:
        """To recalibrate and to score on; kept where there is room."""
        recalibration, scoring = self.cache.batches(
            [self.recalibration, self.validation],
            self.preprocessing,
            batch_size=self.options.evaluation_batch_size,
        )
        return recalibration, scoring

    def batches_of(self, split: AnySplit) -> KeptBatches:
        """Batches of further images, beside those of `batches`."""
        (batches,) = self.cache.batches(
            [split],
            self.preprocessing,
            batch_size=self.options.evaluation_batch_size,
            beside=[self.recalibration, self.validation],
        )
        return batches

    def accumulator(self) -> HalvedMetric:
        """What adds a path's score up, and those of both halves."""
        return HalvedMetric(self.metric, self.options.drawn_by)

    def network(self) -> Supernet:
        """The network, with the trained weights.

        Raises:
            UserError: They are of another one.
        """
        network = Supernet(self.blueprint, width_mode=self.options.width_mode)
        with said_of(self.supernet.words()):
            load_weights(network, self.weights)
        return network


def _scored(images: SearchData, options: ScoringOptions) -> AnySplit:
    """The images that were held out, and training images if they are asked.

    Raises:
        UserError: There are not as many, or the two are of different kinds.
    """
    wanted = options.scored_training_images
    if not wanted:
        return images.validation
    # Others than those that batch norm is recalibrated on, mostly.
    seed = derive_seed(options.drawn_by, Purpose.SCORED_IMAGES, 1)
    further = images.draw(wanted, seed)
    if len(further) < wanted:
        raise UserError(
            f"`scored_training_images` is at most {len(further):,}, the "
            f"training images that are left; got {wanted}. Lower it."
        )
    return joined(images.validation, further)


def memo_of(
    task: ScoringTask, path: pathlib.Path, threads: int | None, *further: object
) -> ScoreMemo:
    """Scores that runs beside each other share.

    Args:
        task: What they depend on.
        path: Of the file.
        threads: CPU threads of whoever scores.
        *further: What they depend on besides.
    """
    return ScoreMemo(
        path,
        task.metric.name,
        *task.scored_with.values(),
        task.options.evaluation_batch_size,
        threads,
        task.options.width_mode,
        keras.config.dtype_policy().name,
        *further,
        f"halves of seed {task.options.drawn_by}",
        direction=task.metric.direction,
    )


def tell_outdated(path: pathlib.Path | None, count: int) -> None:
    """Says that scores of an earlier version are computed anew.

    Args:
        path: Where they stand.
        count: How many they are.
    """
    if count:
        tell(
            f"{count:,} scores in {path} are of an earlier version, which did "
            "not score both halves of the images: they are scored anew."
        )


def local_scorer(task: ScoringTask, network: Supernet | None = None) -> Scorer:
    """Scores in this process.

    Args:
        task: What is scored.
        network: With the weights, whatever they are by then; one is made of
            the task if None.
    """
    return scorer_of(task, _evaluator(task, network or task.network()))


def _evaluator(task: ScoringTask, network: Supernet) -> _AnyEvaluator:
    kind = TreeEvaluator if task.is_tree else Evaluator
    return kind(network, *task.batches(), task.accumulator())


def scorer_of(task: ScoringTask, evaluator: _AnyEvaluator) -> Scorer:
    """Has an evaluator score as many paths together as is worth it.

    Args:
        task: Of the evaluator.
        evaluator: With batches from `ScoringTask.batches`.
    """
    scorer = _in_chunks(task, evaluator)
    if task.confirmation is not None:
        confirmation = task.confirmation

        def confirming() -> Scorer:
            batches = task.batches_of(confirmation)
            metric = PartedMetric(task.metric)
            return _in_chunks(task, evaluator.scoring_on(batches, metric))

        scorer.confirming = confirming
    return scorer


def _in_chunks(task: ScoringTask, evaluator: _AnyEvaluator) -> Scorer:
    size = task.options.chunk_size
    if isinstance(evaluator, TreeEvaluator):
        return ChunkScorer(evaluator, task.blueprint.settings, size)
    if not size and any(
        isinstance(one, KeptBatches) and one.place == "source"
        for one in evaluator.batches
    ):
        size = _CHUNK
    if size > 1:
        return ChunkScorer(evaluator.together, chunk_size=size)
    return LocalScorer(evaluator)


# The last evaluator of a supernet in this process: another search with the
# same images and numbers traces nothing again. It goes with the supernet.
_EVALUATORS: weakref.WeakKeyDictionary[
    TrainedSupernet, tuple[str, _AnyEvaluator]
] = weakref.WeakKeyDictionary()


def _traced_scorer(task: ScoringTask, threads: int | None) -> Scorer:
    key = json.dumps(
        [
            dict(task.scored_with),
            ScoringOptions.of(task.options).to_dict(),
            task.is_tree,
            task.metric.identity,
            threads,
        ],
        sort_keys=True,
        default=str,
    )
    known = _EVALUATORS.get(task.supernet)
    if known is None or known[0] != key:
        # Before the next one's images are read: it has some of its own.
        _EVALUATORS.pop(task.supernet, None)
        known = key, _evaluator(task, task.network())
        _EVALUATORS[task.supernet] = known
    return scorer_of(task, known[1])


@contextlib.contextmanager
def open_scorer(
    task: ScoringTask, workers: WorkerOptions, threads: int | None
) -> Iterator[Scorer]:
    """Loads weights and images, here or in workers.

    Args:
        task: What is scored.
        workers: Who scores.
        threads: CPU threads of a worker; of this process they are as they
            are.

    Raises:
        UserError: The images cannot be read, or there are no workers to be
            had.
    """
    if task.options.scoring == "tree" and not task.is_tree:
        meets = can_share(task.blueprint.reads)
        tell(
            f"Paths of {task.blueprint.search_space.name} cannot be scored as "
            "a tree, since "
            + (
                "their blocks are summed"
                if meets
                else "their first part depends on every choice"
            )
            + ": they are scored one by one."
        )
    if workers.workers == "local":
        yield _traced_scorer(task, threads)
        return
    options = PoolOptions(
        workers=workers.num_workers or 0,
        threads=threads or 1,
        gpus=workers.worker_gpus,
        address=workers.ray_address,
        python_path=tuple(map(os.path.abspath, sys.path)),
        environment={"TF_CPP_MIN_LOG_LEVEL": "3"},
        sent_bytes=_size(task),
    )
    # A copy computes its own fingerprints, and lacks what workers do not need.
    sent = dataclasses.replace(
        task, supernet=task.supernet.to_send(task.options)
    )
    arguments = {
        "task": sent,
        "folder": os.getcwd(),
        "threads": options.threads,
        "workers": options.workers,
    }
    with open_pool(_FACTORY, arguments, options, tell) as pool:
        tell(f"{pool.workers} workers are loading network and images.")
        if pool.described["scored_with"] != task.scored_with:
            raise UserError(
                "The images of the workers differ from those of this process. "
                "Give every machine of the cluster the same files."
            )
        settings = task.blueprint.settings if task.is_tree else None
        # As this machine would keep them; others may have another disk.
        here = dataclasses.replace(
            task, sharers=_sharers(options.threads, options.workers)
        )
        make = functools.partial(
            RayScorer,
            pool,
            settings,
            task.options.chunk_size,
            together=_CHUNK if "source" in here.places() else 0,
        )
        scorer = make()
        if task.confirmation is not None:
            scorer.confirming = functools.partial(make, confirms=True)
        yield scorer


def _size(task: ScoringTask) -> int:
    """About the bytes that workers are sent."""
    size = sum(array.nbytes for array in task.weights.values())
    for split in (task.recalibration, task.validation, task.confirmation):
        if isinstance(split, Split):
            size += (
                split.items.nbytes
                if split.kind == "pixels"
                else sum(map(len, split.items))
            )
    return size


def make_worker(
    task: ScoringTask, folder: str, threads: int, workers: int
) -> "_Worker":
    """Loads a task; called in a worker.

    Args:
        task: What is scored.
        folder: That paths start from.
        threads: CPU threads of the worker.
        workers: That were asked for; 0: as many as there is room for.

    Raises:
        UserError: This machine lacks the folder, or an image cannot be read.
    """
    try:
        os.chdir(folder)
    except OSError:
        raise UserError(
            f"Worker machine {os.uname().nodename} has no folder {folder!r}. "
            "Every machine of the cluster needs the same paths."
        ) from None
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    sharers = _sharers(threads, workers)
    return _Worker(dataclasses.replace(task, sharers=sharers))


def _sharers(threads: int, workers: int) -> int:
    """Most workers of this machine, among which memory is divided."""
    most = max(1, (os.cpu_count() or 1) // threads)
    return min(most, workers) if workers else most


class _Worker:
    """Scores chunks as `ray_worker.Worker` asks for them."""

    def __init__(self, task: ScoringTask) -> None:
        # The process is this task's for good.
        process_settings(
            deterministic=True, dtype_policy=task.options.dtype_policy
        ).__enter__()
        self._scorer = local_scorer(task)
        self._confirming: Scorer | None = None
        self.described = {"scored_with": task.scored_with}

    def __call__(self, encodings: list[list[int]]) -> Sequence[Measured]:
        """A score for each of a chunk of encodings."""
        return _scores(self._scorer, encodings)

    def confirm(self, encodings: list[list[int]]) -> Sequence[Measured]:
        """The same on the images that a winner is confirmed on."""
        if self._confirming is None:
            assert self._scorer.confirming is not None
            self._confirming = self._scorer.confirming()
        return _scores(self._confirming, encodings)


def _scores(
    scorer: Scorer, encodings: Sequence[Sequence[int]]
) -> list[Measured]:
    """In the order of the encodings."""
    positions = scorer.submit([tuple(one) for one in encodings])
    found = {one.position: one.measured for one in scorer.results()}
    return [found[position] for position in positions]
