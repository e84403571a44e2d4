"""Recalibrated scores of a supernet's paths."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from random_batches import random_batches
from spos_tf.errors import UserError
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.supernet import Supernet
from spos_tf.networks.transfer import inherit_weights
from tiny_blueprint import tiny_blueprint

PATH = [3, 1]


@pytest.fixture(scope="module")
def blueprint():
    return tiny_blueprint(stage_repeats=[1, 1])


@pytest.fixture(scope="module")
def supernet(blueprint):
    return Supernet(blueprint, seed=2)


@pytest.fixture(scope="module")
def recalibration():
    return random_batches([16, 16, 8])


@pytest.fixture(scope="module")
def evaluator(supernet, recalibration):
    return Evaluator(supernet, recalibration, random_batches([32, 18], seed=1))


@pytest.mark.parametrize("passes", [1, 2, 4, 32])
def test_by_branch_or_by_the_graph_a_score_is_the_same(
    evaluator, supernet, recalibration, passes, monkeypatch
):
    """Bit for bit, wherever the one ends and the other goes on."""
    monkeypatch.setattr(evaluator, "passes_by_branch", 0)
    expected = evaluator.recalibrate(PATH)
    other = Evaluator(supernet, recalibration, random_batches([32, 18], seed=1))
    other.passes_by_branch = passes
    statistics = other.recalibrate(PATH)
    for one, two in zip(statistics, expected, strict=True):
        assert one.numpy().tobytes() == two.numpy().tobytes()
    score = evaluator.score(PATH, expected)
    assert other.score(PATH, statistics) == score
    assert other(PATH) == score


def test_statistics_are_those_of_all_images_batch_by_batch(
    supernet, blueprint, evaluator, recalibration
):
    """Every batch norm: its inputs, each batch normalised with its own."""
    subnet = build_subnet(blueprint, PATH)
    inherit_weights(subnet, blueprint, PATH, supernet.named_variables)
    norms = [
        layer
        for layer in subnet.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    inputs = keras.Model(subnet.input, [norm.input for norm in norms])
    seen = [inputs(images, training=True) for images, _ in recalibration]
    expected = {
        norm.name: np.concatenate([batch[i] for batch in seen]).astype(float)
        for i, norm in enumerate(norms)
    }
    statistics = evaluator.recalibrate(PATH)
    inherit_weights(
        subnet, blueprint, PATH, supernet.named_variables, statistics
    )
    for norm in norms:
        values = expected[norm.name]
        # float32 features, pooled in float64 (E[x^2] - E[x]^2).
        np.testing.assert_allclose(
            norm.moving_mean, values.mean((0, 1, 2)), rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(
            norm.moving_variance, values.var((0, 1, 2)), rtol=1e-3, atol=1e-5
        )


def test_statistics_of_a_branch_are_padded_with_zeros(supernet, evaluator):
    shapes = {}
    for path in ([0, 0], [3, 3]):
        statistics = evaluator.recalibrate(path)
        shapes[tuple(path)] = [s.shape for s in statistics]
        assert {s.dtype for s in statistics} == {tf.float32}
    assert shapes[0, 0] == shapes[3, 3]


def test_a_score_is_the_share_of_right_classes(supernet, evaluator):
    statistics = evaluator.recalibrate(PATH)
    hits = total = 0
    for images, labels in random_batches([32, 18], seed=1):
        logits = supernet(images, tf.constant(PATH), statistics=statistics)
        hits += np.sum(logits.numpy().argmax(1) == labels.numpy())
        total += len(labels)
    assert evaluator.score(PATH, statistics) == hits / total
    assert evaluator(PATH) == hits / total


def test_batches_of_other_sizes_pool_to_the_same_up_to_normalisation(
    supernet, blueprint
):
    """The stem's inputs depend on no normalisation: any batches will do."""
    images = tf.concat([i for i, _ in random_batches([16, 16, 8])], 0)
    labels = tf.zeros([40], tf.int32)
    found = []
    for sizes in ([40], [10, 30], [1, 39]):
        parts = zip(
            tf.split(images, sizes), tf.split(labels, sizes), strict=True
        )
        evaluator = Evaluator(supernet, list(parts), [])
        found.append(evaluator.recalibrate(PATH)[0])
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, rtol=1e-4, atol=1e-6)


def test_no_images_is_an_error(supernet, recalibration):
    with pytest.raises(UserError, match="Recalibration needs at least one"):
        Evaluator(supernet, [], recalibration)(PATH)
    with pytest.raises(UserError, match="Scoring needs at least one"):
        Evaluator(supernet, recalibration, [])(PATH)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_an_error(
    supernet, recalibration, value
):
    """Though the network itself would hide it: ReLU makes 0 of NaN."""
    images, labels = random_batches([4])[0]
    broken = images.numpy()
    broken[2, 3, 3, 1] = value
    broken = [(tf.constant(broken), labels)]
    message = r"Path \[3, 1\] gives values that are not finite"
    with pytest.raises(UserError, match=message):
        Evaluator(supernet, recalibration, broken)(PATH)
    with pytest.raises(UserError, match=message):
        Evaluator(supernet, broken, recalibration)(PATH)


def test_a_diverged_supernet_is_an_error_on_its_path_alone(
    blueprint, recalibration
):
    diverged = Supernet(blueprint, seed=2)
    kernel = diverged.named_variables["stage2.block1.7x7.dw1.kernel"]
    kernel.assign(kernel * np.nan)
    evaluator = Evaluator(diverged, recalibration, recalibration)
    with pytest.raises(UserError, match=r"Path \[0, 2\] gives values"):
        evaluator([0, 2])
    assert 0 <= evaluator([2, 0]) <= 1


def test_an_encoding_of_another_space_is_refused(evaluator):
    with pytest.raises(UserError, match="2 integers"):
        evaluator([0, 1, 2])
    with pytest.raises(UserError, match="options 0 to 3"):
        evaluator([0, 4])


class Counted:
    """Batches that count how often they are gone through."""

    def __init__(self, batches):
        self.batches = batches
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        return iter(self.batches)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_images_are_gone_through_twice_whatever_the_number(
    supernet, recalibration, evaluator, count
):
    """And scores are those of one after the other, to the last bit."""
    rng = np.random.default_rng(count)
    paths = rng.integers(0, 4, (count, 2))
    counted = Counted(recalibration), Counted(random_batches([32, 18], seed=1))
    together = Evaluator(supernet, *counted)
    expected = [evaluator(path) for path in paths]
    assert together.together(paths) == expected
    assert [one.passes for one in counted] == [1, 1]
    measured = together.measure(paths)
    assert [one.result() for one in measured] == expected
    assert together.batches == counted


def test_the_first_of_several_that_fails_is_named(blueprint, recalibration):
    """As if one came after the other, whichever step it fails in."""
    diverged = Supernet(blueprint, seed=2)
    named = diverged.named_variables
    kernel = named["stage2.block1.7x7.dw1.kernel"]
    kernel.assign(kernel * np.nan)
    evaluator = Evaluator(diverged, recalibration, recalibration)
    paths = [[2, 0], [0, 2], [1, 2]]
    with pytest.raises(UserError, match=r"Path \[0, 2\] gives values"):
        evaluator.together(paths)
    assert len(evaluator.together(paths[:1])) == 1
    assert evaluator.together([]) == []
    # Only scoring shows it: the images there are not finite.
    images, labels = recalibration[0]
    broken = [*recalibration, (images * np.inf, labels)]
    evaluator = Evaluator(diverged, recalibration, broken)
    with pytest.raises(UserError, match=r"Path \[2, 0\] gives values"):
        evaluator.together(paths)
