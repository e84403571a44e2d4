"""Optimizers that move only what is on the path."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.ops.selection import BranchWeights, Path
from spos_tf.options import TrainingOptions
from spos_tf.training.optimization import (
    LearningRate,
    make_optimizer,
    run_optimizer,
)
from spos_tf.training.path_optimizer import (
    PRIVATE_KERAS_METHODS,
    path_optimizer,
    slots_by_name,
    takes_l2,
)

GATES = [None, (0, 0), (0, 1), (1, 0), (1, 2)]
OPTIMIZERS = {
    "sgd": ("sgd", {"momentum": 0.9}),
    "sgd, nesterov, clipped": (
        "sgd",
        {"momentum": 0.9, "nesterov": True, "clipnorm": 0.5},
    ),
    "sgd, decayed": ("sgd", {"momentum": 0.9, "weight_decay": 0.1}),
    "adamw": ("adamw", {"weight_decay": 0.1}),
    "adamw, clipped": ("adamw", {"weight_decay": 0.1, "clipnorm": 0.5}),
    "nadam": ("nadam", {}),
    "nadam, decayed, clipped": (
        "nadam",
        {"weight_decay": 0.1, "clipnorm": 0.5},
    ),
}


def _variables():
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=(3, 2)), dtype="float32", name=f"v{i}")
        for i in range(len(GATES))
    ]


def _gradients(step, scale=1.0):
    rng = np.random.default_rng(100 + step)
    return [
        tf.constant(scale * rng.normal(size=(3, 2)), tf.float32) for _ in GATES
    ]


def _optimizer(name):
    kind, arguments = OPTIMIZERS[name]
    return make_optimizer(kind, 0.05, arguments)


def _slots(optimizer):
    """Lists of one variable a weight."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    names = ("momentums", "_momentums", "_velocities")
    found = [getattr(optimizer, n) for n in names if hasattr(optimizer, n)]
    assert found
    return found


def _state(variables, optimizer, index):
    return [v[index].numpy() for v in (variables, *_slots(optimizer))]


def _path(options):
    return Path(tf.constant(options))


def _same(before, after):
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_off_the_path_stays_bit_identical(name, scaled):
    """Slots and decay too, though the gradients are not zero here."""
    variables, optimizer = _variables(), _optimizer(name)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    gated = path_optimizer(optimizer, variables, GATES, l2=0.01)
    paths = [[0, 0], [1, 2], [1, 1], [0, 2]]
    for step, path in enumerate(paths):
        before = [_state(variables, gated, i) for i in range(len(GATES))]
        gated.apply_on_path(_gradients(step), _path(path))
        for index, gate in enumerate(GATES):
            on_path = gate is None or path[gate[0]] == gate[1]
            after = _state(variables, gated, index)
            assert _same(before[index], after) != on_path, (step, gate)
            if on_path:
                assert not np.array_equal(before[index][0], after[0])
    assert int(gated.iterations) == len(paths)


def test_counters_that_all_share_advance_without_them():
    variables = _variables()
    gated = path_optimizer(_optimizer("nadam"), variables, [(0, 0)] * 5)
    before = float(gated._u_product)
    gated.apply_on_path(_gradients(0), _path([1, 1]))
    assert int(gated.iterations) == 1
    assert float(gated._u_product) < before


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_with_everything_on_the_path_it_is_plain_keras_to_the_bit(name):
    ours, theirs = _variables(), _variables()
    gated = path_optimizer(
        _optimizer(name), ours, [None, (0, 0), (0, 0), (1, 2), (1, 2)]
    )
    plain = _optimizer(name)
    plain.build(theirs)
    assert len(gated.variables) == len(plain.variables)
    for step in range(5):
        gated.apply_on_path(_gradients(step), _path([0, 2]))
        plain.apply(_gradients(step))
        for a, b in zip(
            [*ours, *gated.variables], [*theirs, *plain.variables], strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_without_a_path_nothing_is_gated():
    ours, theirs = _variables(), _variables()
    one = path_optimizer(_optimizer("sgd"), ours, GATES)
    two = path_optimizer(_optimizer("sgd"), theirs, [None] * 5)
    one.apply_on_path(_gradients(0), None)
    two.apply_on_path(_gradients(0), None)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_coupled_l2_is_that_of_pytorch():
    """buffer = 0.9 buffer + (g + l2 w); w -= rate * buffer; on the path."""
    variables = _variables()
    gated = path_optimizer(_optimizer("sgd"), variables, GATES, l2=0.03)
    weights = [v.numpy().astype(np.float64) for v in variables]
    buffers = [np.zeros_like(w) for w in weights]
    for step, path in enumerate([[0, 0], [1, 2], [0, 2], [0, 0], [1, 0]]):
        gradients = _gradients(step)
        gated.apply_on_path(gradients, _path(path))
        for i, gate in enumerate(GATES):
            if gate is None or path[gate[0]] == gate[1]:
                gradient = gradients[i].numpy() + 0.03 * weights[i]
                buffers[i] = 0.9 * buffers[i] + gradient
                weights[i] -= 0.05 * buffers[i]
    for variable, expected in zip(variables, weights, strict=True):
        # Ours is float32, the formula here float64; five steps.
        np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-6)


