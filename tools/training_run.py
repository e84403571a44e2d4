"""What the two training tools do alike, once they have a network."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import program
import run_folder
from absl import flags, logging

import architecture_learner
import training_flags

if TYPE_CHECKING:
    import keras

    from spos_tf.data.examples import AnySplit
    from spos_tf.data.preprocessing import PreprocessingOptions
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.training.loop import LoopOptions
    from spos_tf.training.path_optimizer import Gate
    from spos_tf.training.samplers import Sampler
    from spos_tf.training.step import Forward
    from spos_tf.training.team import Team

FLAGS = flags.FLAGS


def train(
    folder: pathlib.Path,
    *,
    blueprint: "Blueprint",
    description: Mapping[str, Any],
    forward: "Forward",
    variables: Mapping[str, "keras.Variable"],
    gates: "Sequence[tuple[keras.Variable, Gate]]",
    sampler: "Sampler | None",
    path_counts: np.ndarray,
    split: "AnySplit",
    preprocessing: "PreprocessingOptions",
    options: "LoopOptions",
    team: "Team",
    validate: Callable[[], Mapping[str, float]] | None,
    learner: architecture_learner.Learner | None = None,
) -> None:
    """Trains to the end as the flags say, or goes on where it stopped.

    Args:
        folder: The run's; gets checkpoints/ and events/.
        blueprint: What the network is of.
        description: What checkpoints say of the run besides the blueprint.
        forward: The network in training mode.
        variables: All that a checkpoint holds, by name.
        gates: Trainable variables, the first layer's first, each with when
            it is updated.
        sampler: Draws the path; None for a network without one.
        path_counts: int64 `[num_choices, max_options]`, filled in place.
        split: Training images.
        preprocessing: How they become inputs.
        options: Numbers of the loop.
        team: Where the variables are, and who writes files.
        validate: Figures of the present weights.
        learner: Of architecture parameters, where there are some.

    Raises:
        UserError: See `run_training`, `path_optimizer` and `parse_steps`.
        Preempted: SIGTERM came; what was done is saved.
    """
    from spos_tf.networks.blueprint import plain_arguments
    from spos_tf.training.path_optimizer import path_optimizer, takes_l2
    from spos_tf.training.profiling import parse_steps, profiled
    from spos_tf.training.run_state import RunState
    from spos_tf.training.session import run_training
    from spos_tf.training.step import make_train_step

    team.agree(
        "flags (by their fingerprints)",
        run_folder.fingerprint(training_flags.FREE),
        "Start all of them with the same.",
    )
    profile = None
    if FLAGS.profile_steps is not None:
        profile = parse_steps(FLAGS.profile_steps, options.steps)
    trainable = [variable for variable, _ in gates]
    with team.strategy.scope():
        optimizer = path_optimizer(
            training_flags.optimizer(),
            trainable,
            [gate for _, gate in gates],
            l2=FLAGS.l2,
            l2_filter=takes_l2,
        )
    train_step = make_train_step(
        forward,
        trainable,
        optimizer,
        sampler=sampler,
        global_batch_size=FLAGS.batch_size,
        label_smoothing=FLAGS.label_smoothing,
        strategy=team.strategy,
        jit_compile=FLAGS.jit_compile,
    )
    if learner is not None:
        train_step = learner.alternate(train_step)
    if profile is not None and team.is_chief:
        train_step = profiled(train_step, profile, folder / "events")
    state = RunState(
        variables,
        optimizer,
        {
            "search_space": blueprint.search_space.name,
            "space_arguments": plain_arguments(blueprint.space_arguments),
            **description,
        },
        None if learner is None else learner.variables,
    )
    run_training(
        train_step,
        state,
        split=split,
        preprocessing=preprocessing,
        options=options,
        seed=FLAGS.seed,
        folder=folder,
        team=team,
        keep_checkpoints=FLAGS.keep_checkpoints,
        path_counts=path_counts,
        validate=validate,
        inform=logging.info,
        stop=program.stop,
    )
    program.stop.release()
