"""Profiles of training steps."""

import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.training.profiling import parse_steps, profiled
from spos_tf.training.step import StepResult


@pytest.mark.parametrize(
    "text", ["", "10", "10:", "a:b", "20:10", "5:5", "-1:3", "10:101", "1:2:3"]
)
def test_what_is_no_range_of_the_runs_steps_is_refused(text):
    with pytest.raises(UserError, match=f"FROM:TO.*100; got {text!r}"):
        parse_steps(text, 100)


def test_the_last_step_may_be_profiled():
    assert parse_steps("99:100", 100) == range(99, 100)


def _run(folder, steps, numbers):
    done = []

    def train_step(batch, number):
        done.append((batch, int(number)))
        zero = tf.constant(0.0)
        return StepResult(zero, zero, tf.zeros([0], tf.int32), zero)

    step = profiled(train_step, steps, folder)
    for number in numbers:
        step("batch", tf.constant(number, tf.int64))
    assert done == [("batch", number) for number in numbers]
    return list(folder.glob("plugins/profile/*/*.xplane.pb"))


def test_some_steps_are_profiled_and_all_are_done(tmp_path):
    assert len(_run(tmp_path, range(2, 4), range(6))) == 1


def test_a_run_that_goes_on_later_profiles_nothing(tmp_path):
    assert not _run(tmp_path, range(2, 4), range(3, 6))
