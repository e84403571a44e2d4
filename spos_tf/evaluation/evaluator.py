"""The score of a path with the supernet's weights."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Generic, Self, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.evaluation.metric import Accumulator, Result, ScoreMetric
from spos_tf.networks.supernet import PathMoments, Supernet
from spos_tf.ops.dispatch import on_host

Batches = Iterable[tuple[tf.Tensor, tf.Tensor]]


class PathEvaluator(Generic[Result]):
    """What scores paths of a supernet: its weights, images and a metric.

    Args:
        supernet: Trained supernet.
        recalibration: Batches (images, labels) of the training split.
        scoring: Batches of the search split.
        metric: What is scored; accuracy if None.
    """

    def __init__(
        self,
        supernet: Supernet,
        recalibration: Batches,
        scoring: Batches,
        metric: Accumulator[Result] | None = None,
    ) -> None:
        self._supernet = supernet
        self._metric = metric or cast(
            Accumulator[Result], accuracy_of(supernet)
        )
        self._recalibration = recalibration
        self._scoring = scoring

    def scoring_on(self, scoring: Batches, metric: Accumulator[Any]) -> Self:
        """The same on other images; what was traced is shared.

        Args:
            scoring: Batches that paths are scored on.
            metric: What is scored.
        """
        other = copy.copy(self)
        other._scoring, other._metric = scoring, metric
        return other


class Evaluator(PathEvaluator[Result]):
    """Recalibrates batch norm for a path, then scores it (section 3.4).

    A score is a function of the weights, the images and the path: nothing is
    kept between candidates, so their order does not matter.

    Args:
        supernet: Trained supernet.
        recalibration: Batches (images, labels) of the training split; gone
            through once for all candidates that are scored together.
        scoring: Batches of the search split, likewise.
        metric: What is scored, and so what a score is: a number, or with
            `HalvedMetric` that of each half of the images too. Accuracy if
            None.

    Attributes:
        passes_by_branch: Batches that go through a chain branch by branch,
            for which only the branches that they meet are traced, before a
            graph of all is worth its traces. Scores are the same bit for bit.
    """

    # The graph takes many times as long to trace as the branches of a path,
    # and at 32 pixels two thirds of their time to run.
    passes_by_branch = 32

    def __init__(
        self,
        supernet: Supernet,
        recalibration: Batches,
        scoring: Batches,
        metric: Accumulator[Result] | None = None,
    ) -> None:
        super().__init__(supernet, recalibration, scoring, metric)
        image = tf.TensorSpec(
            [None, *supernet.blueprint.input_shape], tf.float32
        )
        path = tf.TensorSpec(
            [supernet.blueprint.search_space.num_choices], tf.int32
        )
        self._graph_moments = tf.function(
            supernet.batch_moments,
            input_signature=[image, path],
            autograph=False,
        )
        self._graph_logits = tf.function(
            self._checked_logits, reduce_retracing=True, autograph=False
        )
        self._is_chain = supernet.blueprint.is_chain
        self._passes = 0

    @property
    def batches(self) -> tuple[Batches, Batches]:
        """Those that recalibrate, and those that are scored on."""
        return self._recalibration, self._scoring

    def recalibrate(self, encoding: npt.ArrayLike) -> list[tf.Tensor]:
        """Population statistics of every batch norm on the path.

        Each batch is normalised with its own moments; they are pooled to
        those of all images, not averaged exponentially.

        Args:
            encoding: int32 `[num_choices]`.

        Returns:
            A float32 `[2, channels]` a segment: mean and variance.

        Raises:
            UserError: The encoding is not one of the space, there are no
                images, or a moment is not finite.
        """
        (statistics,) = self._recalibrated([encoding])
        if not _is_sound(statistics):
            raise not_finite(encoding)
        return statistics

    def score(
        self, encoding: npt.ArrayLike, statistics: list[tf.Tensor]
    ) -> Result:
        """What the metric gives for the search split.

        Args:
            encoding: int32 `[num_choices]`.
            statistics: From `recalibrate` for the same encoding.

        Raises:
            UserError: The encoding is not one of the space, the split is
                empty, or a logit is not finite.
        """
        (metric,) = self._scored([encoding], [statistics])
        return metric.result()

    def __call__(self, encoding: npt.ArrayLike) -> Result:
        """Recalibrates, then scores."""
        return self.together([encoding])[0]

    def together(self, encodings: Sequence[npt.ArrayLike]) -> list[Result]:
        """What the metric gives for the search split, of several candidates.

        Bit for bit the scores of one candidate after the other, but the
        images are gone through twice for all of them.

        Args:
            encodings: int32 `[num_choices]` each.

        Raises:
            UserError: An encoding is not one of the space, there are no
                images, or a moment or logit is not finite, which names the
                first candidate with one.
        """
        return [metric.result() for metric in self.measure(encodings)]

    def measure(
        self, encodings: Sequence[npt.ArrayLike]
    ) -> list[Accumulator[Result]]:
        """As `together`; gives the metrics, until the next call."""
        statistics = self._recalibrated(encodings)
        # As if one came after the other: those before the first that fails
        # are scored, and one of them may fail there.
        sound = next(
            (i for i, one in enumerate(statistics) if not _is_sound(one)),
            len(encodings),
        )
        metrics = self._scored(encodings[:sound], statistics[:sound])
        if sound < len(encodings):
            raise not_finite(encodings[sound])
        return metrics

    def _recalibrated(
        self, encodings: Sequence[npt.ArrayLike]
    ) -> list[list[tf.Tensor]]:
        """See `recalibrate`; moments may be other than finite."""
        paths = [self._path(encoding) for encoding in encodings]
        pooled = [PathMoments() for _ in paths]
        images_seen = 0
        for images, _ in self._recalibration:
            count = int(images.shape[0])
            images_seen += count
            for path, moments in zip(paths, pooled, strict=True):
                moments.add(count, self._moments(images, path))
        if not images_seen:
            raise no_images("Recalibration")
        return [moments.statistics() for moments in pooled]

    def _scored(
        self,
        encodings: Sequence[npt.ArrayLike],
        statistics: Sequence[list[tf.Tensor]],
    ) -> list[Accumulator[Result]]:
        """Metrics that have seen all images, of each."""
        paths = [self._path(encoding) for encoding in encodings]
        if not paths:
            return []
        # One candidate takes the metric that there is: a Keras metric makes
        # variables.
        metrics: list[Accumulator[Result]] = [self._metric]
        if len(paths) > 1:
            metrics = [self._metric.fresh() for _ in paths]
        self._metric.reset()
        failed = len(paths)
        total = 0
        for images, labels in self._scoring:
            total += int(images.shape[0])
            # What comes after one that failed is not asked for.
            for index in range(failed):
                logits, finite = self._logits(
                    images, paths[index], statistics[index]
                )
                if not bool(finite):
                    failed = index
                    break
                metrics[index].update(labels, logits)
            if not failed:
                break
        if failed < len(paths):
            raise not_finite(encodings[failed])
        if not total:
            raise no_images("Scoring")
        return metrics

    def _path(self, encoding: npt.ArrayLike) -> tf.Tensor:
        space = self._supernet.blueprint.search_space
        with on_host():
            return tf.constant(space.check(encoding))

    def _goes_by_branch(self) -> bool:
        """Whether the next batch does."""
        self._passes += 1
        return self._is_chain and self._passes <= self.passes_by_branch

    def _moments(self, images: tf.Tensor, path: tf.Tensor) -> list[tf.Tensor]:
        if self._goes_by_branch():
            return self._supernet.path_moments(images, path)
        return self._graph_moments(images, path)

    def _logits(
        self, images: tf.Tensor, path: tf.Tensor, statistics: list[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits, float32 `[batch, classes]`, and whether all are finite."""
        if self._goes_by_branch():
            logits = self._supernet.path_logits(images, path, statistics)
            return _checked(images, logits)
        return self._graph_logits(images, path, statistics)

    def _checked_logits(
        self, images: tf.Tensor, path: tf.Tensor, statistics: list[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._supernet(images, path, statistics=statistics)
        return _checked(images, logits)


def _checked(
    images: tf.Tensor, logits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    logits = tf.cast(logits, tf.float32)
    # The images too: on CPU a batch norm fused with its ReLU makes 0 of NaN.
    return logits, tf.logical_and(all_finite(images), all_finite(logits))


def _is_sound(statistics: Sequence[tf.Tensor]) -> bool:
    return all(np.isfinite(one).all() for one in statistics)


def accuracy_of(supernet: Supernet) -> ScoreMetric:
    """Accuracy over the supernet's classes."""
    return ScoreMetric.make(num_classes=supernet.blueprint.num_classes)


def all_finite(x: tf.Tensor) -> tf.Tensor:
    """bool `[]`: whether there is neither a NaN nor an infinity in `x`."""
    return tf.reduce_all(tf.math.is_finite(x))


def no_images(step: str) -> UserError:
    """The error of a step that was given no batches."""
    return UserError(f"{step} needs at least one image; got none.")


def not_finite(encoding: npt.ArrayLike) -> UserError:
    """The error of a candidate with a moment or logit that is not finite."""
    return UserError(
        f"Path {np.asarray(encoding).tolist()} gives values that are not "
        "finite: the supernet has diverged, or an image is not finite."
    )
