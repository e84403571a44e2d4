"""How a supernet is trained: flags of the algorithms, and what they come to."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from absl import flags, logging

import limits
from spos_tf.errors import UserError

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

    from spos_tf.cost.table import CostTable
    from spos_tf.data.examples import AnySplit
    from spos_tf.data.preprocessing import PreprocessingOptions
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.search.evaluator import Evaluator
    from spos_tf.training.architecture_parameters import ArchitectureSampler
    from spos_tf.training.architecture_step import (
        ArchitectureSchedule,
        TrainStep,
    )
    from spos_tf.training.path_dropout import PathDropoutSampler
    from spos_tf.training.step import Forward

FLAGS = flags.FLAGS

_LEARNED: dict[str, Any] = {
    "architecture_every": 5,
    "architecture_warmup": 0.1,
    "architecture_cost": "macs",
    "architecture_cost_weight": 0.0,
    "architecture_cost_exponent": 0.6,
}
# Flags of each algorithm and what they are where nobody says. They are unset
# otherwise, so that one given to another algorithm is noticed.
_OF: dict[str, dict[str, Any]] = {
    "single_path": {
        "sampler": "uniform_constraint",
        "constraint_ranges": None,
    },
    "path_dropout": {"keep_rate": 0.5, "keep_rate_schedule": "constant"},
    "gumbel": {
        "temperature": 5.0,
        "final_temperature": 0.1,
        "architecture_learning_rate": 0.01,
        **_LEARNED,
    },
    "two_path": {"architecture_learning_rate": 0.001, **_LEARNED},
}
# Those with architecture parameters.
LEARNING = ("gumbel", "two_path")


def define_algorithm() -> None:
    """--algorithm and the flags of those that are not single_path."""
    flags.DEFINE_enum(
        "algorithm",
        "single_path",
        [*_OF],
        "single_path: the paper's. path_dropout: branches dropped at random. "
        "gumbel: all branches, weighted (FBNet). two_path: two branches "
        "compared (ProxylessNAS). See docs/algorithms.md.",
    )
    flags.DEFINE_float(
        "keep_rate",
        None,
        "path_dropout: probability that a branch is kept, 0 to 1 (0.5).",
    )
    flags.DEFINE_enum(
        "keep_rate_schedule",
        None,
        ["constant", "linear"],
        "path_dropout: constant (default), or linear from 1 to --keep_rate.",
    )
    flags.DEFINE_float(
        "temperature", None, "gumbel: of the softmax in the first step (5)."
    )
    flags.DEFINE_float(
        "final_temperature", None, "gumbel: in the last step (0.1)."
    )
    flags.DEFINE_float(
        "architecture_learning_rate",
        None,
        "gumbel (0.01), two_path (0.001): Adam's, of architecture parameters.",
    )
    flags.DEFINE_integer(
        "architecture_every",
        None,
        "gumbel, two_path: steps of the weights to one of the architecture "
        "parameters (5).",
        lower_bound=1,
    )
    flags.DEFINE_float(
        "architecture_warmup",
        None,
        "gumbel, two_path: share of the steps before architecture parameters "
        "are trained (0.1).",
    )
    flags.DEFINE_string(
        "architecture_cost",
        None,
        "gumbel, two_path: cost that the loss is multiplied with (macs); one "
        "of your own is FILE.py:function.",
    )
    flags.DEFINE_float(
        "architecture_cost_weight",
        None,
        "gumbel, two_path: alpha in FBNet's alpha log(cost)^beta. 0, the "
        "default: the cost is left out.",
        lower_bound=0.0,
    )
    flags.DEFINE_float(
        "architecture_cost_exponent", None, "gumbel, two_path: beta (0.6)."
    )


def settle(blueprint: "Blueprint") -> None:
    """Checks what the flags say together and fills in what they do not.

    Raises:
        UserError: A flag is another algorithm's, a number is out of its
            range, or the space cannot be trained so.
    """
    name = FLAGS.algorithm
    for flag in {flag: None for of in _OF.values() for flag in of}:
        value = FLAGS[flag].value
        if value is not None and flag not in _OF[name]:
            owners = [one for one, of in _OF.items() if flag in of]
            raise UserError(
                f"--{flag} is of --algorithm={' and '.join(owners)}; got "
                f"--{flag}={value} with --algorithm={name}. Leave it out."
            )
    for flag, default in _OF[name].items():
        if FLAGS[flag].value is None:
            FLAGS[flag].value = default
    if name == "single_path":
        return
    _check_space(blueprint)
    limited = limits.given_limits()
    if limited:
        raise UserError(
            "A limit is kept path by path, and --algorithm="
            f"{name} runs several together; got one of {limited[0][0]!r}. "
            "Limit the search instead"
            + (
                ", or use --architecture_cost_weight."
                if name in LEARNING
                else "."
            )
        )
    if name in LEARNING:
        _check_learning()


def _check_space(blueprint: "Blueprint") -> None:
    elastic = [one for one in blueprint.segments if one.elastic]
    if elastic:
        raise UserError(
            f"--algorithm={FLAGS.algorithm} weighs branches against each "
            f"other; choice {elastic[0].elastic[0]!r} of space "
            f"{blueprint.search_space.name!r} sizes one branch and has none "
            "to weigh. Use --algorithm=single_path, or a space without widths "
            "and bits."
        )


def _check_learning() -> None:
    if FLAGS.jit_compile:
        raise UserError(
            f"--jit_compile is not for --algorithm={FLAGS.algorithm}, which "
            "has two kinds of steps. Leave it out."
        )
    if not FLAGS.holdout_per_class:
        raise UserError(
            "Architecture parameters learn from images that the weights do "
            "not see; --holdout_per_class=0 leaves none. Give some."
        )
    if not 0 <= FLAGS.architecture_warmup < 1:
        raise UserError(
            "--architecture_warmup is a share in [0, 1); got "
            f"{FLAGS.architecture_warmup}."
        )
    if not 0 < FLAGS.architecture_learning_rate < float("inf"):
        raise UserError(
            "--architecture_learning_rate is above 0; got "
            f"{FLAGS.architecture_learning_rate}."
        )
    if not _warmup_steps() + FLAGS.architecture_every <= FLAGS.steps:
        raise UserError(
            f"In {FLAGS.steps} steps architecture parameters would never be "
            f"updated: the first {_warmup_steps()} are without, then it is "
            f"every {FLAGS.architecture_every} steps. Give more --steps, or a "
            "smaller --architecture_every or --architecture_warmup."
        )


def _warmup_steps() -> int:
    return int(FLAGS.architecture_warmup * FLAGS.steps)


def path_dropout(blueprint: "Blueprint") -> "PathDropoutSampler":
    """The sampler of --algorithm=path_dropout.

    Raises:
        UserError: The keep rate is out of its range.
    """
    from spos_tf.training.path_dropout import PathDropoutSampler

    return PathDropoutSampler(
        blueprint.search_space,
        FLAGS.keep_rate,
        schedule=FLAGS.keep_rate_schedule,
        steps=FLAGS.steps,
        seed=FLAGS.seed,
    )


@dataclasses.dataclass(frozen=True)
class Learner:
    """Architecture parameters, and how they are trained beside the weights.

    Attributes:
        sampler: Draws for both; has the parameters.
        optimizer: Of the parameters.
        alternate: From a step of the weights to one of both.
        cost: That the loss is multiplied with; None where it is left out.
    """

    sampler: "ArchitectureSampler"
    optimizer: "keras.optimizers.Optimizer"
    alternate: "Callable[[TrainStep], TrainStep]"
    cost: "CostTable | None"

    @property
    def variables(self) -> "dict[str, keras.Variable]":
        """What a checkpoint holds of it, by name."""
        return {
            "architecture/parameters": self.sampler.parameters.variable,
            **{
                f"architecture/optimizer/{index:05d}": variable
                for index, variable in enumerate(self.optimizer.variables)
            },
        }

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of the cost, by its name: a file may change."""
        return limits.fingerprints([] if self.cost is None else [self.cost])


