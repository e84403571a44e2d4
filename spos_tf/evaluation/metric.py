"""What a network is scored by: accuracy, or a Keras metric of the user's."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, get_args

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.space.candidate import ACCURACY, Direction

# Classes of images, int32 [n].
Labels: TypeAlias = npt.ArrayLike | tf.Tensor
LabelForm = Literal["sparse", "one_hot"]
_LOSS = "loss"

# They are what is counted where no metric is given.
_ACCURACIES = (
    keras.metrics.SparseCategoricalAccuracy,
    keras.metrics.CategoricalAccuracy,
)
# Keras's metrics that compare probabilities with a threshold or with labels.
# Those of cross-entropies say `from_logits` instead.
_OF_PROBABILITIES = (
    keras.metrics.AUC,
    keras.metrics.BinaryAccuracy,
    keras.metrics.BinaryIoU,
    keras.metrics.FalseNegatives,
    keras.metrics.FalsePositives,
    keras.metrics.FBetaScore,
    keras.metrics.KLDivergence,
    keras.metrics.LogCoshError,
    keras.metrics.MeanAbsoluteError,
    keras.metrics.MeanAbsolutePercentageError,
    keras.metrics.MeanSquaredError,
    keras.metrics.MeanSquaredLogarithmicError,
    keras.metrics.Poisson,
    keras.metrics.Precision,
    keras.metrics.PrecisionAtRecall,
    keras.metrics.R2Score,
    keras.metrics.Recall,
    keras.metrics.RecallAtPrecision,
    keras.metrics.RootMeanSquaredError,
    keras.metrics.SensitivityAtSpecificity,
    keras.metrics.SpecificityAtSensitivity,
    keras.metrics.TrueNegatives,
    keras.metrics.TruePositives,
)


# Those that compare numbers of classes, which logits are not.
_OF_CLASSES = (
    keras.metrics.Accuracy,
    keras.metrics.IoU,
    keras.metrics.MeanIoU,
)

# What an evaluator gives: a score, or one with those of both halves.
Result = TypeVar("Result", covariant=True)


class Accumulator(Protocol[Result]):
    """What an evaluator adds batches up with."""

    def reset(self) -> None:
        """Empties the state."""

    def update(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Takes int32 `[n]` labels and float32 `[n, classes]` logits in."""

    def result(self) -> Result:
        """The score of all batches since the last `reset`."""

    def fresh(self) -> "Accumulator[Result]":
        """The same with a state of its own, which is empty."""


class ScoreMetric:
    """Accumulates the score of one network over batches; see `make`.

    Attributes:
        name: What files and plots call the score.
        direction: `"max"` where larger is better, `"min"` where smaller is.
        identity: JSON text that differs where scores may differ.
        labels: The form of labels that the metric takes.
        num_classes: Of the labels.
    """

    def __init__(
        self,
        metric: keras.metrics.Metric | None,
        labels: LabelForm,
        direction: Direction,
        num_classes: int,
    ) -> None:
        self._kind = None if metric is None else type(metric)
        self._config = {} if metric is None else _config(metric)
        self._made = metric
        self.labels: LabelForm = labels
        self.num_classes = num_classes
        self._probabilities = metric is not None and needs_probabilities(metric)
        self._hits = self._images = 0
        self.direction: Direction = direction
        self.name: str = ACCURACY if metric is None else _name(metric)
        self.identity = json.dumps(
            {
                "metric": None if metric is None else _description(metric),
                "labels": labels,
                "direction": direction,
            },
            sort_keys=True,
        )

    @classmethod
    def make(
        cls,
        metric: keras.metrics.Metric | None = None,
        *,
        labels: str | None = None,
        direction: str = "max",
        num_classes: int,
        scored_by: str = ACCURACY,
    ) -> "ScoreMetric":
        """The metric of a run.

        Args:
            metric: A Keras metric; None for accuracy, the share of images
                that are classified correctly. Its state is left alone.
            labels: `"sparse"` or `"one_hot"`; see `label_form`.
            direction: `"max"` if larger is better, `"min"` if smaller is.
            num_classes: Classes of the networks.
            scored_by: "accuracy", or "loss" for the mean cross-entropy, of
                which less is better; `metric` replaces the former.

        Raises:
            UserError: One of them is something else, both are given, or the
                metric cannot be made again from its configuration.
        """
        if scored_by == _LOSS:
            if metric is not None:
                raise UserError(
                    "`scored_by=loss` is a metric of its own; got `metric` "
                    "too. Leave one of them out."
                )
            metric = keras.metrics.SparseCategoricalCrossentropy(
                name=_LOSS, from_logits=True
            )
            direction = "min"
        if direction not in get_args(Direction):
            raise UserError(
                f"`direction` is max or min; got {direction!r}. Give min for "
                "a metric that is better when it is smaller."
            )
        if metric is not None and not isinstance(metric, keras.metrics.Metric):
            raise UserError(
                "`metric` is a Keras metric such as keras.metrics.AUC(); got "
                f"{metric!r}."
            )
        if type(metric) in _OF_CLASSES:
            raise UserError(
                "Networks give a logit for each class; `metric` is a "
                f"{type(metric).__name__}, which compares numbers of classes. "
                "Leave it out for the accuracy, or give for example a "
                "keras.metrics.OneHotMeanIoU."
            )
        form = label_form(metric, labels)
        if metric is None or type(metric) in _ACCURACIES:
            if direction == "min":
                raise UserError(
                    "Accuracy is better when it is larger; got "
                    "`direction=min`. Leave it out, or give another `metric`."
                )
            metric = None
        return cls(_again(metric), form, direction, num_classes)  # type: ignore[arg-type]

    @property
    def is_accuracy(self) -> bool:
        """Whether the score is a share of images, from 0 to 1."""
        return self.name == ACCURACY

    @property
    def counts_hits(self) -> bool:
        """Whether `hits` are counted, and no Keras metric is updated."""
        return self._kind is None

    @property
    def chance(self) -> float | None:
        """Accuracy of guessing; None for other metrics."""
        return 1 / self.num_classes if self.counts_hits else None

    def fresh(self) -> "ScoreMetric":
        """The same metric with a state of its own, which is empty."""
        return ScoreMetric(
            _again(self._metric), self.labels, self.direction, self.num_classes
        )

    def update(self, labels: Labels, logits: tf.Tensor) -> None:
        """Takes a batch in.

        Args:
            labels: int32 `[n]`.
            logits: float32 `[n, classes]`.
        """
        if self._metric is None:
            self.count(self.hits(labels, logits))
            return
        if self.labels == "one_hot":
            labels = tf.one_hot(labels, self.num_classes)
        if self._probabilities:
            logits = tf.nn.softmax(logits)
        self._metric.update_state(labels, logits)

    @staticmethod
    def hits(labels: Labels, logits: tf.Tensor) -> npt.NDArray[np.bool_]:
        """Which images are classified correctly, bool `[n]`.

        Args:
            labels: int32 `[n]`.
            logits: float32 `[n, classes]`.
        """
        found: npt.NDArray[np.bool_] = _hits(logits, labels).numpy()
        return found

    def count(self, hits: npt.NDArray[np.bool_]) -> None:
        """Takes a batch in by its `hits`, where accuracy is scored."""
        self._hits += int(np.count_nonzero(hits))
        self._images += len(hits)

    def result(self) -> float:
        """The score of all batches since the last `reset`.

        Raises:
            UserError: The metric gives something else than one number.
        """
        if self._metric is None:
            return self._hits / self._images if self._images else 0.0
        value = np.asarray(self._metric.result())
        if value.shape != () or value.dtype.kind not in "fiu":
            raise UserError(
                f"`metric` gives one number; {self.name!r} gives "
                f"{value.dtype} of shape {list(value.shape)}. Average it."
            )
        return float(value)

    def reset(self) -> None:
        """Empties the state."""
        self._hits = self._images = 0
        if self._metric is not None:
            self._metric.reset_state()

    @property
    def _metric(self) -> keras.metrics.Metric | None:
        """The Keras metric, made when it is first used."""
        if self._kind is not None and self._made is None:
            self._made = _made(self._kind, self._config)
        return self._made

    def __getstate__(self) -> dict[str, Any]:
        # Variables do not travel to other processes, and making them there
        # starts TensorFlow: a worker sets its threads before.
        return {**self.__dict__, "_made": None}


