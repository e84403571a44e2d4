"""Architecture parameters that are trained beside a supernet's weights."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from spos_tf.cost.table import CostTable
from spos_tf.data.pipeline import TrainingData
from spos_tf.options import SupernetOptions
from spos_tf.space import SearchSpace
from spos_tf.training.architecture_parameters import (
    ArchitectureParameters,
    ArchitectureSampler,
)
from spos_tf.training.architecture_step import (
    ArchitectureSchedule,
    alternating,
    make_architecture_step,
)
from spos_tf.training.expected_cost import cost_factor
from spos_tf.training.gumbel import GumbelSoftmax
from spos_tf.training.objective import Objective
from spos_tf.training.optimization import scaled
from spos_tf.training.path_optimizer import path_optimizer, slots_by_name
from spos_tf.training.step import Forward, TrainStep
from spos_tf.training.team import Team
from spos_tf.training.two_path import TwoPath


@dataclasses.dataclass(frozen=True)
class Learner:
    """Architecture parameters, and how they are trained beside the weights.

    Attributes:
        sampler: Draws for both; has the parameters.
        optimizer: Of the parameters.
        alternate: From a step of the weights to one of both.
        cost: That the loss is multiplied with; None where it is left out.
    """

    sampler: ArchitectureSampler
    optimizer: keras.optimizers.Optimizer
    alternate: Callable[[TrainStep], TrainStep]
    cost: CostTable | None

    @property
    def variables(self) -> dict[str, keras.Variable]:
        """What a checkpoint holds of it, by name."""
        slots = slots_by_name(self.optimizer, ["parameters"])
        return {
            "architecture/parameters": self.sampler.parameters.variable,
            **{
                f"architecture/optimizer/{name}": variable
                for name, variable in slots.items()
            },
        }


def make_learner(
    space: SearchSpace,
    forward: Forward,
    *,
    options: SupernetOptions,
    objective: Objective,
    data: TrainingData,
    cost: CostTable | None,
    team: Team,
) -> Learner:
    """What `algorithm="gumbel"` or `"two_path"` trains besides the weights.

    Args:
        space: The choices.
        forward: The supernet in training mode.
        options: Complete ones.
        objective: As for the weights.
        data: Images that the parameters learn from and the weights do not.
        cost: What the loss is multiplied with, where
            `architecture_cost_weight` is not 0.
        team: Where the variables are.

    Raises:
        UserError: A number is out of its range, or nothing is to be chosen.
    """
    weight = options.architecture_cost_weight or 0.0
    factor = None
    if not weight:
        cost = None
    if cost is not None:
        exponent = options.architecture_cost_exponent or 0.0
        factor = cost_factor(cost, weight, exponent)
    steps = options.steps or 0
    with team.strategy.scope():
        parameters = ArchitectureParameters(space)
        sampler = _sampler(parameters, options, steps)
        optimizer = path_optimizer(
            _optimizer(options), [parameters.variable], [None]
        )
    schedule = ArchitectureSchedule(
        steps=steps,
        warmup_steps=options.architecture_warmup_steps,
        every=options.architecture_every or 1,
    )
    step = make_architecture_step(
        forward,
        sampler,
        optimizer,
        factor=factor,
        objective=objective,
        global_batch_size=options.batch_size or 0,
        strategy=team.strategy,
        seed=options.seed,
    )
    alternate = functools.partial(
        alternating,
        architecture_step=step,
        schedule=schedule,
        batches=functools.partial(_batches, data, options, schedule, team),
    )
    return Learner(sampler, optimizer, alternate, cost)


def _sampler(
    parameters: ArchitectureParameters, options: SupernetOptions, steps: int
) -> ArchitectureSampler:
    if options.algorithm == "two_path":
        return TwoPath(parameters, seed=options.seed)
    return GumbelSoftmax(
        parameters,
        temperature=options.temperature or 0.0,
        final_temperature=options.final_temperature or 0.0,
        steps=steps,
        seed=options.seed,
    )


def _optimizer(options: SupernetOptions) -> keras.optimizers.Optimizer:
    # two_path has no momentum, which would move parameters whose options were
    # not drawn (the authors' code).
    adam = keras.optimizers.Adam(
        options.architecture_learning_rate,
        beta_1=0.0 if options.algorithm == "two_path" else 0.9,
    )
    return scaled(adam, options)


def _batches(
    data: TrainingData,
    options: SupernetOptions,
    schedule: ArchitectureSchedule,
    team: Team,
    first: int,
) -> Iterator[Any]:
    """Batches of the updates from number `first` on."""
    with data.errors():
        yield from team.batches(data, options, first, schedule.updates)
