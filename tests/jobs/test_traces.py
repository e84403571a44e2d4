"""What a second job of the same space in a process does not pay again."""

import dataclasses
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import spos_tf
from spos_tf.ops.tensor_ops import TensorOps
from whole_jobs import small_blueprint


@dataclasses.dataclass(frozen=True)
class Counted:
    """A block that counts how often it is traced."""

    kernel_size: int

    # Of the class: no field, which would have a type.
    traces = 0

    def __call__(self, ops: Any, x: Any) -> Any:
        if isinstance(ops, TensorOps):
            Counted.traces += 1
        y = ops.depthwise(x, self.kernel_size, name="depthwise")
        return ops.relu(ops.batch_norm(y, name="norm"))


@pytest.fixture(scope="module")
def blueprint():
    small = small_blueprint()
    segments = tuple(
        dataclasses.replace(one, branches=(Counted(3), Counted(5)))
        if one.choice
        else one
        for one in small.segments
    )
    return dataclasses.replace(small, segments=segments)


def trained(blueprint, work_dir, seed):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8, 3), np.uint8)
    return spos_tf.train_supernet(
        blueprint,
        (images, np.arange(60) % 10),
        work_dir=work_dir,
        options=spos_tf.SupernetOptions(
            steps=2,
            batch_size=4,
            holdout_per_class=2,
            sampler="uniform",
            validate_every=2,
            recalibration_images=8,
            seed=seed,
        ),
    )


def searched(supernet, population, **options):
    return spos_tf.search_supernet(
        supernet,
        options=spos_tf.SearchOptions(
            population=population,
            generations=1,
            recalibration_images=8,
            evaluation_batch_size=4,
            **options,
        ),
    )


def test_a_second_job_of_a_space_traces_no_block_again(blueprint, tmp_path):
    first = trained(blueprint, tmp_path / "a", 0)
    searched(first, 2)
    once = Counted.traces
    assert once
    second = trained(blueprint, tmp_path / "b", 1)
    assert any(
        np.any(second.weights[name] != value)
        for name, value in first.weights.items()
    )
    searched(second, 3)
    searched(first, 2, scoring="tree")
    assert Counted.traces == once


def slot_of(blueprint, **arguments):
    """What runs the first segment in which something is chosen."""
    from spos_tf.networks.supernet import Supernet

    slots = Supernet(blueprint, **arguments)._slots
    return next(slot for slot in slots if len(slot.branches) > 1)


def test_what_a_trace_depends_on_makes_another(blueprint):
    from spos_tf.jobs.process import process_settings
    from spos_tf.ops.path_norm import SynchronizedBatchNorm

    slot, other = slot_of(blueprint), slot_of(blueprint)
    with process_settings(deterministic=True):
        strict = slot.functions
        assert other.functions is strict
    with process_settings(deterministic=False):
        usual = slot.functions
        assert usual is not strict
        assert other.functions is usual
        # It has a variable of its strategy's.
        assert (
            slot_of(blueprint, norm=SynchronizedBatchNorm(1)).functions
            is not slot_of(blueprint, norm=SynchronizedBatchNorm(1)).functions
        )
        assert slot_of(blueprint, width_mode="mask").functions is not usual
    made = {usual}
    for policy in ("mixed_float16", "mixed_bfloat16", "bfloat16"):
        with process_settings(deterministic=False, dtype_policy=policy):
            made.add(slot_of(blueprint).functions)
    assert len(made) == 4


def test_a_network_goes_and_its_traces_serve_the_next(blueprint):
    import keras
    import tensorflow as tf

    from spos_tf.networks.supernet import Supernet

    images = tf.zeros([2, 8, 8, 3])

    def score(network):
        statistics = network.batch_moments(images, tf.constant([0, 1]))
        return network(images, tf.constant([0, 1]), statistics).numpy()

    network = Supernet(blueprint, seed=3)
    expected = score(network)
    once = Counted.traces
    weight = weakref.ref(next(iter(network.named_variables.values())))
    del network
    gc.collect()
    assert weight() is None
    keras.backend.clear_session()
    assert (score(Supernet(blueprint, seed=3)) == expected).all()
    assert Counted.traces == once


def test_a_score_traces_the_branches_of_its_path_alone():
    import tensorflow as tf

    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.networks.supernet import Supernet

    # Of its own: no block here is another test's.
    blueprint = dataclasses.replace(
        small_blueprint(),
        segments=tuple(
            dataclasses.replace(one, branches=(Counted(7), Counted(9)))
            if one.choice
            else one
            for one in small_blueprint().segments
        ),
    )
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (4, 8, 8, 3)), tf.float32)
    batches = [(images, tf.constant([0, 1, 2, 3]))]
    evaluator = Evaluator(Supernet(blueprint), batches, batches)
    before = Counted.traces
    evaluator([0, 0])
    # Both segments are alike: moments and logits of one block.
    assert Counted.traces == before + 2
    evaluator([0, 1])
    assert Counted.traces == before + 4
    evaluator([1, 1])
    assert Counted.traces == before + 4
    evaluator.passes_by_branch = 0
    evaluator([0, 1])
    assert Counted.traces == before + 4
