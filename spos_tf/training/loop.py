"""The training loop, the same for a supernet and a final network."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from spos_tf.errors import Preempted, UserError
from spos_tf.training.step import StepResult

# Loss, accuracy and share of sampler fallbacks of a step.
Figures = tuple[float, float, float]


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


def is_due(step: int, every: int, options: LoopOptions) -> bool:
    """Whether something comes after `step` steps: every so often, and last.

    What comes every 0 steps never does.
    """
    return every > 0 and (step == options.steps or step % every == 0)


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
    stop: Callable[[], bool] = lambda: False,
    unreported: list[Figures] | None = None,
) -> None:
    """Trains from `start_step` to the end.

    Args:
        train_step: From `make_train_step`.
        batches: Those of the steps `start_step` to `steps - 1`.
        start_step: Steps already done. A validation after them is repeated:
            the run may have ended in it.
        options: Numbers of the run.
        path_counts: int64 `[num_choices, max_options]`; in how many steps
            each option ran is added in place.
        save: Writes a checkpoint of a number of steps done.
        validate: Figures of the present weights.
        reporter: Where progress goes.
        stop: Asked after every step, and where `validate` raises `Preempted`:
            whether to save this step and end.
        unreported: Figures of the steps since the last report, filled and
            emptied in place; a checkpoint between two reports needs them.

    Raises:
        UserError: A loss is not finite; nothing is saved after it.
        Preempted: `stop` said so; the step that it names is saved.
    """
    pending: list[StepResult] = []
    window: list[Figures] = [] if unreported is None else unreported
    read = start_step

    def read_pending() -> None:
        nonlocal read
        window.extend(_read(pending, read, path_counts))
        read += len(pending)
        pending.clear()

    def validated(done: int) -> None:
        if validate and is_due(done, options.validate_every, options):
            reporter.validation(done, validate())

    if start_step:
        validated(start_step)
    timed, started = 0, time.perf_counter()
    for done, batch in enumerate(batches, start_step + 1):
        pending.append(train_step(batch, tf.constant(done - 1, tf.int64)))
        timed += 1
        stopping = stop()
        checkpoint = is_due(done, options.checkpoint_every, options)
        validation = is_due(done, options.validate_every, options)
        if checkpoint or validation or done % options.log_every == 0:
            read_pending()
            scalars = _means(window)
            seconds = time.perf_counter() - started
            scalars["images_per_second"] = timed * options.batch_size / seconds
            reporter.progress(done, scalars)
            window.clear()
            timed = 0
        elif stopping:
            read_pending()
        if checkpoint or stopping:
            save(done)
        if stopping:
            raise Preempted(done)
        try:
            validated(done)
        except Preempted:
            if not checkpoint:
                save(done)
            raise Preempted(done) from None
        if not timed:
            # Saving and validating are not training time.
            started = time.perf_counter()


def _read(
    results: list[StepResult], before: int, path_counts: np.ndarray
) -> list[Figures]:
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
    return [
        (loss, float(result.accuracy), float(result.fallback))
        for loss, result in zip(losses, results, strict=True)
    ]


def _means(window: list[Figures]) -> dict[str, float]:
    names = ("loss", "accuracy", "sampler_fallbacks")
    return {
        name: float(np.mean(column))
        for name, column in zip(names, zip(*window, strict=True), strict=True)
    }
