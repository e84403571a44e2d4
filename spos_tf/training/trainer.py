"""A training run: its state, data, random streams and reporting."""

import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from spos_tf.data.pipeline import TrainingData
from spos_tf.errors import UserError, said_of
from spos_tf.options import TrainingOptions
from spos_tf.stop_signal import StopSignal
from spos_tf.stop_signal import stop as process_stop
from spos_tf.training.architecture_learner import Learner
from spos_tf.training.averaging import AveragedWeights, averaging
from spos_tf.training.callbacks import EventWriter, ProgressBar, RunModel, Watch
from spos_tf.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    latest_checkpoint,
    prune,
    write_checkpoint,
)
from spos_tf.training.loop import Validate, run_loop
from spos_tf.training.objective import Objective
from spos_tf.training.optimization import run_optimizer
from spos_tf.training.path_gradients import Gate
from spos_tf.training.path_optimizer import path_optimizer, takes_l2
from spos_tf.training.profiling import parse_steps, profiled
from spos_tf.training.run_state import RunState
from spos_tf.training.samplers import Sampler
from spos_tf.training.step import Forward, make_train_step
from spos_tf.training.team import Team

_COUNTS = "sampler/path_counts"
# Marks in the description of a checkpoint: one in between the regular ones,
# and the last one of a run that a callback ended.
_BETWEEN = "preempted"
_STOPPED = "stopped_by_callback"

_LOGGER = logging.getLogger("spos_tf")


