"""Architecture parameters that are trained beside a supernet's weights."""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import algorithms
import limits
from absl import flags, logging

if TYPE_CHECKING:
    import keras
    import numpy as np

    from spos_tf.cost.table import CostTable
    from spos_tf.data.examples import AnySplit
    from spos_tf.data.preprocessing import PreprocessingOptions
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.training.architecture_parameters import ArchitectureSampler
    from spos_tf.training.architecture_step import (
        ArchitectureSchedule,
        TrainStep,
    )
    from spos_tf.training.step import Forward
    from spos_tf.training.team import Team

FLAGS = flags.FLAGS


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


def make_learner(
    blueprint: "Blueprint",
    forward: "Forward",
    split: "AnySplit",
    preprocessing: "PreprocessingOptions",
    team: "Team",
) -> Learner:
    """What --algorithm=gumbel or two_path trains besides the weights.

    Args:
        blueprint: The description.
        forward: The supernet in training mode.
        split: Images that the parameters learn from.
        preprocessing: How they become inputs, augmented as in training.
        team: Where the variables are.

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
    with team.strategy.scope():
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
        warmup_steps=algorithms.warmup_steps(),
        every=FLAGS.architecture_every,
    )
    step = make_architecture_step(
        forward,
        sampler,
        optimizer,
        factor=factor,
        global_batch_size=FLAGS.batch_size,
        label_smoothing=FLAGS.label_smoothing,
        strategy=team.strategy,
    )
    batches = functools.partial(_batches, split, preprocessing, schedule, team)
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
    team: "Team",
    first: int,
) -> Iterator[Any]:
    """Batches of the updates from number `first` on."""
    from spos_tf.data.pipeline import training_batches
    from spos_tf.data.reading import reading_errors

    batches = team.batches(
        lambda share: training_batches(
            split,
            preprocessing,
            batch_size=FLAGS.batch_size,
            start_step=first,
            num_steps=schedule.updates,
            seed=FLAGS.seed,
            share=share,
        ),
        FLAGS.batch_size,
    )
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
    from spos_tf.space.candidate import Candidate
    from spos_tf.space.record import write_best as write
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
