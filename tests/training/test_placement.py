"""Where the operations of a step are placed, as its graph says.

No GPU is needed: operations that nobody placed are free to go to one, those
that were placed on the CPU stay there.
"""

import numpy as np
import pytest
import tensorflow as tf

from graph_nodes import Functions
from random_batches import random_batches
from spos_tf.cost.table import cost_table
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.networks.supernet import Supernet
from spos_tf.ops import segment_functions
from spos_tf.ops.selection import Path
from spos_tf.spaces import build_blueprint
from spos_tf.training.objective import Objective
from spos_tf.training.optimization import LearningRate, make_optimizer
from spos_tf.training.path_dropout import PathDropoutSampler
from spos_tf.training.path_optimizer import path_optimizer
from spos_tf.training.samplers import (
    ConstraintSampler,
    StrictFairnessSampler,
    UniformSampler,
    default_ranges,
)
from spos_tf.training.step import make_train_step
from tiny_blueprint import tiny_blueprint

HOST = "/device:CPU:0"


@pytest.fixture
def gpu(monkeypatch):
    """Traced as on a machine with one: no Case only keeps oneDNN away."""
    plain = tf.config.list_logical_devices

    def listed(kind=None):
        return ["GPU:0"] if kind == "GPU" else plain(kind)

    monkeypatch.setattr(tf.config, "list_logical_devices", listed)
    # What other networks of the process traced has such Cases.
    anew = segment_functions._shared.__wrapped__
    monkeypatch.setattr(segment_functions, "_shared", anew)


@pytest.fixture(scope="module")
def blueprint():
    return tiny_blueprint(stage_repeats=[1, 1])


def sampler_of(kind, blueprint):
    space = blueprint.search_space
    if kind == "uniform":
        return UniformSampler(space, seed=1)
    if kind == "strict_fairness":
        return StrictFairnessSampler(space, seed=1)
    if kind == "path_dropout":
        return PathDropoutSampler(
            space, 0.5, schedule="constant", steps=10, seed=1
        )
    macs = cost_table(blueprint, "macs")
    ranges = default_ranges(space, macs, count=2)
    return ConstraintSampler(space, macs, ranges, seed=1)


@pytest.mark.parametrize(
    "kind", ["uniform", "strict_fairness", "constraint", "path_dropout"]
)
def test_a_step_draws_its_path_and_chooses_on_the_host(blueprint, kind, gpu):
    supernet = Supernet(blueprint, seed=1)
    variables = list(supernet.named_variables.values())
    optimizer = path_optimizer(
        make_optimizer("sgd", LearningRate("linear", 0.1, 10), {}),
        variables,
        list(supernet.gates.values()),
    )
    step = make_train_step(
        lambda images, path, seed: supernet(images, path),
        variables,
        optimizer,
        sampler=sampler_of(kind, blueprint),
        objective=Objective.make(num_classes=10),
        global_batch_size=4,
        strategy=tf.distribute.get_strategy(),
    )
    (batch,) = random_batches([4])
    functions = Functions(
        step.get_concrete_function(batch, tf.constant(0, tf.int64))
    )
    drawn = [n for n in functions.nodes if n.op.startswith("StatelessRandom")]
    assert drawn
    assert {node.device for node in drawn} == {HOST}
    assert functions.index_devices() == {HOST}
    # The network itself is placed nowhere.
    others = [n for n in functions.nodes if "Conv2D" in n.op]
    assert others and {node.device for node in others} == {""}


@pytest.mark.parametrize("space", ["shufflenet_blocks", "proxyless_cpu"])
def test_scoring_chooses_on_the_host(blueprint, space, gpu):
    if space == "proxyless_cpu":
        # Where skip is not legal, branches are fewer than options.
        blueprint = build_blueprint(space, preset="demo")
    supernet = Supernet(blueprint, seed=1)
    batches = random_batches([4])
    evaluator = Evaluator(supernet, batches, batches)
    path = evaluator._path([0] * blueprint.search_space.num_choices)
    assert path.device.endswith(HOST)
    concrete = evaluator._graph_moments.get_concrete_function()
    functions = Functions(concrete)
    # The path comes from outside; what is computed of it stays on the host.
    assert functions.index_devices() == {HOST}
    statistics = evaluator.recalibrate(path)
    concrete = evaluator._graph_logits.get_concrete_function(
        batches[0][0], path, statistics
    )
    assert Functions(concrete).index_devices() == {HOST}


def test_what_nobody_places_is_found():
    """The test can fail: an index that is computed like all the rest."""

    @tf.function
    def free(x, options):
        return tf.switch_case(options[0] + 1, [lambda: x, lambda: -x])

    spec = tf.TensorSpec([2], tf.int32)
    found = Functions(
        free.get_concrete_function(tf.TensorSpec([], tf.float32), spec)
    )
    assert found.index_devices() == {""}
    assert Path(tf.constant([1, 2])).at(1).options.device.endswith(HOST)
    assert np.asarray(Path(tf.constant([1, 2])).runs(1, 2))
