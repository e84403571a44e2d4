"""Progress of a training run: a bar for people, scalars for TensorBoard."""

import pathlib
import sys
from collections.abc import Mapping
from types import TracebackType

import numpy as np
import tensorflow as tf
import tqdm


class Silent:
    """Reports nothing, where somebody else does."""

    def progress(self, step: int, scalars: Mapping[str, float]) -> None:
        """See `loop.Reporter`."""

    def validation(self, step: int, scalars: Mapping[str, float]) -> None:
        """See `loop.Reporter`."""


class TrainingReporter:
    """Shows loss, accuracy, images a second and time left; logs scalars.

    Args:
        folder: Where TensorBoard's event files go.
        start_step: Steps already done.
        steps: Steps of the whole run.
        title: Shown before the bar.
    """

    def __init__(
        self, folder: pathlib.Path, *, start_step: int, steps: int, title: str
    ) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))
        self._bar = tqdm.tqdm(
            total=steps,
            initial=start_step,
            desc=title,
            unit="step",
            # A log file gets a line now and then, not ten a second.
            mininterval=0.5 if sys.stderr.isatty() else 10.0,
        )
        self._validation = ""

    def __enter__(self) -> "TrainingReporter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        self._writer.close()

    def progress(self, step: int, scalars: Mapping[str, float]) -> None:
        """See `loop.Reporter`."""
        self._log(step, "train", scalars)
        self._bar.set_postfix_str(
            f"loss {scalars['loss']:.3f}, "
            f"accuracy {scalars['accuracy']:.1%}, "
            f"{scalars['images_per_second']:.0f} images/s{self._validation}",
            refresh=False,
        )
        self._bar.update(step - self._bar.n)

    def validation(self, step: int, scalars: Mapping[str, float]) -> None:
        """See `loop.Reporter`."""
        self._log(step, "validation", scalars)
        self._validation = "".join(
            f", validation {name} {value:.1%}"
            for name, value in scalars.items()
            if name == "accuracy"
        )

    def _log(self, step: int, group: str, scalars: Mapping[str, float]) -> None:
        # TensorFlow keeps every Python number that it is given, so none.
        with self._writer.as_default(np.int64(step)):
            for name, value in scalars.items():
                tf.summary.scalar(f"{group}/{name}", np.float32(value))
        self._writer.flush()