class Trainer:
    """Trains a supernet or a single network, or resumes where it stopped.

    What is already in the folder is restored when the object is made, so that
    `resumed` can be asked before weights are brought from elsewhere.

    Args:
        forward: The network in training mode.
        variables: All that a checkpoint holds, by name.
        gates: Of every trainable variable, those of the first layer first,
            when it is updated: (position of a choice, option), or None for
            always.
        sampler: Draws the path; None for a network without one.
        choices: Shape of `path_counts`; (0, 0) without a path.
        options: Complete ones, recipe applied.
        objective: Loss and metric.
        data: Training images.
        folder: Gets `checkpoints/` and `events/` (TensorBoard).
        description: What checkpoints say of the run; JSON values.
        team: Where the variables are. Its chief alone writes files.
        validate: Figures of the present weights, by name.
        callbacks: Of the user's; of several processes the chief calls them.
        learner: Of architecture parameters, where there are some.
        average_every: Steps between updates of averaged weights; 0 for none.
        stop: Whether to end before the last step.

    Attributes:
        resumed: Whether the folder had a checkpoint, which is restored.
        path_counts: int64 `choices`; in how many steps each option ran.

    Raises:
        UserError: The checkpoints are another run's or all damaged, an option
            is open or wrong, or Keras has no such optimizer.
    """

    def __init__(
        self,
        *,
        forward: Forward,
        variables: Mapping[str, keras.Variable],
        gates: Mapping[str, Gate],
        sampler: Sampler | None,
        choices: tuple[int, int],
        options: TrainingOptions,
        objective: Objective,
        data: TrainingData,
        folder: pathlib.Path,
        description: Mapping[str, Any],
        team: Team,
        validate: Validate | None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        learner: Learner | None = None,
        average_every: int = 0,
        stop: StopSignal = process_stop,
    ) -> None:
        _check_complete(options)
        self._options = options
        self._steps = options.steps or 0
        self._data = data
        self._folder = folder
        self._checkpoints = folder / "checkpoints"
        self._team = team
        self._callbacks = callbacks
        self._stop = stop
        # Validations are the chief's, and only where something is to validate.
        validates = validate is not None and options.validate_every > 0
        self._validate = validate if validates and team.is_chief else None
        self._validates = validates
        trained = [variables[name] for name in gates]
        with team.strategy.scope():
            self._metric = objective.metric.fresh()
            optimizer = path_optimizer(
                run_optimizer(options),
                trained,
                list(gates.values()),
                l2=options.l2 or 0.0,
                l2_filter=takes_l2,
            )
        averages = None
        if average_every:
            averages = AveragedWeights(
                variables, gates, optimizer, team.strategy
            )
        self._model = RunModel(
            [
                *variables.values(),
                # A callback that brings back the best weights means them too.
                *(averages.variables.values() if averages else ()),
            ],
            optimizer,
            objective,
        )
        self._step = make_train_step(
            forward,
            trained,
            optimizer,
            sampler=sampler,
            objective=dataclasses.replace(objective, metric=self._metric),
            global_batch_size=options.batch_size or 0,
            strategy=team.strategy,
            seed=options.seed,
            jit_compile=options.jit_compile,
        )
        if averages is not None:
            self._step = averaging(self._step, averages, average_every)
        if learner is not None:
            self._step = learner.alternate(self._step)
        if options.profile_steps is not None and team.is_chief:
            steps = parse_steps(options.profile_steps, self._steps)
            self._step = profiled(self._step, steps, folder / "events")
        self._state = RunState(
            variables,
            optimizer,
            list(gates),
            {**description, "objective": objective.identity},
            None if learner is None else learner.variables,
            averages,
        )
        self.path_counts = np.zeros(choices, np.int64)
        # How a run is resumed:
        # 1. Its variables and step are made, with their initial values.
        # 2. The newest checkpoint that can be read is found.
        # 3. Weights, their averages, optimizer, architecture parameters and
        #    counts of paths are set to its values; one of another run is
        #    refused.
        # Then, in `train`:
        # 4. All processes agree on the step and on the weights.
        # 5. What a kill has left of checkpoints is cleared up.
        # 6. Batches, paths, dropout and learning rate follow from the step.
        # 7. A validation that the run may have ended in is repeated.
        self._found = latest_checkpoint(self._checkpoints, warn=_LOGGER.warning)
        self.resumed = self._found is not None
        if self._found is not None:
            with said_of(self._checkpoints):
                self._state.restore(self._found)
                self.path_counts += _counts(self._found, self.path_counts)

    def train(self) -> None:
        """Trains to the end.

        Raises:
            UserError: An image cannot be read, the images end too early, the
                loss is not finite, the disk is full, or a process of the team
                is gone or has other files.
            Preempted: `stop` said so; what was done is saved.
            KeyboardInterrupt: Ctrl-C; what was done is saved.
        """
        start = self._found.step if self._found else 0
        if start:
            _LOGGER.info("Resuming after step %s of %s.", start, self._steps)
        self._team.agree(
            "checkpoints (by their steps)",
            start,
            "`work_dir` is a folder that all of them share.",
        )
        self._team.check_same(self._state.capture(start, {}).arrays)
        if self._found is not None and self._team.is_chief:
            # The run may have been killed between writing and pruning.
            keep = self._options.keep_checkpoints + self._is_between()
            prune(self._checkpoints, start, keep=keep)
        if self._found and self._found.description.get(_STOPPED):
            _LOGGER.info(
                "A callback ended this run after step %s; it is over.", start
            )
        else:
            with self._stop.interrupts():
                self._run(start)
                self._stop.release()
        self._stop.release()

    def _run(self, start: int) -> None:
        with contextlib.ExitStack() as stack:
            callbacks: list[Any] = []
            if self._team.is_chief:
                bar = ProgressBar(
                    start_step=start,
                    steps=self._steps,
                    title=self._folder.parent.name,
                    metric=self._metric.name,
                )
                events = EventWriter(self._folder / "events", start_step=start)
                for reporter in (bar, events):
                    stack.callback(reporter.close)
                callbacks = [bar, events, *self._callbacks]
            watch = Watch(
                callbacks,
                self._model,
                options=self._options,
                start_step=start,
                validates=self._validates,
            )
            stack.enter_context(self._data.errors())
            stack.enter_context(self._team.losses())
            watch.begin()
            done = run_loop(
                self._step,
                self._team.batches(
                    self._data, self._options, start, self._steps
                ),
                start_step=start,
                options=self._options,
                path_counts=self.path_counts,
                metric=self._metric,
                save=self._save,
                validate=self._validate,
                watch=watch,
                stop=self._team.stops_together(self._stop),
            )
            watch.end()
            # Callbacks may bring back the best weights at the end.
            if done < self._steps or self._callbacks:
                self._save(done, stopped=done < self._steps)
        if done < self._steps:
            _LOGGER.info(
                "A callback ended the run after step %s of %s, which is saved.",
                done,
                self._steps,
            )

    def _is_between(self) -> bool:
        """Whether what was found goes when the next checkpoint is there.

        So the run leaves the checkpoints that it would have without a stop.
        """
        found = self._found
        return bool(found and found.description.get(_BETWEEN, False))

    def _save(self, step: int, *, stopped: bool = False) -> None:
        checkpoint = self._state.capture(step, {_COUNTS: self.path_counts})
        self._team.check_same(checkpoint.arrays)
        if not self._team.is_chief:
            return
        every = self._options.checkpoint_every
        regular = stopped or step == self._steps or step % every == 0
        marks = {} if regular else {_BETWEEN: True}
        if stopped:
            marks[_STOPPED] = True
        checkpoint = dataclasses.replace(
            checkpoint, description={**checkpoint.description, **marks}
        )
        # One in between takes nobody's place, neither new nor about to go.
        between = self._is_between()
        keep = self._options.keep_checkpoints + (not regular) + between
        write_checkpoint(self._checkpoints, checkpoint, keep=keep)
        if between and self._found is not None:
            if self._found.step != step:
                old = checkpoint_path(self._checkpoints, self._found.step)
                old.unlink(missing_ok=True)
            self._found = None


def _check_complete(options: TrainingOptions) -> None:
    names = ("steps", "batch_size", "learning_rate", "schedule", "l2")
    for name in names:
        if getattr(options, name) is None:
            raise UserError(
                f"`{name}` is open: it is neither given nor taken from a "
                f"recipe. Give `{name}`, or use `options.with_recipe(...)`."
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
            f"of shape {ours.shape}. Choose another `name` or `work_dir`."
        )
    return counts
