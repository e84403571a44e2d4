"""A run as arrays."""

import keras
import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.training.path_optimizer import path_optimizer
from spos_tf.training.run_state import RunState

NAMES = ["segment0.conv.kernel", "segment1.conv.kernel"]
DESCRIPTION = {"kind": "supernet", "search_space": "shufflenet_blocks"}


def _run(optimizer=None, shape=(3, 2), description=DESCRIPTION, count=2):
    variables = {
        f"segment{i}.conv.kernel": keras.Variable(
            np.full(shape, i + 1.0), dtype="float32"
        )
        for i in range(count)
    }
    optimizer = path_optimizer(
        optimizer or keras.optimizers.SGD(0.1, momentum=0.9),
        list(variables.values()),
        [None] * count,
    )
    state = RunState(variables, optimizer, [*variables], description)
    return state, [*variables.values(), *optimizer.variables], optimizer


def _values(variables):
    return [np.copy(v.numpy()) for v in variables]


def _step(optimizer, count=2):
    optimizer.apply_on_path([keras.ops.ones((3, 2))] * count, None)


@pytest.mark.parametrize("name", ["sgd", "adamw", "nadam", "scaled"])
def test_restoring_undoes_training_to_the_bit(name):
    def optimizer():
        if name == "scaled":
            inner = keras.optimizers.SGD(0.1, momentum=0.9)
            return keras.optimizers.LossScaleOptimizer(inner)
        return keras.optimizers.get(name)

    state, variables, gated = _run(optimizer())
    _step(gated)
    checkpoint = state.capture(1, {"extra": np.arange(3)})
    kept = _values(variables)
    _step(gated)
    later = _values(variables)
    assert not all(map(np.array_equal, kept, later))

    other, others, again = _run(optimizer())
    other.restore(checkpoint)
    for a, b in zip(kept, _values(others), strict=True):
        np.testing.assert_array_equal(a, b)
    _step(again)
    for a, b in zip(later, _values(others), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(checkpoint.arrays["extra"], np.arange(3))
    assert checkpoint.description == DESCRIPTION


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"description": {**DESCRIPTION, "kind": "subnet"}},
            "kind 'subnet'; this run has 'supernet'",
        ),
        ({"shape": (3, 3)}, r"segment0.conv.kernel' is float32 \(3, 3\)"),
        ({"count": 1}, "segment1.conv.kernel' is missing"),
        ({"count": 3}, "segment2.conv.kernel', which this run does not have"),
        (
            {"optimizer": keras.optimizers.Adam(0.1)},
            "'optimizer/.*which this run does not have",
        ),
        ({"optimizer": keras.optimizers.SGD(0.1)}, "'optimizer/.* is missing"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else None,
)
def test_a_foreign_checkpoint_is_refused_and_changes_nothing(
    arguments, message
):
    foreign = _run(**arguments)[0].capture(5, {})
    state, variables, _ = _run()
    before = _values(variables)
    with pytest.raises(UserError, match=message) as caught:
        state.restore(foreign)
    assert "`name` or `work_dir`" in str(caught.value)
    for a, b in zip(before, _values(variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_else_is_trained_is_part_of_a_run():
    def run():
        variable = keras.Variable(np.ones(3), dtype="float32")
        _, _, gated = _run()
        state = RunState(
            {}, gated, NAMES, DESCRIPTION, {"architecture/parameters": variable}
        )
        return state, variable

    state, variable = run()
    variable.assign([1.0, 2.0, 3.0])
    checkpoint = state.capture(1, {})
    assert not checkpoint.weights()
    again, restored = run()
    again.restore(checkpoint)
    assert restored.numpy().tolist() == [1.0, 2.0, 3.0]
    # Without it, it is another run.
    _, _, gated = _run()
    with pytest.raises(UserError, match="'architecture/parameters', which"):
        RunState({}, gated, NAMES, DESCRIPTION).restore(checkpoint)


def test_arrays_are_named_by_our_weights():
    state, _, _ = _run()
    assert {*state.capture(1, {}).arrays} == {
        *(f"weights/{name}" for name in NAMES),
        *(f"optimizer/{name}/momentum" for name in NAMES),
        "optimizer/iterations",
        "optimizer/learning_rate",
    }
