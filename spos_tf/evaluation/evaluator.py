"""The score of a path with the supernet's weights."""

import copy
from collections.abc import Iterable
from typing import Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.evaluation.metric import Accumulator, Result, ScoreMetric
from spos_tf.networks.supernet import Supernet, pooled_statistics

Batches = Iterable[tuple[tf.Tensor, tf.Tensor]]
Other = TypeVar("Other", covariant=True)


class Evaluator(Generic[Result]):
    """Recalibrates batch norm for a path, then scores it (section 3.4).

    A score is a function of the weights, the images and the path: nothing is
    kept between candidates, so their order does not matter.

    Args:
        supernet: Trained supernet.
        recalibration: Batches (images, labels) of the training split; read
            anew for every candidate.
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
        self._supernet = supernet
        self._metric = metric or cast(
            Accumulator[Result], accuracy_of(supernet)
        )
        self._recalibration = recalibration
        self._scoring = scoring
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

    def scoring_on(
        self, scoring: Batches, metric: Accumulator[Other]
    ) -> "Evaluator[Other]":
        """The same on other images; what was traced is shared.

        Args:
            scoring: Batches that paths are scored on.
            metric: What is scored.
        """
        other: Evaluator[Other] = copy.copy(cast("Evaluator[Other]", self))
        other._scoring, other._metric = scoring, metric
        return other

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
        path = self._path(encoding)
        statistics = pooled_statistics(
            (int(images.shape[0]), self._moments(images, path))
            for images, _ in self._recalibration
        )
        if not statistics:
            raise no_images("Recalibration")
        if not all(np.isfinite(s).all() for s in statistics):
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
        path = self._path(encoding)
        self._metric.reset()
        total = 0
        for images, labels in self._scoring:
            logits, finite = self._logits(images, path, statistics)
            if not bool(finite):
                raise not_finite(encoding)
            self._metric.update(labels, logits)
            total += int(images.shape[0])
        if not total:
            raise no_images("Scoring")
        return self._metric.result()

    def __call__(self, encoding: npt.ArrayLike) -> Result:
        """Recalibrates, then scores."""
        return self.score(encoding, self.recalibrate(encoding))

    def _path(self, encoding: npt.ArrayLike) -> tf.Tensor:
        space = self._supernet.blueprint.search_space
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
        self,
        images: tf.Tensor,
        path: tf.Tensor,
        statistics: list[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits, float32 `[batch, classes]`, and whether all are finite."""
        if self._goes_by_branch():
            logits = self._supernet.path_logits(images, path, statistics)
            return _checked(images, logits)
        return self._graph_logits(images, path, statistics)

    def _checked_logits(
        self,
        images: tf.Tensor,
        path: tf.Tensor,
        statistics: list[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._supernet(images, path, statistics=statistics)
        return _checked(images, logits)


def _checked(
    images: tf.Tensor, logits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    logits = tf.cast(logits, tf.float32)
    # The images too: on CPU a batch norm fused with its ReLU makes 0 of NaN.
    return logits, tf.logical_and(all_finite(images), all_finite(logits))


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