def learner(
    blueprint: "Blueprint",
    forward: "Forward",
    split: "AnySplit",
    preprocessing: "PreprocessingOptions",
    strategy: "tf.distribute.Strategy",
) -> Learner:
    """What --algorithm=gumbel or two_path trains besides the weights.

    Args:
        blueprint: The description.
        forward: The supernet in training mode.
        split: Images that the parameters learn from.
        preprocessing: How they become inputs, augmented as in training.
        strategy: Where the variables are.

    Raises:
        UserError: A number is out of its range, or the cost cannot be had.
    """
    from spos_tf.training.architecture_parameters import ArchitectureParameters
    from spos_tf.training.architecture_step import (
        ArchitectureSchedule,
        alternating,
        make_architecture_step,
    )
    from spos_tf.training.expected_cost import cost_factor
    from spos_tf.training.gumbel import GumbelSoftmax
    from spos_tf.training.path_optimizer import path_optimizer
    from spos_tf.training.two_path import TwoPath

    cost = factor = None
    if FLAGS.architecture_cost_weight:
        cost = _cost(blueprint)
        factor = cost_factor(
            cost,
            FLAGS.architecture_cost_weight,
            FLAGS.architecture_cost_exponent,
        )
    sampler: ArchitectureSampler
    with strategy.scope():
        parameters = ArchitectureParameters(blueprint.search_space)
        if FLAGS.algorithm == "gumbel":
            sampler = GumbelSoftmax(
                parameters,
                temperature=FLAGS.temperature,
                final_temperature=FLAGS.final_temperature,
                steps=FLAGS.steps,
                seed=FLAGS.seed,
            )
        else:
            sampler = TwoPath(parameters, seed=FLAGS.seed)
        optimizer = path_optimizer(_optimizer(), [parameters.variable], [None])
    schedule = ArchitectureSchedule(
        steps=FLAGS.steps,
        warmup_steps=_warmup_steps(),
        every=FLAGS.architecture_every,
    )
    step = make_architecture_step(
        forward,
        sampler,
        optimizer,
        factor=factor,
        global_batch_size=FLAGS.batch_size,
        label_smoothing=FLAGS.label_smoothing,
        strategy=strategy,
    )
    batches = functools.partial(
        _batches, split, preprocessing, schedule, strategy
    )
    return Learner(
        sampler,
        optimizer,
        functools.partial(
            alternating,
            architecture_step=step,
            schedule=schedule,
            batches=batches,
        ),
        cost,
    )


