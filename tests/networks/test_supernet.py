"""What a supernet holds; that it computes its paths is in conformance/."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.networks.supernet import (
    Supernet,
    branch_name,
    pooled_statistics,
)
from spos_tf.ops.path_norm import BatchNorm
from spos_tf.ops.tensor_ops import TensorOps
from spos_tf.spaces import build_blueprint


def _blueprint(**arguments):
    return build_blueprint(
        "shufflenet_blocks",
        **{
            "preset": "demo",
            "stem_width": 8,
            "stage_widths": [12, 16],
            "stage_strides": [1, 2],
            "stage_repeats": [1, 1],
            "last_width": 16,
            **arguments,
        },
    )


@pytest.fixture(scope="module")
def supernet():
    return Supernet(_blueprint(), seed=1)


def _run(supernet, path, seed=None, **arguments):
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3))
    return supernet(
        tf.constant(images, tf.float32),
        tf.constant(path),
        dropout_seed=None if seed is None else tf.constant(seed),
        **arguments,
    ).numpy()


def test_weights_are_named_by_segment_option_and_operation(supernet):
    names = list(supernet.named_variables)
    assert names[0] == "stem.conv.kernel"
    assert "stage1.block1.7x7.dw1.kernel" in names
    assert names[-1] == "head.classifier.kernel"
    assert len(names) == len(supernet.variables) == 2 + 1 + 2 * (3 * 5 + 8)
    assert branch_name(supernet.blueprint, "stage2.block1", 3) == (
        "stage2.block1.xception"
    )


def test_there_are_kernels_and_nothing_else(supernet):
    for name, variable in supernet.named_variables.items():
        assert name.endswith(".kernel")
        assert variable.trainable


def test_a_gate_is_the_choice_and_the_option_of_its_branch(supernet):
    gates = supernet.gates
    assert list(gates) == list(supernet.named_variables)
    assert gates["stem.conv.kernel"] is None
    assert gates["head.conv.kernel"] is None
    assert gates["stage1.block1.3x3.pw1.kernel"] == (0, 0)
    assert gates["stage2.block1.xception.dw3.kernel"] == (1, 3)


def test_weights_do_not_depend_on_the_rest_of_the_network(supernet):
    longer = Supernet(_blueprint(stage_repeats=[2, 2]), seed=1)
    ours, theirs = supernet.named_variables, longer.named_variables
    assert set(ours) < set(theirs)
    for name, variable in ours.items():
        np.testing.assert_array_equal(variable, theirs[name])


def test_dropout_is_a_function_of_seed_and_step():
    supernet = Supernet(_blueprint(dropout=0.5), seed=1)
    plain = _run(supernet, [0, 1])
    first = _run(supernet, [0, 1], [7, 0])
    np.testing.assert_array_equal(_run(supernet, [0, 1], [7, 0]), first)
    for other in ([7, 1], [8, 0], None):
        assert not np.array_equal(_run(supernet, [0, 1], other), first)
    # Nothing is dropped where statistics are given: that is scoring.
    statistics = supernet.batch_moments(
        tf.constant(
            np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)), tf.float32
        ),
        tf.constant([0, 1]),
    )
    scored = _run(supernet, [0, 1], [7, 0], statistics=statistics)
    # The same images give the same moments: up to rounding in float32.
    np.testing.assert_allclose(scored, plain, atol=1e-5)


def test_dropouts_of_equal_shape_have_masks_of_their_own():
    ones = tf.ones([8, 64])
    seed = tf.constant([3, 5])

    def masks(branch, *names):
        ops = TensorOps(
            {}, "float32", norm=BatchNorm(), branch=branch, dropout_seed=seed
        )
        return [ops.dropout(ones, 0.5, name=name).numpy() for name in names]

    drawn = [*masks(0, "one", "two"), *masks(1, "one", "two")]
    for one, two in itertools.combinations(drawn, 2):
        # Half of 512 agree by chance.
        assert 180 < (one == two).sum() < 330
    np.testing.assert_array_equal(drawn[0], *masks(0, "one"))


def test_dropout_keeps_the_mean():
    supernet = Supernet(_blueprint(dropout=0.5), seed=1)
    plain = _run(supernet, [0, 1])
    runs = [_run(supernet, [0, 1], [3, step]) for step in range(200)]
    spread = np.std(runs, axis=0) / np.sqrt(len(runs))
    # Sixty means of 200 runs: five of their standard deviations.
    assert np.all(np.abs(np.mean(runs, axis=0) - plain) < 5 * spread + 1e-6)


def test_a_rate_of_zero_drops_nothing(supernet):
    np.testing.assert_array_equal(
        _run(supernet, [0, 1], [7, 0]), _run(supernet, [0, 1])
    )


def test_statistics_are_pooled_by_the_batches_sizes():
    """A standard deviation of 1e-4 of the mean: lost in float32's squares."""
    rng = np.random.default_rng(0)
    values = rng.normal([1e3, 0.0, -5.0], [0.1, 1.0, 0.0], (60, 3))
    values = values.astype(np.float32).astype(np.float64)
    batches = [
        (
            len(part),
            [np.stack([part.mean(0), part.var(0)]).astype(np.float32)],
        )
        for part in np.split(values, [10, 40])
    ]
    (pooled,) = pooled_statistics(iter(batches))
    assert pooled.dtype == tf.float32
    np.testing.assert_allclose(pooled[0], values.mean(0), rtol=1e-6)
    np.testing.assert_allclose(pooled[1], values.var(0), rtol=1e-2, atol=1e-9)
    assert float(pooled[1, 2]) >= 0
    assert pooled_statistics([]) == []
