"""The deploy form beside the network that it shares its variables with."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from lowbit_networks import CASES, cached_network, lowbit_network
from spos_tf.errors import UserError
from spos_tf.lowbit.deploy_form import (
    deploy_form,
    integer_weights,
    settle,
)
from spos_tf.lowbit.deployable_subnet import (
    build_deployable_subnet,
    place_grids,
    rounds_sums,
)
from spos_tf.lowbit.integer_graph import integer_graph
from spos_tf.lowbit.integer_nodes import (
    Add,
    Image,
    Mean,
)
from spos_tf.lowbit.ranges import ClipRange
from spos_tf.networks.int8_subnet import copy_weights
from spos_tf.networks.subnet import build_subnet
from spos_tf.ops.protocol import Precision
from spos_tf.space import SearchSpace
from spos_tf.spaces import build_blueprint


@pytest.fixture(params=CASES)
def network(request):
    """Model, graph and images; nothing here changes the model."""
    blueprint, encoding, model, images = cached_network(request.param)
    return model, integer_graph(model, blueprint, encoding), images


@pytest.mark.parametrize("case", ["few_bits", "pool", "bgr"])
def test_a_network_that_rounds_sums_is_its_deploy_form(case):
    """Where two bits make of every rounding a whole level."""
    blueprint, encoding, model, images = lowbit_network(case)
    rounding = build_deployable_subnet(blueprint, encoding)
    copy_weights(model, rounding)
    place_grids(rounding, blueprint, encoding)
    graph = integer_graph(rounding, blueprint, encoding)
    settle(graph)
    # As resized images are: no whole numbers, and some out of range.
    rng = np.random.default_rng(1)
    images = images + rng.uniform(-0.9, 0.9, images.shape).astype(np.float32)
    found = _logits(deploy_form(rounding, graph), images)
    # float32 in another order; where that moves a feature by a level, all
    # logits of an image differ.
    rows = np.abs(found - _logits(rounding, images)).max(1) < 1e-3
    assert rows.mean() > 0.9


def test_a_network_that_rounds_sums_is_saved_with_its_grids(tmp_path):
    blueprint, encoding, model, images = lowbit_network("more_bits")
    rounding = build_deployable_subnet(blueprint, encoding)
    copy_weights(model, rounding)
    place_grids(rounding, blueprint, encoding)
    rounding.save(tmp_path / "subnet.keras")
    loaded = keras.saving.load_model(tmp_path / "subnet.keras")
    np.testing.assert_array_equal(
        _logits(loaded, images), _logits(rounding, images)
    )
    # Without the grids of its own it is the network's deploy form.
    widest = integer_graph(rounding, blueprint, encoding, stored=False)
    graph = integer_graph(loaded, blueprint, encoding)
    for ours, theirs in zip(graph.nodes, widest.nodes, strict=True):
        if getattr(ours, "grid", None) is not None:
            np.testing.assert_allclose(
                ours.grid.scale_and_zero_point(),
                theirs.grid.scale_and_zero_point(),
                rtol=1e-6,
            )


def test_grids_stay_where_they_are_in_training():
    blueprint, encoding, model, images = lowbit_network("more_bits")
    rounding = build_deployable_subnet(blueprint, encoding)
    copy_weights(model, rounding)
    place_grids(rounding, blueprint, encoding)
    form = deploy_form(rounding, integer_graph(rounding, blueprint, encoding))
    fixed = [one.numpy() for one in rounding.non_trainable_variables]
    kernel = rounding.get_layer("stage1.block1.conv1").kernel.numpy()
    _train(form, rounding, images, 2)
    for before, now in zip(
        fixed, rounding.non_trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(before, now)
    now = rounding.get_layer("stage1.block1.conv1").kernel
    assert np.abs(now - kernel).max() > 0


def test_a_network_takes_the_weights_of_one_that_rounds_sums():
    blueprint, encoding, _, _ = lowbit_network("more_bits")
    rounding = build_deployable_subnet(blueprint, encoding)
    plain = build_subnet(blueprint, encoding, seed=5)
    copy_weights(rounding, plain)
    for layer in plain.layers:
        same = rounding.get_layer(layer.name)
        for one, other in zip(layer.variables, same.variables, strict=True):
            np.testing.assert_array_equal(one, other)
    assert rounds_sums(rounding)
    assert not rounds_sums(plain)


class _Block:
    """A block of a space of someone's own, with one thing wrong."""

    def __init__(self, wrong):
        self._wrong = wrong

    def __call__(self, ops, x):
        bits = Precision(2, 2)
        x = ops.clip(x, bits, name="clip")
        if self._wrong == "depthwise":
            x = ops.depthwise(x, 3, name="dw")
        y = ops.conv(x, 8, 3, bits=bits, name="conv")
        if self._wrong == "norm":
            return ops.clip(y, bits, name="clip2")
        y = ops.batch_norm(y, name="bn")
        if self._wrong == "relu":
            return ops.add(ops.relu(y), x)
        x = ops.conv(x, 8, bits=None, name="float")
        return ops.add(y, ops.batch_norm(x, name="float_bn"))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("norm", "'stage1.block1.conv'.*without batch norm"),
        ("relu", "a ReLU between"),
        ("depthwise", "the operation 'depthwise'"),
        ("float", "a convolution .'float'. in float"),
    ],
)
def test_blocks_that_no_deploy_form_computes(wrong, expected):
    blueprint = build_blueprint("resnet18_bits", preset="demo")
    stem, first, *_, head = blueprint.segments
    own = dataclasses.replace(first, branches=(_Block(wrong),), elastic=())
    broken = dataclasses.replace(
        blueprint,
        search_space=SearchSpace("own", ()),
        segments=(stem, own, head),
    )
    nothing = np.zeros(0, np.int32)
    model = build_subnet(broken, nothing)
    with pytest.raises(UserError, match=expected):
        integer_graph(model, broken, nothing)


