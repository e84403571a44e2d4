"""How a training is watched: Keras callbacks, ours and the user's."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spos_tf.options import TrainingOptions
from spos_tf.progress import progress
from spos_tf.training.objective import Objective

# Figures by name, as Keras passes them.
Logs = Mapping[str, Any] | None


class RunModel(keras.Model):
    """A compiled model that stands for a run: what callbacks see.

    It has the weights and the optimizer of the run and ends it by
    `stop_training`; it cannot be called.

    Args:
        variables: All weights of the network.
        optimizer: Of the run.
        objective: Of the run.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        optimizer: keras.optimizers.Optimizer,
        objective: Objective,
    ) -> None:
        super().__init__(name="run")
        # Keras finds variables in lists.
        self._of_run = list(variables)
        self.built = True
        metric = objective.keras_metric
        self.compile(
            optimizer=optimizer,
            loss=objective.loss,
            metrics=["accuracy" if metric is None else metric],
            auto_scale_loss=False,
        )


class Watch:
    """Calls callbacks as `fit` would, with the steps of a run for batches.

    Batch hooks come in pairs at every report, not at every step. An epoch ends
    at every validation, or at every checkpoint of a run without validations;
    the last step ends one too. Their state is not part of checkpoints.

    Args:
        callbacks: Ours and the user's.
        model: What they see.
        options: Of the run.
        start_step: Steps already done.
        validates: Whether there are validations.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: RunModel,
        *,
        options: TrainingOptions,
        start_step: int,
        validates: bool,
    ) -> None:
        self._model = model
        self._steps = options.steps or 0
        self._every = options.checkpoint_every
        if validates:
            self._every = options.validate_every
        self._list = keras.callbacks.CallbackList(
            list(callbacks),
            model=model,
            epochs=-(-self._steps // self._every),
            steps=min(self._every, self._steps),
            verbose=0,
        )
        self._start = start_step
        self._bars = [one for one in callbacks if isinstance(one, ProgressBar)]
        # Sums over the epoch, by name, and their steps.
        self._sums: dict[str, float] = {}
        self._count = 0

    @property
    def stop_training(self) -> bool:
        """Whether a callback wants the run to end."""
        return bool(self._model.stop_training)

    def begin(self) -> None:
        """Before the first step."""
        self._model.stop_training = False
        self._list.on_train_begin()
        if self._start < self._steps:
            self._list.on_epoch_begin(self._start // self._every)

    def stepped(self, step: int) -> None:
        """After every step, whose figures nobody has read yet."""
        for bar in self._bars:
            bar.move(step)

    def report(
        self, step: int, count: int, figures: Mapping[str, float]
    ) -> None:
        """After a step, with the means of so many steps up to it."""
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + count * value
        self._count += count
        self._list.on_train_batch_begin(step - 1)
        logs = {**figures, **self._rate()}
        self._list.on_train_batch_end(step - 1, logs)

    def validated(
        self, validate: Callable[[], Mapping[str, float]]
    ) -> Mapping[str, float]:
        """Validates; gives the figures."""
        self._list.on_test_begin()
        figures = validate()
        self._list.on_test_end(dict(figures))
        return figures

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch ends after a step."""
        return step == self._steps or step % self._every == 0

    def epoch_ends(self, step: int, validation: Mapping[str, float]) -> None:
        """After the last step of an epoch, with a validation's figures."""
        logs = {name: total / self._count for name, total in self._sums.items()}
        logs |= {f"val_{name}": value for name, value in validation.items()}
        self._sums, self._count = {}, 0
        epoch = (step - 1) // self._every
        self._list.on_epoch_end(epoch, {**logs, **self._rate()})
        if step < self._steps and not self.stop_training:
            self._list.on_epoch_begin(epoch + 1)

    def end(self) -> None:
        """After the last step."""
        self._list.on_train_end()

    def _rate(self) -> dict[str, float]:
        optimizer: Any = self._model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        return {"learning_rate": float(np.asarray(inner.learning_rate))}


class ProgressBar(keras.callbacks.Callback):
    """Shows loss, metric, images a second and time left.

    Args:
        start_step: Steps already done.
        steps: Steps of the whole run.
        title: Shown before the bar.
        metric: Key of the metric in the logs.
    """

    def __init__(
        self, *, start_step: int, steps: int, title: str, metric: str
    ) -> None:
        super().__init__()
        self._metric, self._start = metric, start_step
        self._validation = ""
        self._bar = progress(
            total=steps, initial=start_step, desc=title, unit="step"
        )
        self._figures = ""
        if start_step < steps:
            # Until the first report, which is some steps after the tracing.
            self._bar.set_postfix_str(
                "compiling for up to a minute, then the first steps"
            )

    def move(self, step: int) -> None:
        """Goes to a step; its figures come later."""
        if not self._figures:
            self._bar.set_postfix_str("", refresh=False)
        if self._bar.n == self._start:
            # The first step compiles, which a forecast must not count.
            self._bar.unpause()
            self._bar.n = self._bar.initial = self._bar.last_print_n = step
            self._bar.refresh()
        self._bar.update(step - self._bar.n)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = logs or {}
        self._figures = (
            f"loss {logs['loss']:.3f}, {self._said(logs)}, "
            f"{logs['images_per_second']:.0f} images/s"
        )
        self._bar.set_postfix_str(
            f"{self._figures}{self._validation}", refresh=False
        )
        self._bar.update(batch + 1 - self._bar.n)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._bar.set_postfix_str("scoring images that were not trained on")

    def on_test_end(self, logs: Logs = None) -> None:
        if logs and self._metric in logs:
            self._validation = f", validation {self._said(logs)}"
        self._bar.set_postfix_str(f"{self._figures}{self._validation}")

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()

    def _said(self, logs: Mapping[str, Any]) -> str:
        value = logs[self._metric]
        if self._metric == "accuracy":
            return f"accuracy {value:.1%}"
        return f"{self._metric} {value:.4g}"


class EventWriter(keras.callbacks.Callback):
    """Writes the run's scalars for TensorBoard, as `train/` and `validation/`.

    Args:
        folder: Where event files go.
        start_step: Steps already done.
    """

    def __init__(self, folder: pathlib.Path, *, start_step: int) -> None:
        super().__init__()
        self._step = start_step
        self._writer = tf.summary.create_file_writer(str(folder))

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._step = batch + 1
        self._write("train", logs or {})

    def on_test_end(self, logs: Logs = None) -> None:
        self._write("validation", logs or {})

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()

    def _write(self, group: str, scalars: Mapping[str, float]) -> None:
        # TensorFlow keeps every Python number that it is given, so none.
        with self._writer.as_default(np.int64(self._step)):
            for name, value in scalars.items():
                tf.summary.scalar(f"{group}/{name}", np.float32(value))
        self._writer.flush()