def label_form(keras_object: object, override: str | None) -> LabelForm:
    """Which labels a Keras loss or metric takes.

    Args:
        keras_object: Classes named `Sparse*`, and those derived from one, take
            integers, others one-hot vectors; None takes integers.
        override: What the user says of it; None if nothing.

    Raises:
        UserError: `override` is neither `"sparse"` nor `"one_hot"`.
    """
    for form in get_args(LabelForm):
        if override == form:
            return form
    if override is not None:
        raise UserError(f"`labels` is sparse or one_hot; got {override!r}.")
    names = [kind.__name__ for kind in type(keras_object).__mro__]
    names.append(getattr(keras_object, "__name__", ""))
    is_sparse = any(name.lower().startswith("sparse") for name in names)
    return "sparse" if keras_object is None or is_sparse else "one_hot"


def needs_probabilities(metric: keras.metrics.Metric) -> bool:
    """Whether a metric gets the softmax of the logits instead of them.

    Metrics whose configuration has `from_logits` say so by themselves.
    """
    from_logits = metric.get_config().get("from_logits")
    if from_logits is not None:
        return not from_logits
    return isinstance(metric, _OF_PROBABILITIES)


def _name(metric: keras.metrics.Metric) -> str:
    """The name, without the number that Keras gives to the second `AUC()`."""
    name, _, number = metric.name.rpartition("_")
    own = name.replace("_", "") == type(metric).__name__.lower()
    return name if own and number.isdecimal() else str(metric.name)


def _again(metric: keras.metrics.Metric | None) -> keras.metrics.Metric | None:
    if metric is None:
        return None
    return _made(type(metric), _config(metric))


def _made(
    kind: type[keras.metrics.Metric], config: Mapping[str, Any]
) -> keras.metrics.Metric:
    try:
        return kind.from_config(dict(config))
    except (TypeError, ValueError, KeyError) as error:
        raise _unknown_arguments(kind, error) from None


def _config(metric: keras.metrics.Metric) -> dict[str, Any]:
    try:
        config: dict[str, Any] = metric.get_config()
        return config
    except (NotImplementedError, TypeError) as error:
        raise _unknown_arguments(type(metric), error) from None


def _unknown_arguments(
    kind: type[keras.metrics.Metric], error: Exception
) -> UserError:
    return UserError(
        f"`metric` is made anew for every network; {kind.__name__} cannot be "
        f"made from its get_config(): {error} Let get_config() return all its "
        "arguments."
    )


def _description(metric: keras.metrics.Metric) -> Any:
    """The class and its arguments as JSON values."""
    try:
        described = keras.saving.serialize_keras_object(metric)
        # Keras numbers the names of a process.
        described["config"].pop("name", None)
        return json.loads(json.dumps(described))
    except (TypeError, ValueError) as error:
        raise UserError(
            "`metric` has a get_config() of JSON values; that of "
            f"{type(metric).__name__} has others: {error}"
        ) from None


@tf.function(reduce_retracing=True, autograph=False)
def _hits(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """bool `[n]`: which images are classified correctly."""
    labels = tf.convert_to_tensor(labels)
    return tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
