"""What a second job of the same space in a process does not pay again."""

import dataclasses
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


def test_determinism_is_another_trace(blueprint):
    from spos_tf.jobs.process import process_settings
    from spos_tf.networks.supernet import Supernet

    (slot, *_) = [s for s in Supernet(blueprint)._slots if len(s.branches) > 1]
    (other, *_) = [s for s in Supernet(blueprint)._slots if len(s.branches) > 1]
    with process_settings(deterministic=True):
        strict = slot.functions
        assert other.functions is strict
    with process_settings(deterministic=False):
        assert slot.functions is not strict
        assert other.functions is slot.functions
    with process_settings(deterministic=False, dtype_policy="mixed_float16"):
        (half, *_) = [
            s for s in Supernet(blueprint)._slots if len(s.branches) > 1
        ]
        assert half.functions is not slot.functions
