"""A training run in its folder: restore, loop, checkpoints, progress."""

import contextlib
import dataclasses
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
from spos_tf.stop_signal import StopSignal
from spos_tf.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    latest_checkpoint,
    prune,
    write_checkpoint,
)
from spos_tf.training.loop import LoopOptions, Reporter, run_loop
from spos_tf.training.reporting import Silent, TrainingReporter
from spos_tf.training.run_state import RunState
from spos_tf.training.step import StepResult
from spos_tf.training.team import Team

_COUNTS = "sampler/path_counts"
_BETWEEN = "preempted"


def run_training(
    train_step: Callable[[Any, tf.Tensor], StepResult],
    state: RunState,
    *,
    split: AnySplit,
    preprocessing: PreprocessingOptions,
    options: LoopOptions,
    seed: int,
    folder: pathlib.Path,
    team: Team,
    keep_checkpoints: int,
    path_counts: np.ndarray,
    validate: Callable[[], Mapping[str, float]] | None,
    inform: Callable[[str], None],
    stop: StopSignal | None = None,
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
        team: Where the step runs. Its chief alone writes files.
        keep_checkpoints: Newest checkpoints kept.
        path_counts: int64 `[num_choices, max_options]`, filled in place.
        validate: Figures of the present weights.
        inform: Called with a line for people.
        stop: Whether to end before that; never if None.

    Raises:
        UserError: The checkpoints are another run's or all damaged, an image
            cannot be read, the loss is not finite, the disk is full, or a
            process of the team is gone or has other files.
        Preempted: `stop` said so; what was done is saved.
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
    team.agree(
        "checkpoints (by their steps)",
        start,
        "--work_dir is a folder that all of them share.",
    )
    team.check_same(state.capture(start, {}).arrays)

    # A checkpoint in between others: it goes when the next is there, so that
    # the run leaves the checkpoints that it would have without.
    between = found is not None and found.description.get(_BETWEEN, False)
    if found is not None and team.is_chief:
        # The run may have been killed between writing and pruning.
        prune(checkpoints, start, keep=keep_checkpoints + bool(between))

    def save(step: int) -> None:
        nonlocal between
        checkpoint = state.capture(step, {_COUNTS: path_counts})
        team.check_same(checkpoint.arrays)
        if not team.is_chief:
            return
        regular = step == options.steps or step % options.checkpoint_every == 0
        if not regular:
            more = {**checkpoint.description, _BETWEEN: True}
            checkpoint = dataclasses.replace(checkpoint, description=more)
        # Such a one takes nobody's place, neither new nor about to go.
        keep = keep_checkpoints + (not regular) + bool(between)
        write_checkpoint(checkpoints, checkpoint, keep=keep)
        if between:
            checkpoint_path(checkpoints, start).unlink(missing_ok=True)
            between = False

    batches = team.batches(
        lambda share: training_batches(
            split,
            preprocessing,
            batch_size=options.batch_size,
            start_step=start,
            num_steps=options.steps,
            seed=seed,
            share=share,
        ),
        options.batch_size,
    )
    with contextlib.ExitStack() as stack:
        reporter: Reporter = Silent()
        if team.is_chief:
            reporter = stack.enter_context(
                TrainingReporter(
                    folder / "events",
                    start_step=start,
                    steps=options.steps,
                    title=folder.parent.name,
                )
            )
        stack.enter_context(reading_errors(split))
        stack.enter_context(team.losses())
        run_loop(
            train_step,
            batches,
            start_step=start,
            options=options,
            path_counts=path_counts,
            save=save,
            validate=validate if team.is_chief else None,
            reporter=reporter,
            stop=team.stops_together(stop or StopSignal()),
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