@pytest.fixture
def changeable():
    blueprint, encoding, model, images = lowbit_network("more_bits")
    return model, integer_graph(model, blueprint, encoding), images


def _logits(model, images):
    return np.asarray(model(images, training=False))


def test_it_is_nearly_the_network(network):
    model, graph, images = network
    exact, form = (
        _logits(one, images) for one in (model, deploy_form(model, graph))
    )
    # Sides of sums are rounded to 8 bits, which moves some features by one
    # level: with 2 bits by a third of all they can be.
    assert 0 < np.abs(exact - form).mean() < 0.3 * np.std(exact)


@pytest.fixture
def without_rounding(monkeypatch):
    """Sides of sums, sum and mean at the end are not rounded."""
    monkeypatch.setattr(
        "spos_tf.lowbit.deploy_form.on_int8_grid", lambda x, *grid: x
    )


@pytest.mark.parametrize("case", CASES)
def test_settled_it_is_the_network_but_for_sums(case, without_rounding):
    blueprint, encoding, model, images = lowbit_network(case)
    graph = integer_graph(model, blueprint, encoding)
    settle(graph)
    # The same numbers in another order, 8 layers of float32.
    np.testing.assert_allclose(
        _logits(deploy_form(model, graph), images),
        _logits(model, images),
        rtol=1e-4,
        atol=1e-4,
    )


def test_everything_between_operations_is_on_an_8_bit_grid(network):
    _, graph, _ = network
    for node in graph.nodes[1:-1]:
        step, zero_point = (
            float(one) for one in node.grid.scale_and_zero_point()
        )
        assert step > 0
        assert -128 <= zero_point <= 127
        assert zero_point == round(zero_point)
        if isinstance(node.grid, ClipRange):
            # The last integer is the clip level.
            alpha = float(node.grid.pact.alpha)
            assert (127 - zero_point) * step == pytest.approx(alpha, rel=1e-6)


def test_weights_are_integers_and_few(network):
    _, graph, _ = network
    for conv in graph.convolutions:
        kernel, step, bias = (np.asarray(x) for x in integer_weights(conv))
        for integers in (kernel, bias):
            assert np.all(integers == np.round(integers))
        assert np.abs(kernel).max() <= 127
        assert np.all(step > 0)
        if conv.bits is not None:
            for channel in np.moveaxis(kernel, -1, 0):
                assert len(np.unique(channel)) <= 2**conv.bits


def test_training_computes_what_inference_does(network):
    model, graph, images = network
    form = deploy_form(model, graph)
    np.testing.assert_array_equal(
        form(images, training=True), form(images, training=False)
    )


