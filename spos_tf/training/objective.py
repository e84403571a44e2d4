"""What a training minimises, and what it is measured by."""

import dataclasses
import json
from typing import Any

import keras
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.evaluation.metric import LabelForm, ScoreMetric, label_form

# Keras's losses that take probabilities and have no `from_logits`.
_OF_PROBABILITIES = (
    keras.losses.Dice,
    keras.losses.KLDivergence,
    keras.losses.Poisson,
    keras.losses.Tversky,
)


@dataclasses.dataclass(frozen=True)
class Objective:
    """Loss and metric of a run; see `make`.

    Attributes:
        loss: A Keras loss of logits; None for the cross-entropy with
            `label_smoothing`.
        metric: What validations, searches and reports measure.
        labels: The form of labels that the loss takes.
        label_smoothing: epsilon in (1 - epsilon) y + epsilon / classes.
        num_classes: Classes of the network.
        keras_metric: The metric as it was given.
    """

    loss: keras.losses.Loss | None
    metric: ScoreMetric
    labels: LabelForm
    label_smoothing: float
    num_classes: int
    keras_metric: keras.metrics.Metric | None = None

    @classmethod
    def make(
        cls,
        loss: keras.losses.Loss | None = None,
        metric: keras.metrics.Metric | None = None,
        labels: str | None = None,
        direction: str = "max",
        label_smoothing: float = 0.0,
        *,
        num_classes: int,
    ) -> "Objective":
        """The objective of a run.

        Args:
            loss: A Keras loss; None for the cross-entropy. It gets logits,
                and integer labels if its class is named `Sparse*`, else
                one-hot vectors.
            metric: A Keras metric; None for accuracy. See `ScoreMetric.make`.
            labels: `"sparse"` or `"one_hot"`, where the names of the classes
                of loss and metric do not say what they take.
            direction: `"max"` if a larger metric is better, else `"min"`.
            label_smoothing: Of the cross-entropy; a loss of the user's has
                its own.
            num_classes: Classes of the network.

        Raises:
            UserError: The loss is none of Keras's, or takes probabilities;
                or see `ScoreMetric.make`.
        """
        if loss is not None:
            _check_loss(loss, label_smoothing)
        return cls(
            loss,
            ScoreMetric.make(
                metric,
                labels=labels,
                direction=direction,
                num_classes=num_classes,
            ),
            label_form(loss, labels),
            label_smoothing,
            num_classes,
            metric,
        )

    def mean_loss(
        self, labels: tf.Tensor, logits: tf.Tensor, global_batch_size: int
    ) -> tf.Tensor:
        """This replica's part of the mean over the global batch.

        Args:
            labels: int32 `[n]`.
            logits: float32 `[n, classes]`.
            global_batch_size: Images of all replicas.

        Returns:
            float32 scalar; summed over replicas it is the global mean, and so
            are the gradients.
        """
        one_hot = tf.one_hot(labels, self.num_classes)
        if self.loss is None:
            losses = keras.losses.categorical_crossentropy(
                one_hot,
                logits,
                from_logits=True,
                label_smoothing=self.label_smoothing,
            )
            return tf.reduce_sum(losses) / global_batch_size
        given = labels if self.labels == "sparse" else one_hot
        mean = tf.reduce_mean(tf.cast(self.loss(given, logits), tf.float32))
        if getattr(self.loss, "reduction", None) == "sum":
            return mean
        share = tf.cast(tf.shape(logits)[0], tf.float32) / global_batch_size
        return mean * share

    @property
    def identity(self) -> str:
        """The loss's class and configuration, text that checkpoints hold."""
        if self.loss is None:
            return "categorical_crossentropy"
        config = json.dumps(self.loss.get_config(), sort_keys=True, default=str)
        return f"{type(self.loss).__qualname__} {config}"


def _check_loss(loss: Any, label_smoothing: float) -> None:
    if not isinstance(loss, keras.losses.Loss):
        raise UserError(
            "`loss` is a Keras loss such as "
            "keras.losses.CategoricalFocalCrossentropy(from_logits=True); got "
            f"{loss!r}."
        )
    if label_smoothing:
        raise UserError(
            "`label_smoothing` belongs to the default loss; got "
            f"`label_smoothing={label_smoothing}` with a "
            f"{type(loss).__name__}. Set it to 0 and give the loss its own."
        )
    name = type(loss).__name__
    if type(loss) in _OF_PROBABILITIES:
        raise UserError(
            "Networks give logits, not probabilities; `loss` is a "
            f"{name}, which takes probabilities. Give a loss that has "
            "from_logits=True, or a class of your own that calls it on the "
            "softmax of the logits."
        )
    if _from_logits(loss) is False:
        raise UserError(
            "Networks give logits, not probabilities; `loss` is a "
            f"{name} with from_logits=False. Make it by "
            f"{name}(from_logits=True)."
        )


def _from_logits(loss: keras.losses.Loss) -> bool | None:
    """What the loss says of its input; None where it says nothing."""
    said = getattr(loss, "from_logits", None)
    if said is None:
        # Losses that wrap a function keep its arguments so.
        said = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    return said
