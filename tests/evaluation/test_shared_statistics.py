"""Statistics that all paths share, as moving averages of training would be."""

import numpy as np
import pytest
import tensorflow as tf

from random_batches import random_batches
from spos_tf.errors import UserError
from spos_tf.evaluation.shared_statistics import SharedStatistics
from spos_tf.networks.supernet import Supernet
from tiny_blueprint import tiny_blueprint

PATHS = [[0, 1], [2, 1], [0, 3], [0, 1]]


@pytest.fixture(scope="module")
def supernet():
    blueprint = tiny_blueprint(stage_repeats=[1, 1])
    return Supernet(blueprint, seed=2)


@pytest.fixture(scope="module")
def batches():
    return random_batches([16, 8, 12])


@pytest.fixture(scope="module")
def scoring():
    return random_batches([32, 18], seed=1)


@pytest.fixture(scope="module")
def shared(supernet, batches, scoring):
    return SharedStatistics(supernet, batches, scoring, PATHS)


def test_a_branch_has_the_mean_of_what_its_paths_saw(supernet, batches, shared):
    """Means of batch means and of batch variances, each batch alike."""
    # Path number i takes batch number i, and the fourth the first again.
    seen = [
        supernet.batch_moments(batches[i % 3][0], tf.constant(path))
        for i, path in enumerate(PATHS)
    ]
    through = {(0, 0): [0, 2, 3], (0, 2): [1], (1, 1): [0, 1, 3], (1, 3): [2]}
    names = [segment.name for segment in supernet.blueprint.segments]
    for position in (0, 1):
        segment = names.index(f"stage{position + 1}.block1")
        for option in {path[position] for path in PATHS}:
            expected = np.mean(
                [seen[i][segment] for i in through[position, option]], axis=0
            )
            other = 1 if position == 0 else 0
            path = [option, other] if position == 0 else [other, option]
            # Float32 moments, averaged in double precision.
            np.testing.assert_allclose(
                shared.recalibrate(path)[segment], expected, rtol=1e-6
            )
    # All paths go through the stem.
    np.testing.assert_allclose(
        shared.recalibrate([0, 1])[0],
        np.mean([one[0] for one in seen], axis=0),
        rtol=1e-6,
    )


def test_a_branch_has_the_same_whatever_the_path(supernet, shared):
    one, other = shared.recalibrate([0, 1]), shared.recalibrate([2, 1])
    same = [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]
    names = [segment.name for segment in supernet.blueprint.segments]
    assert [n for n, equal in zip(names, same, strict=True) if not equal] == [
        "stage1.block1"
    ]


def test_a_score_is_that_of_these_statistics(shared):
    expected = shared.score([2, 3], shared.recalibrate([2, 3]))
    # Nothing is kept between paths but the statistics.
    for path in ([2, 3], [0, 1], [2, 3]):
        accuracy = shared(path)
    assert accuracy == expected


def test_new_weights_need_new_statistics(supernet, shared):
    before = np.array(shared.recalibrate([0, 1])[0])
    kernel = next(iter(supernet.named_variables.values()))
    old = kernel.numpy()
    try:
        kernel.assign(old * 2)
        np.testing.assert_array_equal(shared.recalibrate([0, 1])[0], before)
        shared.forget()
        assert not np.allclose(shared.recalibrate([0, 1])[0], before)
        kernel.assign(old * np.nan)
        shared.forget()
        with pytest.raises(UserError, match=r"Path \[0, 1\] gives values"):
            shared([0, 1])
    finally:
        kernel.assign(old)
        shared.forget()


def test_what_no_path_ran_through_is_refused(shared):
    with pytest.raises(UserError, match="None of the 4 .*stage1.block1.*Raise"):
        shared([1, 1])
    with pytest.raises(UserError, match="2 integers"):
        shared([0, 1, 2])


def test_no_images_is_an_error(supernet, scoring):
    with pytest.raises(UserError, match="Collecting statistics needs at least"):
        SharedStatistics(supernet, [], scoring, PATHS)([0, 1])


def test_elastic_widths_have_statistics_of_each_width(batches, scoring):
    blueprint = tiny_blueprint("shufflenet_channels", stage_repeats=[1, 1])
    supernet = Supernet(blueprint, seed=2)
    evaluator = SharedStatistics(supernet, batches, scoring, [[0, 7], [7, 0]])
    assert len(evaluator.recalibrate([7, 7])) == len(blueprint.segments)
    with pytest.raises(UserError, match="None of the 2 random paths"):
        evaluator([3, 7])


def test_several_are_scored_as_one_by_one(shared):
    paths = PATHS[:3]
    assert shared.together(paths) == [shared(path) for path in paths]