def test_gradients_are_the_network_s(changeable, without_rounding):
    model, graph, images = changeable
    settle(graph)
    form = deploy_form(model, graph)
    weights = [one.value for one in model.trainable_variables]
    statistics = [one.numpy() for one in model.non_trainable_variables]

    def gradients(network, training):
        with tf.GradientTape() as tape:
            logits = network(images, training=training)
            loss = tf.reduce_mean(logits**2)
        return tape.gradient(loss, weights)

    ours, theirs = gradients(form, True), gradients(model, False)
    for one, other in zip(ours, theirs, strict=True):
        # Sums of float32 in another order.
        np.testing.assert_allclose(
            one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max() + 1e-7
        )
    for before, after in zip(
        statistics, model.non_trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_it_shares_the_variables(changeable):
    model, graph, images = changeable
    form = deploy_form(model, graph)
    before = _logits(form, images)
    layer = model.get_layer("stage1.block1.bn1")
    layer.beta.assign_add(np.ones(layer.beta.shape))
    assert np.abs(_logits(form, images) - before).max() > 0.01


@pytest.mark.parametrize("case", CASES)
def test_settled_weights_are_what_the_form_rounds_to(case):
    blueprint, encoding, model, images = lowbit_network(case)
    graph = integer_graph(model, blueprint, encoding)
    form = deploy_form(model, graph)
    apart = np.abs(_logits(model, images) - _logits(form, images)).mean()
    settle(graph)
    settled = _logits(form, images)
    assert np.abs(_logits(model, images) - settled).mean() < 1.2 * apart
    integers = [integer_weights(conv) for conv in graph.convolutions]
    settle(graph)
    for conv, before in zip(graph.convolutions, integers, strict=True):
        for one, other in zip(integer_weights(conv), before, strict=True):
            # Steps are computed anew: one in the last places.
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_settling_takes_the_stem_s_rounding_away(changeable):
    _, graph, _ = changeable
    settle(graph)
    first = graph.convolutions[0]
    kernel, step, _ = (np.asarray(x) for x in integer_weights(first))
    gain = first.norm.gamma / np.sqrt(
        np.asarray(first.norm.moving_variance) + first.norm.epsilon
    )
    std = np.reshape(first.source.std, (1, 1, 3, 1))
    np.testing.assert_allclose(
        np.asarray(first.layer.kernel) / std * np.asarray(gain),
        kernel * step,
        rtol=1e-5,
        atol=1e-9,
    )


def test_a_channel_that_batch_norm_makes_constant(changeable):
    model, graph, images = changeable
    for name in ("stem.bn", "stage1.block1.bn1"):
        gamma = model.get_layer(name).gamma
        values = gamma.numpy()
        values[0] = 0
        gamma.assign(values)
    form = deploy_form(model, graph)
    exact = _logits(model, images)
    assert np.abs(exact - _logits(form, images)).mean() < 0.3 * np.std(exact)
    settle(graph)
    assert np.all(np.isfinite(_logits(model, images)))


def test_order_and_kinds_of_the_operations(network):
    _, graph, _ = network
    assert isinstance(graph.nodes[0], Image)
    assert isinstance(graph.nodes[-2], Mean)
    done = set()
    for node in graph.nodes:
        assert all(id(one) in done for one in node.sources)
        done.add(id(node))
    assert sum(isinstance(node, Add) for node in graph.nodes) == 3


@pytest.mark.parametrize(
    ("space", "arguments", "encoding", "expected"),
    [
        ("shufflenet_blocks", {}, [0, 1, 2, 3, 0], "has none"),
        ("resnet18_bits", {"precisions": []}, [0, 0, 0], "has none"),
        ("resnet18_bits", {"precisions": [[8, 4]]}, [0] * 6, "1 to 7 bits"),
    ],
)
def test_networks_without_bits_have_none(space, arguments, encoding, expected):
    blueprint = build_blueprint(space, preset="demo", **arguments)
    model = build_subnet(blueprint, encoding)
    with pytest.raises(UserError, match=expected):
        integer_graph(model, blueprint, encoding)


def test_a_clip_level_of_nan_is_refused():
    blueprint, encoding, model, _ = lowbit_network("few_bits")
    model.get_layer("stage1.block1.clip1").alpha.assign(np.nan)
    with pytest.raises(UserError, match=r"'stage1.block1.clip1' is nan"):
        integer_graph(model, blueprint, encoding)


def _train(form, model, images, steps):
    """Losses of some steps."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(0.01)
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            value = loss(np.arange(64) % 10, form(images, training=True))
        weights = model.trainable_variables
        gradients = tape.gradient(value, [one.value for one in weights])
        optimizer.apply(gradients, weights)
        losses.append(float(value))
    return losses


def test_it_trains(changeable):
    model, graph, images = changeable
    losses = _train(deploy_form(model, graph), model, images, 20)
    assert losses[-1] < 0.8 * losses[0]