def test_l2_can_leave_out_what_is_no_kernel():
    kernel = keras.Variable(np.ones((2, 2)), dtype="float32")
    bias = keras.Variable(np.ones(2), dtype="float32")
    gated = path_optimizer(
        make_optimizer("sgd", 0.5, {}),
        [kernel, bias],
        [None, None],
        l2=0.5,
        l2_filter=takes_l2,
    )
    zeros = [tf.zeros([2, 2]), tf.zeros([2])]
    gated.apply_on_path(zeros, _path([0]))
    np.testing.assert_array_equal(kernel, np.full((2, 2), 0.75))
    np.testing.assert_array_equal(bias, np.ones(2))


@pytest.mark.parametrize(
    "arguments",
    [{"use_ema": True}, {"gradient_accumulation_steps": 4}],
    ids=["use_ema", "gradient_accumulation_steps"],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_what_would_mix_paths_is_refused(arguments, scaled):
    optimizer = make_optimizer("sgd", 0.05, arguments)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    name = next(iter(arguments))
    with pytest.raises(UserError, match=f"cannot have {name}"):
        path_optimizer(optimizer, _variables(), GATES)
    # A network without choices may average.
    path_optimizer(optimizer, _variables(), [None] * 5)


def test_the_schedule_goes_on_with_the_steps():
    variables = _variables()
    schedule = LearningRate("linear", 1.0, 10)
    gated = path_optimizer(
        make_optimizer("sgd", schedule, {}), variables, GATES
    )
    for step in range(4):
        assert float(gated.learning_rate) == pytest.approx(1 - step / 10)
        gated.apply_on_path(_gradients(step), _path([0, 0]))


def _scaled(scale):
    variables = _variables()
    inner = _optimizer("sgd")
    gated = path_optimizer(
        keras.optimizers.LossScaleOptimizer(inner, initial_scale=scale),
        variables,
        GATES,
        l2=0.01,
    )
    return variables, gated


def test_loss_scaling_changes_nothing_but_the_range():
    ours, scaled = _scaled(2.0**10)
    theirs = _variables()
    plain = path_optimizer(_optimizer("sgd"), theirs, GATES, l2=0.01)
    assert float(scaled.scale_loss(tf.constant(3.0))) == 3 * 2.0**10
    for step in range(3):
        path = _path([step % 2, 2])
        scaled.apply_on_path(_gradients(step, 2.0**10), path)
        plain.apply_on_path(_gradients(step), path)
    for a, b in zip(ours, theirs, strict=True):
        # A power of two: dividing by it rounds nothing.
        np.testing.assert_array_equal(a, b)


def test_an_overflow_skips_the_step_and_halves_the_scale():
    variables, scaled = _scaled(2.0**10)
    before = [v.numpy() for v in variables]
    gradients = _gradients(0)
    gradients[3] *= np.inf
    scaled.apply_on_path(gradients, _path([0, 0]))
    for value, variable in zip(before, variables, strict=True):
        np.testing.assert_array_equal(value, variable)
    assert int(scaled.iterations) == 0
    assert float(scaled.scale_loss(tf.constant(1.0))) == 2.0**9


def test_the_state_of_loss_scaling_is_among_the_variables():
    """Else a run that goes on would start from another scale."""
    _, scaled = _scaled(2.0**10)
    values = [v.numpy() for v in scaled.variables]
    assert any(value.shape == () and value == 2.0**10 for value in values)
    # Its own iteration and rate, the scale and the steps since it changed.
    assert len(values) == 4 + len(scaled.inner_optimizer.variables)


@pytest.mark.parametrize(
    "policy, kind",
    [
        ("float32", keras.optimizers.SGD),
        ("mixed_bfloat16", keras.optimizers.SGD),
        ("mixed_float16", keras.optimizers.LossScaleOptimizer),
    ],
)
def test_the_loss_of_float16_alone_is_scaled(policy, kind):
    options = TrainingOptions(
        steps=10,
        batch_size=4,
        learning_rate=0.5,
        schedule="linear",
        dtype_policy=policy,
    )
    assert type(run_optimizer(options)) is kind


def test_weights_of_branches_gate_too():
    variables = _variables()
    gated = path_optimizer(_optimizer("sgd"), variables, GATES)
    before = [v.numpy() for v in variables]
    weights = np.array([[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]], np.float32)
    gated.apply_on_path(_gradients(0), BranchWeights(tf.constant(weights)))
    for value, variable, gate in zip(before, variables, GATES, strict=True):
        runs = gate is None or weights[gate] != 0
        assert np.array_equal(value, variable) != runs


class _Halving(keras.optimizers.schedules.LearningRateSchedule):
    """Nothing that Keras knows or could make again."""

    def __init__(self, first):
        self._first = first

    def __call__(self, step):
        return self._first * 0.5 ** keras.ops.cast(step, "float32")


class _Stepping(keras.optimizers.SGD):
    """An optimizer whose configuration says less than it has."""

    def __init__(self, first):
        super().__init__(_Halving(first), momentum=0.9)


@pytest.mark.parametrize("scaled", [False, True])
def test_classes_of_the_users_need_no_registration(scaled):
    variables = _variables()
    optimizer = _Stepping(0.25)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    gated = path_optimizer(optimizer, variables, GATES)
    for step in range(2):
        assert float(gated.learning_rate) == 0.25 * 0.5**step
        gated.apply_on_path(_gradients(step), _path([0, 0]))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_call_that_raises_leaves_no_path_behind(scaled):
    ours, theirs = _variables(), _variables()
    optimizers = []
    for variables in (ours, theirs):
        optimizer = _optimizer("sgd")
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizers.append(path_optimizer(optimizer, variables, GATES))
    with pytest.raises(ValueError):
        optimizers[0].apply_on_path(_gradients(0)[:2], _path([1, 1]))
    # Ungated: had the path stayed, not everything would move.
    for one in optimizers:
        one.apply(_gradients(0))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_optimizer_is_given_away():
    optimizer = _optimizer("sgd")
    path_optimizer(optimizer, _variables(), GATES)
    with pytest.raises(UserError, match="is built for other weights"):
        path_optimizer(optimizer, _variables(), GATES)


@pytest.mark.parametrize(
    ("name", "slots"),
    [
        ("sgd", {"momentum"}),
        ("adamw", {"momentum", "velocity"}),
        ("adafactor", {"r", "c", "velocity"}),
        ("ftrl", {"accumulator", "linear"}),
    ],
)
def test_slots_have_the_names_of_their_weights(name, slots):
    arguments = {"momentum": 0.9} if name == "sgd" else {}
    names = [f"block{i}.conv.kernel" for i in range(len(GATES))]
    variables = _variables()
    optimizer = path_optimizer(
        make_optimizer(name, 0.1, arguments), variables, GATES
    )
    named = slots_by_name(optimizer, names)
    assert {id(v) for v in named.values()} == {
        id(v) for v in optimizer.variables
    }
    assert {*named} == {
        *(f"{one}/{slot}" for one in names for slot in slots),
        "iterations",
        "learning_rate",
    }
    # The same weights in another order have the same slots.
    turned = path_optimizer(
        make_optimizer(name, 0.1, arguments), variables[::-1], GATES[::-1]
    )
    assert {*slots_by_name(turned, names[::-1])} == {*named}


def test_slots_of_a_scaled_loss_have_names():
    _, scaled = _scaled(2.0**10)
    names = [f"v{i}" for i in range(len(GATES))]
    named = slots_by_name(scaled, names)
    assert named["dynamic_scale"] is scaled.dynamic_scale
    assert named["iterations"] is scaled.inner_optimizer.iterations
    assert len(named) == len(scaled.variables)


@pytest.mark.parametrize("name", PRIVATE_KERAS_METHODS)
def test_private_methods_of_keras_are_as_they_were(name):
    method = getattr(keras.optimizers.Optimizer, name, None)
    assert method is not None, f"Keras has no Optimizer.{name} any more"
    found = tuple(inspect.signature(method).parameters)
    assert found == PRIVATE_KERAS_METHODS[name], (
        f"Keras's Optimizer.{name} takes other arguments"
    )
