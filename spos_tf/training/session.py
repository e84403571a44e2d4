"""A training run in its folder: restore, loop, checkpoints, progress."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.data.examples import AnySplit
from spos_tf.data.pipeline import training_batches
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.reading import reading_errors
from spos_tf.errors import UserError, said_of
from spos_tf.training.checkpoints import (
    Checkpoint,
    latest_checkpoint,
    write_checkpoint,
)
from spos_tf.training.loop import LoopOptions, run_loop
from spos_tf.training.reporting import TrainingReporter
from spos_tf.training.run_state import RunState
from spos_tf.training.step import StepResult

_COUNTS = "sampler/path_counts"


def run_training(
    train_step: Callable[[Any, tf.Tensor], StepResult],
    state: RunState,
    *,
    split: AnySplit,
    preprocessing: PreprocessingOptions,
    options: LoopOptions,
    seed: int,
    folder: pathlib.Path,
    strategy: tf.distribute.Strategy,
    keep_checkpoints: int,
    path_counts: np.ndarray,
    validate: Callable[[], Mapping[str, float]] | None,
    inform: Callable[[str], None],
) -> None:
    """Trains to the end, from the newest readable checkpoint if there is one.

    Args:
        train_step: From `make_train_step`.
        state: The run's variables.
        split: Training images.
        preprocessing: How they become inputs.
        options: Numbers of the loop.
        seed: Seed of order and augmentation.
        folder: Gets `checkpoints/` and `events/` (TensorBoard).
        strategy: Where the step runs.
        keep_checkpoints: Newest checkpoints kept.
        path_counts: int64 `[num_choices, max_options]`, filled in place.
        validate: Figures of the present weights.
        inform: Called with a line for people.

    Raises:
        UserError: The checkpoints are another run's or all damaged, an image
            cannot be read, the loss is not finite, or the disk is full.
    """
    checkpoints = folder / "checkpoints"
    found = latest_checkpoint(checkpoints, warn=inform)
    start = 0
    if found is not None:
        with said_of(checkpoints):
            state.restore(found)
            path_counts += _counts(found, path_counts)
        start = found.step
        inform(f"Going on after step {start} of {options.steps}.")

    def save(step: int) -> None:
        write_checkpoint(
            checkpoints,
            state.capture(step, {_COUNTS: path_counts}),
            keep=keep_checkpoints,
        )

    batches: Any = training_batches(
        split,
        preprocessing,
        batch_size=options.batch_size,
        start_step=start,
        num_steps=options.steps,
        seed=seed,
    )
    if strategy.num_replicas_in_sync > 1:
        batches = strategy.experimental_distribute_dataset(batches)
    with (
        TrainingReporter(
            folder / "events",
            start_step=start,
            steps=options.steps,
            title=folder.parent.name,
        ) as reporter,
        reading_errors(split),
    ):
        run_loop(
            train_step,
            batches,
            start_step=start,
            options=options,
            path_counts=path_counts,
            save=save,
            validate=validate,
            reporter=reporter,
        )


def _counts(checkpoint: Checkpoint, ours: np.ndarray) -> np.ndarray:
    counts = checkpoint.arrays.get(_COUNTS)
    if (
        counts is None
        or counts.shape != ours.shape
        or counts.dtype != ours.dtype
    ):
        found = (
            "missing"
            if counts is None
            else f"{counts.dtype} of shape {counts.shape}"
        )
        raise UserError(
            f"The checkpoint's {_COUNTS!r} is {found}; this run has integers "
            f"of shape {ours.shape}. Choose another --name or --work_dir."
        )
    return counts
