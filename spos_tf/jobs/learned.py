"""The architecture that trained architecture parameters say."""

import pathlib
import time
from collections.abc import Mapping

import numpy as np

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import CostTable
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.jobs import limits
from spos_tf.jobs.notes import tell
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import LimitOptions, SupernetOptions
from spos_tf.space.candidate import Candidate, score_text
from spos_tf.space.record import write_best
from spos_tf.space.search_space import SearchSpace, format_encoding
from spos_tf.training.architecture_learner import Learner


def loss_cost(
    blueprint: Blueprint, options: SupernetOptions, limited: LimitOptions
) -> CostTable | None:
    """The cost that the loss is multiplied with; None where it is left out.

    Raises:
        UserError: The cost is unknown, or of whole architectures.
    """
    name = options.architecture_cost
    if not options.architecture_cost_weight or name is None:
        return None
    known = limits.known_costs(blueprint, limited, name)
    found = limits.cost_named(known, name)
    (cost,) = limits.tables_only([Constraint(found)])
    return cost


def write_found(
    path: pathlib.Path,
    blueprint: Blueprint,
    learner: Learner,
    evaluator: Evaluator,
    metric: ScoreMetric,
    options: SupernetOptions,
    limited: LimitOptions,
) -> None:
    """Writes the most probable architecture, measured as in a search.

    Args:
        path: An architecture file with costs and the score.
        blueprint: The description.
        learner: With its trained parameters.
        evaluator: Recalibrates, and scores on the search images.
        metric: Of the score.
        options: Of the training.
        limited: Costs to write down.

    Raises:
        UserError: The file cannot be written, or the supernet has diverged.
    """
    parameters = learner.sampler.parameters
    encoding = parameters.encoding()
    architecture = blueprint.architecture(encoding)
    named = [options.architecture_cost] if learner.cost is not None else []
    costs = limits.known_costs(blueprint, limited, *filter(None, named))
    started = time.time()
    score = evaluator(encoding)
    candidate = Candidate(
        i=0,
        generation=0,
        encoding=tuple(encoding.tolist()),
        choices=architecture.choices,
        costs={
            name: cost(encoding[None])[0].item() for name, cost in costs.items()
        },
        score=score,
        metric=metric.name,
        direction=metric.direction,
        seconds=time.time() - started,
        worker="train_supernet",
        time=started,
    )
    probabilities = _named(blueprint.search_space, parameters.probabilities())
    for name, shares in probabilities.items():
        words = ", ".join(f"{one} {p:.1%}" for one, p in shares.items())
        tell(f"Probabilities of {name}: {words}")
    write_best(
        path,
        architecture,
        candidate,
        algorithm=options.algorithm,
        probabilities=probabilities,
    )
    words = ", ".join(f"{k} {v:,}" for k, v in candidate.costs.items())
    tell(
        f"Most probable: {format_encoding(encoding)}, {metric.name} "
        f"{score_text(metric.name, score)}, {words}; see {path}."
    )


def _named(
    space: SearchSpace, probabilities: np.ndarray
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
