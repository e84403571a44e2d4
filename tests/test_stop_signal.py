"""SIGTERM: ended at once where nothing is lost, else after the step."""

import signal

import pytest

from spos_tf.errors import Preempted
from spos_tf.stop_signal import StopSignal

pytestmark = pytest.mark.usefixtures("usual_ctrl_c")


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


def test_ctrl_c_ends_at_once_where_nothing_is_lost():
    stop = StopSignal()
    ends = pytest.raises(KeyboardInterrupt, match=r"^Stopped\.$")
    with ends, stop.interrupts():
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")
    assert not stop()


def test_a_second_ctrl_c_ends_at_once():
    stop = StopSignal()
    done = []
    with pytest.raises(KeyboardInterrupt), stop.interrupts():
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        done.append("the step")
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")
    assert done
    assert not stop()


def test_an_ignored_ctrl_c_stays_ignored():
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignal().interrupts():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)


def test_what_goes_wrong_after_ctrl_c_is_said():
    stop = StopSignal()
    with pytest.raises(ValueError, match="nan"), stop.interrupts():
        stop()
        signal.raise_signal(signal.SIGINT)
        raise ValueError("nan")
