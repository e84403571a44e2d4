"""What a network scores on images, and what its loss is there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.data.examples import AnySplit
from spos_tf.data.pipeline import evaluation_batches
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.errors import UserError
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.training.objective import Objective

_BATCH = 256


class ScoreAndLoss:
    """A metric that adds up the loss besides; for an `Evaluator` too.

    Args:
        objective: The loss and the metric.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._metric = objective.metric.fresh()
        self._loss, self._images = 0.0, 0

    @property
    def name(self) -> str:
        """What the metric is called."""
        return self._metric.name

    @property
    def loss(self) -> float:
        """Mean of all batches since the last `reset`."""
        return self._loss / max(self._images, 1)

    def fresh(self) -> "ScoreAndLoss":
        """The same with a state of its own, which is empty."""
        return ScoreAndLoss(self._objective)

    def reset(self) -> None:
        """Empties the state."""
        self._metric.reset()
        self._loss, self._images = 0.0, 0

    def update(self, labels: Any, logits: tf.Tensor) -> None:
        """Takes a batch in; see `ScoreMetric.update`."""
        count = int(logits.shape[0])
        logits = tf.cast(logits, tf.float32)
        mean = self._objective.mean_loss(labels, logits, count)
        self._loss += float(mean) * count
        self._images += count
        self._metric.update(labels, logits)

    def result(self) -> float:
        """The metric's."""
        return self._metric.result()


def score(
    predict: Callable[[np.ndarray], np.ndarray],
    split: AnySplit,
    preprocessing: PreprocessingOptions,
    metric: ScoreMetric | ScoreAndLoss,
    *,
    batch_size: int = _BATCH,
) -> float:
    """What a network scores on all images of a split.

    Args:
        predict: float32 images `[batch, height, width, 3]` -> logits
            `[batch, classes]`.
        split: At least one image.
        preprocessing: How they become inputs.
        metric: Of the score.
        batch_size: Images at once.

    Raises:
        UserError: An image cannot be read, or a logit is not finite.
    """
    metric.reset()
    total = 0
    for images, labels in evaluation_batches(
        split, preprocessing, batch_size=batch_size
    ).as_numpy_iterator():
        logits = predict(images)
        if not np.isfinite(logits).all():
            raise UserError(
                "Logits are finite numbers; the network gives NaN or infinity "
                f"among images {total} to {total + len(labels) - 1} of "
                f"{split.name!r}. Train it again."
            )
        metric.update(labels, tf.convert_to_tensor(logits))
        total += len(labels)
    return metric.result()
