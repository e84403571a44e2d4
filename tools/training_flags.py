"""Flags of the two training tools, and the objects they turn into."""

import os
from typing import TYPE_CHECKING

from absl import flags

import shared_flags
from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from spos_tf.training.loop import LoopOptions
    from spos_tf.training.task import Task
    from spos_tf.training.team import Team

FLAGS = flags.FLAGS

# Flags that do not change the result: a run may go on with other values.
FREE = (
    "log_every",
    "checkpoint_every",
    "keep_checkpoints",
    "validate_every",
    "validation_paths",
    "profile_steps",
)


def define_training(*, steps: int) -> None:
    """Optimizer, schedule, distribution and bookkeeping."""
    shared_flags.define_threads()
    flags.DEFINE_integer("steps", steps, "Training steps of the whole run.")
    flags.DEFINE_integer("batch_size", 1024, "Images a step, all replicas.")
    flags.DEFINE_float("learning_rate", 0.5, "Highest learning rate.")
    flags.DEFINE_enum(
        "schedule",
        "linear",
        ["linear", "cosine", "constant"],
        "How the rate decays to zero.",
    )
    flags.DEFINE_integer("warmup_steps", 0, "Steps from zero to the peak.")
    flags.DEFINE_string("optimizer", "sgd", "Any Keras optimizer's name.")
    flags.DEFINE_string(
        "optimizer_arguments",
        '{"momentum": 0.9}',
        "Its further arguments as a JSON object; Keras's decoupled "
        "weight_decay and clipping are among them.",
    )
    flags.DEFINE_float(
        "l2",
        4e-5,
        "Coupled L2 of conv, depthwise and dense kernels, added to the "
        "gradient before momentum: the paper's weight decay.",
        lower_bound=0.0,
    )
    flags.DEFINE_float("label_smoothing", 0.1, "Label smoothing, 0 to 1.")
    flags.DEFINE_enum(
        "dtype_policy",
        "float32",
        ["float32", "mixed_float16", "mixed_bfloat16"],
        "Precision of the computation; weights are float32.",
    )
    flags.DEFINE_enum(
        "distribution",
        None,
        ["one_device", "mirrored", "multi_worker"],
        "mirrored: all GPUs of this machine. multi_worker: the GPUs (without "
        "any, the CPUs) of all hosts that TF_CONFIG names; started on each, "
        "with a --work_dir that all share. Unset: mirrored where there are "
        "several GPUs.",
    )
    flags.DEFINE_enum(
        "batch_norm",
        "replica",
        ["replica", "synchronized"],
        "Whether batch norm sees its replica's images or everybody's.",
    )
    flags.DEFINE_bool(
        "jit_compile",
        False,
        "Compiles the step with XLA; for GPUs and TPUs, on CPU it is slower. "
        "A supernet with elastic widths then needs --width_mode=mask. Paths "
        "are drawn by XLA's generator: other ones than without, for a seed.",
    )
    flags.DEFINE_bool(
        "deterministic",
        True,
        "Bit-identical runs on CPU. On GPUs it costs speed, and some ops have "
        "no deterministic form.",
    )
    flags.DEFINE_integer("log_every", 50, "Steps between reports.")
    flags.DEFINE_string(
        "profile_steps",
        None,
        "FROM:TO, for example 10:20: profiles these steps for TensorBoard.",
    )
    flags.DEFINE_integer("checkpoint_every", 1000, "Steps a checkpoint.")
    flags.DEFINE_integer("keep_checkpoints", 3, "Newest checkpoints kept.")
    flags.DEFINE_integer(
        "validate_every", 5000, "Steps between validations; 0: never."
    )


def loop_options() -> "LoopOptions":
    """The loop's numbers, checked."""
    from spos_tf.training.loop import LoopOptions

    if not 0 <= FLAGS.label_smoothing < 1:
        raise UserError(
            f"--label_smoothing is in [0, 1); got {FLAGS.label_smoothing}."
        )
    if FLAGS.keep_checkpoints < 1:
        raise UserError(
            f"--keep_checkpoints is at least 1; got {FLAGS.keep_checkpoints}."
        )
    return LoopOptions(
        steps=FLAGS.steps,
        batch_size=FLAGS.batch_size,
        log_every=FLAGS.log_every,
        checkpoint_every=FLAGS.checkpoint_every,
        validate_every=FLAGS.validate_every,
    )


def is_chief() -> bool:
    """Whether this process, maybe of several, writes the run's files.

    Raises:
        UserError: It is one of several and TF_CONFIG does not say which.
    """
    return _task().is_chief


def _task() -> "Task":
    from spos_tf.training.task import Task, read_task

    if FLAGS.distribution != "multi_worker":
        return Task()
    return read_task(os.environ.get("TF_CONFIG"))


def prepare_backend() -> "Team":
    """Sets seeds, determinism and precision; returns who trains where.

    Raises:
        UserError: The batch does not divide by the replicas, or the other
            hosts cannot be reached.
    """
    from spos_tf.training.team import Team

    task = _task()
    strategy = _strategy()
    if FLAGS.batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            "--batch_size divides by the number of devices; got "
            f"{FLAGS.batch_size} and {strategy.num_replicas_in_sync} devices."
        )
    return Team(strategy, task)


def _strategy() -> "tf.distribute.Strategy":
    import keras
    import tensorflow as tf

    shared_flags.set_threads()
    keras.utils.set_random_seed(FLAGS.seed)
    if FLAGS.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(FLAGS.dtype_policy)
    kind = FLAGS.distribution
    if kind == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if kind is None:
        several = len(tf.config.list_logical_devices("GPU")) > 1
        kind = "mirrored" if several else "one_device"
    if kind == "one_device":
        return tf.distribute.get_strategy()
    devices = [
        device.name
        for device in tf.config.list_logical_devices("GPU")
        or tf.config.list_logical_devices("CPU")
    ]
    return tf.distribute.MirroredStrategy(devices)


def optimizer() -> "keras.optimizers.Optimizer":
    """The Keras optimizer that the flags name, not built yet."""
    from spos_tf.training.optimization import LearningRate, make_optimizer

    try:
        arguments = parse_json(FLAGS.optimizer_arguments)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise UserError(
            "--optimizer_arguments is a JSON object; got "
            f"{FLAGS.optimizer_arguments!r}."
        )
    if "learning_rate" in arguments:
        raise UserError(
            "The rate is --learning_rate and --schedule; --optimizer_arguments "
            f"has {arguments['learning_rate']!r} too. Leave it out there."
        )
    rate = LearningRate(
        FLAGS.schedule, FLAGS.learning_rate, FLAGS.steps, FLAGS.warmup_steps
    )
    made = make_optimizer(FLAGS.optimizer, rate, arguments)
    if FLAGS.dtype_policy == "mixed_float16":
        import keras

        # Small gradients would be zeros in float16.
        return keras.optimizers.LossScaleOptimizer(made)
    return made
