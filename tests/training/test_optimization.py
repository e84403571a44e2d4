"""Schedules and optimizers by name."""

import keras
import pytest

from spos_tf.errors import UserError
from spos_tf.options import TrainingOptions
from spos_tf.training.optimization import (
    LearningRate,
    make_optimizer,
    run_optimizer,
)


def _rates(*args, steps):
    schedule = LearningRate(*args)
    return [float(schedule(step)) for step in steps]


def test_linear_goes_to_zero():
    rates = _rates("linear", 0.5, 100, steps=[0, 50, 99, 100])
    assert rates == pytest.approx([0.5, 0.25, 0.005, 0.0])


def test_cosine_goes_to_zero():
    rates = _rates("cosine", 0.5, 100, steps=[0, 50, 100])
    assert rates == pytest.approx([0.5, 0.25, 0.0], abs=1e-7)


@pytest.mark.parametrize("kind, middle", [("linear", 0.3), ("cosine", 0.3)])
def test_a_schedule_ends_at_its_final_rate(kind, middle):
    rates = _rates(kind, 0.5, 110, 10, 0.1, steps=[0, 10, 60, 110, 200])
    assert rates == pytest.approx([0.05, 0.5, middle, 0.1, 0.1])
    options = TrainingOptions(
        steps=100,
        learning_rate=0.5,
        schedule=kind,
        final_learning_rate=0.1,
    )
    made = run_optimizer(options)
    made.build([keras.Variable([1.0])])
    made.iterations.assign(100)
    assert float(made.learning_rate) == pytest.approx(0.1)


def test_constant_stays():
    assert _rates("constant", 0.5, 100, steps=[0, 99]) == [0.5, 0.5]


def test_warm_up_rises_to_the_peak_first():
    rates = _rates("linear", 1.0, 110, 10, steps=[0, 4, 9, 10, 60, 110])
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.5, 0.0])


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
def test_a_schedule_survives_its_config(kind):
    schedule = LearningRate(kind, 0.5, 100, 7, 0.1)
    again = LearningRate.from_config(schedule.get_config())
    for step in (0, 3, 50, 100):
        assert float(again(step)) == float(schedule(step))


def test_what_is_no_schedule_is_refused():
    with pytest.raises(UserError, match="'step'. The schedules are: linear"):
        LearningRate("step", 0.5, 100)
    with pytest.raises(UserError, match="got 100 of 100 steps"):
        LearningRate("linear", 0.5, 100, 100)
    with pytest.raises(UserError, match="got 0.6 with a peak of 0.5"):
        LearningRate("linear", 0.5, 100, final=0.6)


def test_optimizers_come_by_name():
    made = make_optimizer("adamw", 0.1, {"weight_decay": 0.2})
    assert type(made) is keras.optimizers.AdamW
    assert made.weight_decay == 0.2


@pytest.mark.parametrize(
    "name, arguments",
    [("sdg", {}), ("sgd", {"momentun": 0.9}), ("sgd", {"momentum": 9})],
)
def test_what_keras_cannot_make_is_one_line(name, arguments):
    with pytest.raises(
        UserError, match=f"cannot make `optimizer={name}`.*`optimizer_arg"
    ) as e:
        make_optimizer(name, 0.1, arguments)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", keras.optimizers.Adam), ("sgd", keras.optimizers.SGD)],
)
def test_an_optimizer_works_without_arguments(name, kind):
    options = TrainingOptions(
        optimizer=name, steps=5, learning_rate=0.1, schedule="constant"
    )
    made = run_optimizer(options)
    assert type(made) is kind
    assert getattr(made, "momentum", 0.9) == 0.9
