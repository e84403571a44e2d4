"""The rhythm of a training: when it reports, validates, saves and stops."""

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import Preempted, UserError
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.options import TrainingOptions
from spos_tf.stop_signal import StopSignal
from spos_tf.training.callbacks import Watch
from spos_tf.training.step import StepResult, TrainStep

Validate = Callable[[], Mapping[str, float]]


class Ending(NamedTuple):
    """Whether a run has to end before its time, and why.

    Attributes:
        preempted: A signal came.
        stopped: A callback asked for it.
    """

    preempted: bool
    stopped: bool


class Stop:
    """Whether the run has to end before its time, by this process's signal.

    Args:
        signal: What came to this process.
    """

    def __init__(self, signal: StopSignal) -> None:
        self._signal = signal

    def __call__(self, stopped: bool) -> Ending:
        """Asked once after every step, with what callbacks here want."""
        return Ending(self._signal(), stopped)

    def at_once(self) -> contextlib.AbstractContextManager[None]:
        """Around work that may end in the middle, by `Preempted`."""
        return self._signal.at_once()


def run_loop(
    train_step: TrainStep,
    batches: Iterable[Any],
    *,
    start_step: int,
    options: TrainingOptions,
    path_counts: npt.NDArray[np.int64],
    metric: ScoreMetric,
    save: Callable[[int], None],
    validate: Validate | None,
    watch: Watch,
    stop: Stop,
) -> int:
    """Trains from `start_step` to the end.

    Args:
        train_step: From `make_train_step`.
        batches: Those of the steps from `start_step` on; no more of them are
            read than there are steps.
        start_step: Steps already done; a validation after them is repeated,
            since the run may have ended in it.
        options: Numbers of the run.
        path_counts: int64 `[num_choices, max_options]`; in how many steps
            each option ran is added in place.
        metric: What the step updates, unless it is accuracy.
        save: Writes a checkpoint of a number of steps done.
        validate: Figures of the present weights.
        watch: Where progress goes, and whether callbacks want the end.
        stop: Whether to end before that.

    Returns:
        Steps done: all, unless a callback ended the run.

    Raises:
        UserError: A loss is not finite, and nothing is saved after it; or
            there are too few batches, and all steps that were done are saved.
        Preempted: `stop` said so; all steps that were done are saved.
    """
    steps = options.steps or 0
    pending: list[StepResult] = []
    done = saved = last_read = start_step
    started = time.perf_counter()

    def report() -> None:
        nonlocal last_read
        figures = _read(pending, last_read, path_counts, metric)
        seconds = time.perf_counter() - started
        count = len(pending)
        images = count * (options.batch_size or 0)
        figures["images_per_second"] = images / seconds
        pending.clear()
        last_read = done
        watch.report(done, count, figures)

    def save_once() -> None:
        nonlocal saved
        if pending:
            report()
        if saved != done:
            save(done)
            saved = done

    if validate is not None and start_step and _validates(start_step, options):
        watch.validated(validate)
    for batch in itertools.islice(batches, steps - start_step):
        # TensorFlow keeps every Python number that it is given, so not one.
        pending.append(train_step(batch, tf.constant(np.int64(done))))
        done += 1
        watch.stepped(done)
        last = done == steps
        validation = _validates(done, options)
        checkpoint = last or done % options.checkpoint_every == 0
        if checkpoint or validation or done % options.log_every == 0:
            report()
        if checkpoint:
            save_once()
        figures: Mapping[str, float] = {}
        if validate is not None and validation:
            try:
                with stop.at_once():
                    figures = watch.validated(validate)
            except Preempted:
                save_once()
                raise Preempted(f"step {done}") from None
        if not pending and watch.ends_epoch(done):
            watch.epoch_ends(done, figures)
        ending = stop(watch.stop_training)
        if ending.preempted and not last:
            save_once()
            raise Preempted(f"step {done}")
        if ending.stopped and not last:
            if pending:
                report()
            return done
        if not pending:
            # Saving and validating are not training time.
            started = time.perf_counter()
    if done < steps:
        save_once()
        raise UserError(
            f"The training images ended after {done} of {steps} steps, which "
            f"are saved; `steps={steps}` needs {steps} batches of "
            f"{options.batch_size} images. Give data that repeats, or fewer "
            "`steps`."
        )
    return done


def _validates(step: int, options: TrainingOptions) -> bool:
    every = options.validate_every
    return every > 0 and (step == options.steps or step % every == 0)


def _read(
    results: list[StepResult],
    before: int,
    path_counts: npt.NDArray[np.int64],
    metric: ScoreMetric,
) -> dict[str, float]:
    losses = [float(result.loss) for result in results]
    for index, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise UserError(
                f"The loss became {loss} between steps {before + index} and "
                f"{before + index + 1}. Check the images, or lower "
                "`learning_rate`; the last checkpoint is from before that."
            )
    for result in results:
        result.path.add_to(path_counts)
    if metric.is_accuracy:
        value = float(np.mean([float(r.accuracy) for r in results]))
    else:
        value = metric.result()
        metric.reset()
    return {
        "loss": float(np.mean(losses)),
        metric.name: value,
        "sampler_fallbacks": float(
            np.mean([float(r.fallback) for r in results])
        ),
    }