def _cost(blueprint: "Blueprint") -> "Any":
    from spos_tf.cost.constraint import Constraint

    costs = limits.known_costs(blueprint, FLAGS.architecture_cost)
    cost = limits.cost_named(costs, FLAGS.architecture_cost)
    limits.tables_only([Constraint(cost)])
    return cost


def _optimizer() -> "keras.optimizers.Optimizer":
    import keras

    # Of two_path without momentum, which would move parameters whose options
    # were not drawn (the authors' code).
    adam = keras.optimizers.Adam(
        FLAGS.architecture_learning_rate,
        beta_1=0.0 if FLAGS.algorithm == "two_path" else 0.9,
    )
    if FLAGS.dtype_policy == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam


def _batches(
    split: "AnySplit",
    preprocessing: "PreprocessingOptions",
    schedule: "ArchitectureSchedule",
    strategy: "tf.distribute.Strategy",
    first: int,
) -> Iterator[Any]:
    """Batches of the updates from number `first` on."""
    from spos_tf.data.pipeline import training_batches
    from spos_tf.data.reading import reading_errors

    batches: Any = training_batches(
        split,
        preprocessing,
        batch_size=FLAGS.batch_size,
        start_step=first,
        num_steps=schedule.updates,
        seed=FLAGS.seed,
    )
    if strategy.num_replicas_in_sync > 1:
        batches = strategy.experimental_distribute_dataset(batches)
    with reading_errors(split):
        yield from batches


def write_best(
    path: pathlib.Path,
    blueprint: "Blueprint",
    learner: Learner,
    evaluator: "Evaluator",
) -> None:
    """Writes the most probable architecture, measured as in a search.

    Args:
        path: An architecture file with costs and accuracy.
        blueprint: The description.
        learner: With its trained parameters.
        evaluator: Recalibrates, and scores on the search split.

    Raises:
        UserError: The file cannot be written, or the supernet has diverged.
    """
    import time

    from spos_tf.search.candidate import Candidate
    from spos_tf.search.record import write_best as write
    from spos_tf.space.search_space import format_encoding

    parameters = learner.sampler.parameters
    space = blueprint.search_space
    encoding = parameters.encoding()
    architecture = blueprint.architecture(encoding)
    costs = limits.known_costs(
        blueprint, *[FLAGS.architecture_cost] * bool(learner.cost)
    )
    started = time.time()
    accuracy = evaluator(encoding)
    candidate = Candidate(
        i=0,
        generation=0,
        encoding=tuple(encoding.tolist()),
        choices=architecture.choices,
        costs={
            name: cost(encoding[None])[0].item() for name, cost in costs.items()
        },
        accuracy=accuracy,
        seconds=time.time() - started,
        worker="train_supernet",
        time=started,
    )
    probabilities = _named(space, parameters.probabilities())
    for name, options in probabilities.items():
        shares = ", ".join(f"{one} {p:.1%}" for one, p in options.items())
        logging.info("Probabilities of %s: %s", name, shares)
    write(
        path,
        architecture,
        candidate,
        algorithm=FLAGS.algorithm,
        probabilities=probabilities,
    )
    logging.info(
        "Most probable: %s, accuracy %.2f %%, %s; see %s.",
        format_encoding(encoding),
        100 * accuracy,
        ", ".join(f"{k} {v:,}" for k, v in candidate.costs.items()),
        path,
    )


def _named(
    space: Any, probabilities: "np.ndarray"
) -> Mapping[str, Mapping[str, float]]:
    """`{choice: {option: probability}}`, legal options only."""
    return {
        choice.name: {
            str(choice.options[option]): round(float(row[option]), 6)
            for option in legal
        }
        for choice, legal, row in zip(
            space.choices, space.legal_options, probabilities, strict=True
        )
    }
