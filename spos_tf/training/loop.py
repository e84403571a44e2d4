"""The training loop, the same for a supernet and a final network."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from spos_tf.errors import Preempted, UserError
from spos_tf.stop_signal import StopSignal
from spos_tf.training.step import StepResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How long a loop runs and how often it does what.

    Attributes:
        steps: Steps of the whole run.
        batch_size: Images a step over all replicas.
        log_every: Steps between reports; losses are read then.
        checkpoint_every: Steps between checkpoints; the last step has one.
        validate_every: Steps between validations; 0: never.

    Raises:
        UserError: A number is out of range.
    """

    steps: int
    batch_size: int
    log_every: int = 50
    checkpoint_every: int = 1000
    validate_every: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            least = 0 if field.name == "validate_every" else 1
            value = getattr(self, field.name)
            if value < least:
                raise UserError(
                    f"--{field.name} is at least {least}; got {value}."
                )


class Stop(Protocol):
    """Whether the run has to end before its time; see `StopSignal`."""

    def __call__(self) -> bool:
        """Asked once after every step."""

    def at_once(self) -> contextlib.AbstractContextManager[None]:
        """Around work that may end in the middle, by `Preempted`."""


class Reporter(Protocol):
    """Where progress goes."""

    def progress(self, step: int, scalars: Mapping[str, float]) -> None:
        """Called every `log_every` steps with means since the last call."""

    def validation(self, step: int, scalars: Mapping[str, float]) -> None:
        """Called with the figures of a validation."""


def run_loop(
    train_step: Callable[[Any, tf.Tensor], StepResult],
    batches: Iterable[Any],
    *,
    start_step: int,
    options: LoopOptions,
    path_counts: np.ndarray,
    save: Callable[[int], None],
    validate: Callable[[], Mapping[str, float]] | None,
    reporter: Reporter,
    stop: Stop | None = None,
) -> None:
    """Trains from `start_step` to the end.

    Args:
        train_step: From `make_train_step`.
        batches: Those of the steps `start_step` to `steps - 1`.
        start_step: Steps already done; a validation after them is repeated,
            since the run may have ended in it.
        options: Numbers of the run.
        path_counts: int64 `[num_choices, max_options]`; in how many steps
            each option ran is added in place.
        save: Writes a checkpoint of a number of steps done.
        validate: Figures of the present weights.
        reporter: Where progress goes.
        stop: Whether to end before that; never if None.

    Raises:
        UserError: A loss is not finite; nothing is saved after it.
        Preempted: `stop` said so; all steps that were done are saved.
    """
    stop = stop or StopSignal()
    if validate is not None and start_step and _validates(start_step, options):
        reporter.validation(start_step, validate())
    pending: list[StepResult] = []
    last_read, started = start_step, time.perf_counter()
    for done, batch in enumerate(batches, start_step + 1):
        # TensorFlow keeps every Python number that it is given, so not one.
        step = tf.constant(np.int64(done - 1))
        pending.append(train_step(batch, step))
        last = done == options.steps
        # The last step ends the run anyway.
        stopping = stop() and not last
        checkpoint = last or stopping or done % options.checkpoint_every == 0
        validation = _validates(done, options)
        if checkpoint or validation or done % options.log_every == 0:
            scalars = _read(pending, last_read, path_counts)
            seconds = time.perf_counter() - started
            scalars["images_per_second"] = (
                len(pending) * options.batch_size / seconds
            )
            reporter.progress(done, scalars)
            pending.clear()
            last_read = done
        if checkpoint:
            save(done)
        if stopping:
            raise Preempted(f"step {done}")
        if validate is not None and validation:
            try:
                with stop.at_once():
                    figures = validate()
            except Preempted:
                if not checkpoint:
                    save(done)
                raise Preempted(f"step {done}") from None
            reporter.validation(done, figures)
        if not pending:
            # Saving and validating are not training time.
            started = time.perf_counter()


def _validates(step: int, options: LoopOptions) -> bool:
    every = options.validate_every
    return every > 0 and (step == options.steps or step % every == 0)


def _read(
    results: list[StepResult], before: int, path_counts: np.ndarray
) -> dict[str, float]:
    losses = [float(result.loss) for result in results]
    for index, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise UserError(
                f"The loss became {loss} between steps {before + index} and "
                f"{before + index + 1}. Check the images, or lower "
                "--learning_rate; the last checkpoint is from before that."
            )
    for result in results:
        path = np.asarray(result.path)
        if path.ndim == 2:
            path_counts += path != 0
        elif len(path):
            path_counts[np.arange(len(path)), path] += 1
    return {
        "loss": float(np.mean(losses)),
        "accuracy": float(np.mean([float(r.accuracy) for r in results])),
        "sampler_fallbacks": float(
            np.mean([float(r.fallback) for r in results])
        ),
    }
