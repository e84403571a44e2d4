"""A TensorBoard profile of some training steps."""

import pathlib
from typing import Any

import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.training.step import StepResult, TrainStep


def parse_steps(text: str, steps: int) -> range:
    """Reads `"10:20"`: from step 10 on, up to and without step 20.

    Args:
        text: What the user wrote.
        steps: Steps of the whole run, from 0.

    Raises:
        UserError: Not two steps of the run in their order.

    >>> parse_steps("10:20", 100)
    range(10, 20)
    """
    try:
        first, last = (int(part) for part in text.split(":"))
    except ValueError:
        first = last = -1
    if not 0 <= first < last <= steps:
        raise UserError(
            "`profile_steps` is FROM:TO such as 10:20, two steps of the run's "
            f"{steps}; got {text!r}."
        )
    return range(first, last)


def profiled(
    train_step: TrainStep, steps: range, folder: pathlib.Path
) -> TrainStep:
    """A training step that writes a profile while it does some of them.

    Args:
        train_step: From `make_train_step`.
        steps: Those to profile. A run that goes on after the first of them
            profiles none.
        folder: Where TensorBoard looks; gets `plugins/profile/`.
    """
    running = False

    def step(batch: Any, number: tf.Tensor) -> StepResult:
        nonlocal running
        current = int(number)
        if current == steps.start:
            tf.profiler.experimental.start(str(folder))
            running = True
        with tf.profiler.experimental.Trace("train", step_num=current, _r=1):
            result = train_step(batch, number)
        if running and current == steps.stop - 1:
            # Steps may still be under way on a GPU.
            float(result.loss)
            tf.profiler.experimental.stop()
            running = False
        return result

    return step
