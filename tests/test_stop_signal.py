"""SIGTERM: ended at once where nothing is lost, else after the step."""

import pytest

from spos_tf.errors import Preempted
from spos_tf.stop_signal import StopSignal


def test_a_program_that_never_asks_ends_at_once():
    with pytest.raises(Preempted):
        StopSignal().handle()


def test_once_asked_the_signal_is_noted():
    stop = StopSignal()
    assert not stop()
    stop.handle()
    assert stop()
    with pytest.raises(Preempted):
        stop.release()


def test_work_that_may_end_in_the_middle_does():
    stop = StopSignal()
    stop()
    done = []
    with pytest.raises(Preempted), stop.at_once():
        stop.handle()
        done.append("never")
    assert not done
    # Afterwards it is noted again: the loop saves in peace.
    stop.handle()
    assert stop()


def test_a_signal_before_such_work_prevents_it():
    stop = StopSignal()
    stop()
    stop.handle()
    with pytest.raises(Preempted), stop.at_once():
        pytest.fail("it ran")


def test_without_a_signal_nothing_happens():
    stop = StopSignal()
    stop()
    with stop.at_once():
        pass
    stop.release()
    assert not stop()
