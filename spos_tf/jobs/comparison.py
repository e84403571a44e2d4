"""Scores a benchmark's architectures with a supernet's checkpoints."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tqdm

from spos_tf.analysis.score_file import Scored, ScoreFile
from spos_tf.atomic_write import write_json
from spos_tf.errors import UserError
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.scorer import Remembered, Scorer
from spos_tf.evaluation.shared_statistics import SharedStatistics
from spos_tf.jobs.correlation_files import Compared
from spos_tf.jobs.process import threads
from spos_tf.jobs.scoring import (
    ScoringTask,
    local_scorer,
    memo_of,
    scorer_of,
    tell_outdated,
)
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.transfer import load_weights
from spos_tf.options import CorrelationOptions
from spos_tf.progress import progress
from spos_tf.strict_json import parse_json

_WITH_FILE, _SCORES_FILE = "scored_with.json", "scores.jsonl"


class Comparison:
    """Scores architectures with one checkpoint's weights after another.

    The network is traced once: weights are replaced.

    Args:
        task: With the weights that are scored first.
        compared: The architectures.
        folder: Of the comparison.
        options: How they are scored.
    """

    def __init__(
        self,
        task: ScoringTask,
        compared: Compared,
        folder: pathlib.Path,
        options: CorrelationOptions,
    ) -> None:
        self._task = task
        self._compared = compared
        self._folder = folder
        self._options = options
        path = folder / _SCORES_FILE
        self._known = ScoreFile(path, task.metric.name)
        tell_outdated(path, self._known.outdated)
        _check_unchanged(folder / _WITH_FILE, task, compared)
        self._network = task.network()
        self._shared: SharedStatistics[Measured] | None = None
        self._scorer = self._made()

    def _made(self) -> Scorer:
        task, options = self._task, self._options
        if options.statistics == "recalibrated":
            return local_scorer(task, self._network)
        self._shared = SharedStatistics(
            self._network,
            *task.batches(),
            task.blueprint.search_space.sample(
                np.random.default_rng(options.seed), options.shared_paths
            ),
            task.accumulator(),
        )
        return scorer_of(task, self._shared)

    def scores(
        self, checkpoints: Sequence[Callable[[], TrainedSupernet]]
    ) -> dict[int, np.ndarray]:
        """Scores by training steps, float64 `[architectures]`.

        Args:
            checkpoints: Each gives the supernet with its weights.
        """
        found = {}
        total = len(checkpoints) * len(self._compared.encodings)
        with progress(total=total, desc="scoring", unit="architecture") as bar:
            for take in checkpoints:
                supernet = take()
                bar.set_postfix_str(f"step {supernet.step}", refresh=False)
                found[supernet.step] = self._at(supernet, bar)
        return dict(sorted(found.items()))

    def halves(self, step: int) -> list[tuple[float, ...]]:
        """Scores on both halves of the images with a checkpoint's weights.

        Args:
            step: Of the checkpoint, which is scored.
        """
        found = [
            self._known.get(step, tuple(one))
            for one in self._compared.encodings.tolist()
        ]
        return [one.halves or () for one in found if one is not None]

    def _at(
        self, supernet: TrainedSupernet, bar: "tqdm.tqdm[Any]"
    ) -> np.ndarray:
        task = dataclasses.replace(self._task, supernet=supernet)
        _check_unchanged(self._folder / _WITH_FILE, task, self._compared)
        keys = [tuple(one) for one in self._compared.encodings.tolist()]
        unknown = [
            place
            for place, key in enumerate(keys)
            if self._known.get(supernet.step, key) is None
        ]
        bar.update(len(keys) - len(unknown))
        if unknown:
            self._score(task, unknown, keys, bar)
        scores = [self._known.get(supernet.step, key) for key in keys]
        return np.array([one.score for one in scores if one is not None])

    def _score(
        self,
        task: ScoringTask,
        unknown: Sequence[int],
        keys: Sequence[tuple[int, ...]],
        bar: "tqdm.tqdm[Any]",
    ) -> None:
        """Scores architectures that are not known, and keeps every score."""
        load_weights(self._network, task.weights)
        shared: tuple[object, ...] = ()
        if self._shared is not None:
            self._shared.forget()
            options = self._options
            shared = "shared", options.shared_paths, options.seed
        # Comparisons in the work_dir share it.
        path = self._folder.parent / _SCORES_FILE
        memo = memo_of(task, path, threads(), *shared)
        scorer = Remembered(self._scorer, memo)
        submitted = scorer.submit([keys[place] for place in unknown])
        places = dict(zip(submitted, unknown, strict=True))
        for score in scorer.results():
            place = places[score.position]
            self._known.append(
                Scored(
                    task.supernet.step,
                    keys[place],
                    self._compared.texts[place],
                    score.score,
                    float(self._compared.accuracies[place]),
                    score.seconds,
                    score.halves,
                )
            )
            bar.update()


def _check_unchanged(
    path: pathlib.Path, task: ScoringTask, compared: Compared
) -> None:
    """A file of scores mixes no other weights, images or tables.

    What they are made with stands beside them; checkpoints are added to it.
    """
    made_with = dict(task.scored_with)
    digest = made_with.pop("supernet")
    now: dict[str, Any] = {"table": compared.fingerprint, **made_with}
    weights = {str(task.supernet.step): digest}
    if path.exists():
        try:
            before = dict(parse_json(path.read_bytes()))
            stored = dict(before.pop("supernet"))
        except (ValueError, KeyError, TypeError):
            before, stored = {}, {}
        if before != now or any(
            stored.get(step, value) != value for step, value in weights.items()
        ):
            raise UserError(
                "The supernet, the images or the table changed since the "
                f"comparison in {str(path.parent)!r} began (see {path.name}). "
                "Choose another `name`, or delete that folder."
            )
        weights = {**weights, **stored}
    write_json(path, {**now, "supernet": weights})
