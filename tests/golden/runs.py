"""What the golden tests run, by the library: the only file that imports it.

Everything is made from seeds, the images too. Each function gives what JSON
can hold, so that values.json is what these functions gave.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.counts import network_cost
from spos_tf.cost.table import cost_names, cost_table
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.scorer import LocalScorer
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.supernet import Supernet
from spos_tf.ops.selection import Path
from spos_tf.options import SearchOptions
from spos_tf.search.driver import run_search
from spos_tf.search.evolution import Evolution
from spos_tf.space.record import Record
from spos_tf.spaces import build_blueprint
from spos_tf.training.objective import Objective
from spos_tf.training.optimization import LearningRate, make_optimizer
from spos_tf.training.path_optimizer import path_optimizer, takes_l2
from spos_tf.training.samplers import (
    ConstraintSampler,
    Draw,
    StrictFairnessSampler,
    UniformSampler,
    default_ranges,
)
from spos_tf.training.step import make_train_step

SPACES = ("shufflenet_blocks", "resnet18_bits", "nasbench201")
SAMPLERS = ("uniform_constraint", "uniform", "strict_fairness")
STEPS = 20
SEED = 3
BATCH_SIZE = 8
# Every step has images of its own; recalibration has them all, as two batches.
TRAINING_IMAGES = STEPS * BATCH_SIZE
HELD_OUT_IMAGES = 100
CLASSES = 10
# Of a search, population times generations.
BUDGET = (4, 2)


@functools.cache
def blueprint_of(space: str) -> Blueprint:
    return build_blueprint(space, preset="cifar")


def fixed_encodings(space: str) -> np.ndarray:
    """Ten random ones, int32 `[10, num_choices]`."""
    rng = np.random.default_rng(SEED)
    return blueprint_of(space).search_space.sample(rng, 10)


def _sampler(space: str, kind: str) -> Any:
    blueprint = blueprint_of(space)
    choices = blueprint.search_space
    if kind == "uniform":
        return UniformSampler(choices, seed=SEED)
    if kind == "strict_fairness":
        return StrictFairnessSampler(choices, seed=SEED)
    macs = cost_table(blueprint, "macs")
    ranges = default_ranges(choices, macs, seed=SEED)
    return ConstraintSampler(choices, macs, ranges, seed=SEED)


def paths(space: str) -> dict[str, list[list[int]]]:
    """The path of every step, by sampler."""
    drawn = {}
    for kind in SAMPLERS:
        draw = tf.function(_sampler(space, kind), autograph=False)
        steps = tf.range(STEPS, dtype=tf.int64)
        drawn[kind] = [
            draw(step).path.options.numpy().tolist() for step in steps
        ]
    return drawn


def costs(space: str) -> dict[str, list[int | float]]:
    """Of the fixed encodings: by table and by counting one network."""
    blueprint, encodings = blueprint_of(space), fixed_encodings(space)
    found = {
        f"table_{name}": cost_table(blueprint, name)(encodings).tolist()
        for name in cost_names(blueprint)
    }
    counted = [network_cost(blueprint, one) for one in encodings]
    for field in ("macs", "params", "params_without_bn", "bit_ops"):
        found[field] = [getattr(one, field) for one in counted]
    return found


def _images(
    count: int, seed: int, batch_size: int
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Noisy pictures of a coarse pattern a class, in batches."""
    patterns = np.random.default_rng(SEED).integers(
        0, 256, (CLASSES, 4, 4, 3), np.uint8
    )
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count, np.int32)
    clean = patterns[labels].repeat(8, axis=1).repeat(8, axis=2)
    noise = rng.integers(0, 256, clean.shape, np.uint8)
    # Whole numbers alone, which are the same on every machine.
    images = (clean // 4 * 3 + noise // 4).astype(np.float32)
    return [
        (
            tf.constant(images[i : i + batch_size]),
            tf.constant(labels[i : i + batch_size]),
        )
        for i in range(0, count, batch_size)
    ]


def _given_paths(space: str) -> Any:
    """Draws paths that no stream of the package decides."""
    rng = np.random.default_rng(SEED + 3)
    paths = blueprint_of(space).search_space.sample(rng, STEPS)

    def draw(step: tf.Tensor) -> Draw:
        return Draw(Path(tf.gather(paths, step)), tf.constant(False))

    return draw


def train(space: str) -> tuple[Supernet, list[float]]:
    """A supernet after `STEPS` steps on given paths, and its losses."""
    supernet = Supernet(blueprint_of(space), seed=SEED)
    named, gates = supernet.named_variables, supernet.gates
    variables = list(named.values())
    optimizer = path_optimizer(
        make_optimizer(
            "sgd", LearningRate("linear", 0.02, STEPS), {"momentum": 0.9}
        ),
        variables,
        [gates[name] for name in named],
        # So strong that it shows after 20 steps.
        l2=0.005,
        l2_filter=takes_l2,
    )
    train_step = make_train_step(
        lambda images, path, seed: supernet(images, path),
        variables,
        optimizer,
        sampler=_given_paths(space),
        objective=Objective.make(label_smoothing=0.1, num_classes=CLASSES),
        global_batch_size=BATCH_SIZE,
        strategy=tf.distribute.get_strategy(),
    )
    batches = _images(TRAINING_IMAGES, SEED + 1, BATCH_SIZE)
    return supernet, [
        float(train_step(batch, tf.constant(step, tf.int64)).loss)
        for step, batch in enumerate(batches)
    ]


def weights(supernet: Supernet) -> dict[str, list[float]]:
    """The mean and the mean absolute value of every variable.

    Single elements say nothing after 20 steps: between two processors some
    differ by half their size.
    """
    found = {}
    for name, variable in supernet.named_variables.items():
        values = np.asarray(variable.numpy(), np.float64).ravel()
        found[name] = [float(values.mean()), float(np.abs(values).mean())]
    return found


def make_evaluator(supernet: Supernet) -> Evaluator:
    """Recalibrates on training images, scores held-out ones."""
    return Evaluator(
        supernet,
        _images(TRAINING_IMAGES, SEED + 1, TRAINING_IMAGES // 2),
        _images(HELD_OUT_IMAGES, SEED + 2, HELD_OUT_IMAGES),
    )


def statistics(evaluator: Evaluator, space: str) -> dict[str, list[float]]:
    """What recalibration gives for a path: means of every segment's."""
    names = [segment.name for segment in blueprint_of(space).segments]
    found = evaluator.recalibrate(fixed_encodings(space)[0])
    return {
        name: np.asarray(moments, np.float64).mean(axis=1).tolist()
        for name, moments in zip(names, found, strict=True)
        if np.size(moments)
    }


def scores(evaluator: Evaluator, space: str) -> list[float]:
    """Accuracies of the fixed encodings."""
    return [evaluator(one) for one in fixed_encodings(space)]


def search(
    score: Callable[[Any], float],
    space: str,
    folder: pathlib.Path,
    told: Sequence[float] | None,
) -> tuple[dict[str, Any], list[float]]:
    """A search under a limit: its record and the accuracies computed.

    Args:
        score: Gives the accuracy of an encoding.
        space: Name of the space.
        folder: Gets the record.
        told: Accuracies that the algorithm is told instead of those that are
            computed; None tells the latter.
    """
    blueprint = blueprint_of(space)
    tables = {n: cost_table(blueprint, n) for n in cost_names(blueprint)}
    limit = float(np.median(tables["macs"](fixed_encodings(space))))
    population, generations = BUDGET
    computed: list[float] = []

    def evaluate(encoding: Any) -> float:
        computed.append(score(encoding))
        return told[len(computed) - 1] if told else computed[-1]

    record = Record.open(folder / "record.jsonl")
    run_search(
        Evolution(
            blueprint.search_space,
            [Constraint(tables["macs"], maximum=limit)],
            SearchOptions(
                population=population, generations=generations, seed=SEED
            ),
        ),
        LocalScorer(evaluate),
        cost_functions=tables,
        record=record,
    )
    lines = [dataclasses.asdict(one) for one in record.candidates]
    kept = ("generation", "encoding", "choices", "costs", "score")
    # As JSON gives it back.
    return {
        f"{line['i']:03}": json.loads(
            json.dumps({one: line[one] for one in kept})
        )
        for line in lines
    }, computed
