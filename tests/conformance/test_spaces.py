"""What holds for every search space."""

import itertools
import json

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from layer_count import count_layers
from spos_tf.cost.description import describe
from spos_tf.cost.table import cost_names, cost_table
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.export.channel_split import with_channel_split
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.transfer import inherit_weights
from spos_tf.space import Architecture
from spos_tf.spaces import blueprint_of


def _close(found, expected):
    """Whether logits are equal up to float32 sums in another order.

    Errors of 1e-6 a layer grow through a few dozen normalised layers; other
    weights give differences of the logits' own size.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    assert np.isfinite(found).all() and np.ptp(expected) > 0
    return np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


def _differ(found, expected, *, least=0.1):
    found, expected = np.asarray(found), np.asarray(expected)
    return np.abs(found - expected).max() > least * np.abs(expected).max()


def _least(blueprint):
    """How far other paths are at least: one more channel changes little.

    Still ten times what counts as close.
    """
    return 0.01 if any(one.elastic for one in blueprint.segments) else 0.1


def _neighbours(blueprint, encoding):
    """One other encoding a choice, with that choice changed."""
    for position, legal in enumerate(blueprint.search_space.legal_options):
        if len(legal) > 1:
            other = encoding.copy()
            place = legal.index(encoding[position])
            other[position] = legal[(place + 1) % len(legal)]
            yield other


def _among(encoding, encodings):
    return any(np.array_equal(encoding, one) for one in encodings)


def _distinct(*groups):
    found = []
    for encoding in itertools.chain(*groups):
        if not _among(encoding, found):
            found.append(encoding)
    return found


def test_a_space_without_smallest_arguments_fails_and_says_where(smallest):
    with pytest.raises(pytest.fail.Exception, match=r"'new'.*conftest.py"):
        smallest("new")


@hypothesis.given(st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=10)
def test_encodings_names_and_json_are_inverse(blueprint, seed):
    space = blueprint.search_space
    for encoding in space.sample(np.random.default_rng(seed), 2):
        assert np.array_equal(space.encode(space.decode(encoding)), encoding)
        text = blueprint.architecture(encoding).to_json()
        read = Architecture.from_dict(json.loads(text), source="test")
        assert blueprint_of(read) == blueprint
        again = blueprint.encode(read)
        assert np.array_equal(again, encoding)
        assert again.dtype == np.int32


def test_one_trace_serves_all_paths(blueprint, supernet, batches):
    space = blueprint.search_space
    forward = tf.function(
        lambda images, path: supernet(images, path), autograph=False
    )
    paths = space.sample(np.random.default_rng(0), 12)
    logits = [forward(batches[0][0], tf.constant(path)) for path in paths]
    assert forward.experimental_get_tracing_count() == 1
    different = len({one.numpy().tobytes() for one in logits})
    if blueprint.is_chain:
        assert different == len(np.unique(paths, axis=0))
    else:
        # Some cells are others with an idle edge.
        assert different > len(paths) / 2
    assert logits[0].shape == (16, blueprint.num_classes)


def test_a_path_equals_its_network_and_another_does_not(
    blueprint, supernet, covering, telling, batches, evaluator
):
    images, later = batches[0][0], batches[1][0]
    forward = tf.function(supernet, autograph=False)
    # One trace for statistics of all sizes.
    infer = tf.function(
        lambda images, path, statistics: supernet(
            images, path, statistics=statistics
        ),
        autograph=False,
        reduce_retracing=True,
    )
    for encoding in _distinct(covering, telling):
        path = tf.constant(encoding)
        subnet = build_subnet(blueprint, encoding, seed=9)
        before = subnet(images, training=True)
        expected = forward(images, path)
        assert _differ(before, expected)
        inherit_weights(subnet, blueprint, encoding, supernet.named_variables)
        trained = subnet(images, training=True)
        assert _close(trained, expected)

        statistics = evaluator.recalibrate(encoding)
        inherit_weights(
            subnet, blueprint, encoding, supernet.named_variables, statistics
        )
        inferred = subnet(later, training=False)
        assert _close(inferred, infer(later, path, statistics))
        assert not _close(inferred, subnet(later, training=True))

        if not _among(encoding, telling):
            continue
        least = _least(blueprint)
        for other in _neighbours(blueprint, encoding):
            theirs = forward(images, tf.constant(other))
            assert _differ(trained, theirs, least=least)
        other = next(_neighbours(blueprint, encoding))
        recalibrated = evaluator.recalibrate(other)
        theirs = infer(later, tf.constant(other), recalibrated)
        assert _differ(inferred, theirs, least=least)


def test_a_description_shows_the_choices_of_every_slot(blueprint):
    space = blueprint.search_space
    encoding = space.sample(np.random.default_rng(4), 1)[0]
    shown = [
        (name, tuple(choice["options"]), choice["chosen"])
        for slot in describe(blueprint, encoding)["slots"]
        for name, choice in slot["choices"].items()
    ]
    chosen = space.decode(encoding)
    choices = {choice.name: choice for choice in space.choices}
    # In the order of the segments; a choice that cells share stands in each.
    read = [name for one in blueprint.segments for name in one.reads]
    assert list(dict.fromkeys(read)) == list(choices)
    assert shown == [
        (name.rpartition(".")[2], choices[name].options, chosen[name])
        for name in read
    ]


def test_no_feature_of_a_file_has_more_than_four_dimensions(
    blueprint, covering
):
    """As TFLite gets them: accelerators leave what has more to the CPU."""
    for encoding in covering:
        network = with_channel_split(
            build_subnet(blueprint, encoding), "transposed"
        )
        ranks = {
            len(one.shape)
            for operation in network.operations
            for one in keras.tree.flatten(operation.output)
        }
        assert max(ranks) == 4


def test_the_table_equals_a_count_over_the_layers(blueprint):
    space = blueprint.search_space
    for encoding in space.sample(np.random.default_rng(5), 4):
        subnet = build_subnet(blueprint, encoding)
        counted = count_layers(subnet)
        for name in cost_names(blueprint):
            assert cost_table(blueprint, name)(encoding) == counted[name]


def test_recalibration_changes_statistics_and_nothing_else(
    supernet, evaluator, covering, batches
):
    before = {
        name: variable.numpy().copy()
        for name, variable in supernet.named_variables.items()
    }
    # Other images give other statistics ...
    other = Evaluator(supernet, batches[:1], batches)
    for encoding in covering:
        one, two = evaluator.recalibrate(encoding), other.recalibrate(encoding)
        assert not np.array_equal(one[0], two[0])
        evaluator.score(encoding, one)
    # ... and the network, all of it, stays to the bit.
    assert len(supernet.variables) == len(before)
    for name, variable in supernet.named_variables.items():
        assert variable.numpy().tobytes() == before[name].tobytes(), name


def test_scores_do_not_depend_on_what_was_scored_before(
    blueprint, supernet, evaluator, batches
):
    space = blueprint.search_space
    candidates = space.sample(np.random.default_rng(8), 6)

    def outcomes(evaluator, order):
        found = {}
        for index in order:
            statistics = evaluator.recalibrate(candidates[index])
            found[index] = (
                [s.numpy().tobytes() for s in statistics],
                evaluator.score(candidates[index], statistics),
                evaluator(candidates[index]),
            )
        return found

    first = outcomes(evaluator, range(6))
    assert outcomes(evaluator, [4, 0, 5, 2, 1, 3]) == first
    # Nor on an evaluator's past: a fresh one begins with the last.
    fresh = Evaluator(supernet, batches, batches)
    assert outcomes(fresh, [5]) == {5: first[5]}
    for _, score, called in first.values():
        assert score == called
    assert len({score for _, score, _ in first.values()}) > 1
