"""The accuracy of a path with the supernet's weights."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.networks.supernet import Supernet, pooled_statistics

Batches = Iterable[tuple[tf.Tensor, tf.Tensor]]


class Evaluator:
    """Recalibrates batch norm for a path, then scores it (section 3.4).

    A score is a function of the weights, the images and the path: nothing is
    kept between candidates, so their order does not matter.

    Args:
        supernet: Trained supernet.
        recalibration: Batches (images, labels) of the training split; read
            anew for every candidate.
        scoring: Batches of the search split, likewise.
    """

    def __init__(
        self, supernet: Supernet, recalibration: Batches, scoring: Batches
    ) -> None:
        self._supernet = supernet
        self._recalibration = recalibration
        self._scoring = scoring
        image = tf.TensorSpec(
            [None, *supernet.blueprint.input_shape], tf.float32
        )
        path = tf.TensorSpec(
            [supernet.blueprint.search_space.num_choices], tf.int32
        )
        self._moments = tf.function(
            supernet.batch_moments,
            input_signature=[image, path],
            autograph=False,
        )
        self._hits = tf.function(
            self._count_hits, reduce_retracing=True, autograph=False
        )

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
    ) -> float:
        """Share of the search split that is classified correctly.

        Args:
            encoding: int32 `[num_choices]`.
            statistics: From `recalibrate` for the same encoding.

        Raises:
            UserError: The encoding is not one of the space, the split is
                empty, or a logit is not finite.
        """
        path = self._path(encoding)
        hits = total = 0
        for images, labels in self._scoring:
            correct, finite = self._hits(images, labels, path, statistics)
            if not bool(finite):
                raise not_finite(encoding)
            hits += int(correct)
            total += int(images.shape[0])
        if not total:
            raise no_images("Scoring")
        return hits / total

    def __call__(self, encoding: npt.ArrayLike) -> float:
        """Recalibrates, then scores."""
        return self.score(encoding, self.recalibrate(encoding))

    def _path(self, encoding: npt.ArrayLike) -> tf.Tensor:
        space = self._supernet.blueprint.search_space
        return tf.constant(space.check(encoding))

    def _count_hits(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        path: tf.Tensor,
        statistics: list[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._supernet(images, path, statistics=statistics)
        hits, finite = count_hits(logits, labels)
        # The images too: on CPU a batch norm fused with its ReLU makes 0 of
        # NaN.
        return hits, tf.logical_and(all_finite(images), finite)


def count_hits(
    logits: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """How many images are classified correctly, and whether that is to trust.

    Args:
        logits: Floating `[batch, classes]`.
        labels: int32 `[batch]`.

    Returns:
        int32 `[]`, and bool `[]`: whether all logits are finite.
    """
    logits = tf.cast(logits, tf.float32)
    hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
    return tf.reduce_sum(tf.cast(hits, tf.int32)), all_finite(logits)


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
