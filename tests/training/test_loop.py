"""The loop: when it reports, validates, saves and stops."""

import tracemalloc

import numpy as np
import pytest

from spos_tf.errors import Preempted, UserError
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.ops.selection import Path
from spos_tf.options import TrainingOptions
from spos_tf.stop_signal import StopSignal
from spos_tf.training.loop import Ending, run_loop
from spos_tf.training.step import StepResult

METRIC = ScoreMetric.make(num_classes=3)


class _Log:
    """Writes down everything that happens, in order."""

    def __init__(self, losses=None):
        self.events = []
        self.stepped_to = 0
        self.scalars = {}
        self._losses = losses or {}

    def train_step(self, batch, step):
        step = int(step)
        assert batch == f"batch {step}"
        self.events.append(("step", step))
        loss = np.float32(self._losses.get(step, step + 1.0))
        path = Path(np.array([step % 2, step % 3], np.int32))
        return StepResult(loss, np.float32(0.5), path, np.bool_(step % 2))

    def save(self, step):
        self.events.append(("save", step))

    def validate(self):
        self.events.append(("validate",))
        return {"accuracy": 0.25}

    # What a `Watch` is to the loop.
    stop_training = False

    def stepped(self, step):
        self.stepped_to = step

    def report(self, step, count, scalars):
        self.events.append(("progress", step))
        self.scalars[step] = scalars

    def validated(self, validate):
        self.events.append(("test",))
        figures = validate()
        self.events.append(("validation", self._done()))
        return figures

    def _done(self):
        return self.at("step")[-1] + 1 if self.at("step") else self.start

    def ends_epoch(self, step):
        return False

    def at(self, kind):
        return [event[1] for event in self.events if event[0] == kind]


class _Stop:
    """As a team of one process asks."""

    def __init__(self, signal):
        self._signal = signal
        self.at_once = signal.at_once

    def __call__(self, stopped):
        return Ending(self._signal(), stopped)


def _run(log, start=0, validate=True, stop=None, batches=None, **options):
    options = TrainingOptions(
        **{"steps": 10, "batch_size": 4, "validate_every": 0, **options}
    )
    counts = np.zeros((2, 3), np.int64)
    if batches is None:
        batches = options.steps
    log.start = start
    log.done = run_loop(
        log.train_step,
        (f"batch {step}" for step in range(start, batches)),
        start_step=start,
        options=options,
        path_counts=counts,
        metric=METRIC,
        save=log.save,
        validate=log.validate if validate else None,
        watch=log,
        stop=_Stop(stop or StopSignal()),
    )
    return counts


def test_each_thing_comes_at_its_steps_and_at_the_end():
    log = _Log()
    _run(log, log_every=3, checkpoint_every=4, validate_every=6)
    assert log.at("step") == list(range(10))
    assert log.at("save") == [4, 8, 10]
    assert log.at("validation") == [6, 10]
    assert log.at("progress") == [3, 4, 6, 8, 9, 10]
    # Of one step: first what was read, then the checkpoint.
    at_10 = log.events[log.events.index(("progress", 10)) :]
    assert at_10 == [
        ("progress", 10),
        ("save", 10),
        ("test",),
        ("validate",),
        ("validation", 10),
    ]


def test_a_run_that_goes_on_keeps_the_rhythm():
    log = _Log()
    _run(log, start=5, log_every=3, checkpoint_every=4, validate_every=6)
    assert log.at("step") == [5, 6, 7, 8, 9]
    assert log.at("save") == [8, 10]
    assert log.at("validation") == [6, 10]


def test_a_finished_run_does_nothing():
    log = _Log()
    _run(log, start=10)
    assert log.events == []


def test_zero_and_none_mean_no_validation():
    for arguments in ({"validate_every": 0}, {"validate": False}):
        log = _Log()
        _run(log, **{"validate_every": 2, **arguments})
        assert not log.at("validation")
        assert not log.at("validate")


def test_reports_are_means_since_the_last():
    log = _Log()
    _run(log, log_every=4, checkpoint_every=100)
    assert [log.scalars[step]["loss"] for step in (4, 8, 10)] == [2.5, 6.5, 9.5]
    assert log.scalars[4]["accuracy"] == 0.5
    assert log.scalars[4]["sampler_fallbacks"] == 0.5
    assert log.scalars[4]["images_per_second"] > 0


def test_every_path_is_counted_once():
    counts = _run(_Log(), log_every=4, checkpoint_every=3, validate_every=5)
    assert counts.tolist() == [[5, 5, 0], [4, 3, 3]]


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_stops_the_run_unsaved(loss):
    log = _Log(losses={5: loss})
    with pytest.raises(UserError, match="between steps 5 and 6") as caught:
        _run(log, log_every=4, checkpoint_every=2, validate_every=2)
    assert str(loss) in str(caught.value)
    assert log.at("save") == [2, 4]
    assert log.at("validation") == [2, 4]
    assert log.at("step")[-1] == 5


def test_steps_are_named_from_the_start_of_the_run():
    log = _Log(losses={7: np.nan})
    with pytest.raises(UserError, match="between steps 7 and 8"):
        _run(log, start=5, log_every=100)
    assert not log.at("save")


def test_an_endless_run_ends_at_its_steps():
    log = _Log()
    read = []

    def endless():
        for step in range(10**6):
            read.append(step)
            yield f"batch {step}"

    options = TrainingOptions(steps=10, batch_size=4, validate_every=0)
    run_loop(
        log.train_step,
        endless(),
        start_step=0,
        options=options,
        path_counts=np.zeros((2, 3), np.int64),
        metric=METRIC,
        save=log.save,
        validate=None,
        watch=log,
        stop=_Stop(StopSignal()),
    )
    assert log.at("step") == read == list(range(10))
    assert log.at("save") == [10]
    # The bar goes along, also where nothing is reported.
    assert log.stepped_to == 10


@pytest.mark.parametrize(("checkpoint_every", "saved"), [(5, [5, 7]), (7, [7])])
def test_images_that_end_too_early_are_an_error_after_saving(
    checkpoint_every, saved
):
    log = _Log()
    with pytest.raises(UserError, match="after 7 of 10 steps.*10 batches of 4"):
        _run(log, batches=7, checkpoint_every=checkpoint_every)
    assert log.at("save") == saved
    assert log.at("progress")[-1] == 7


def test_a_callback_ends_the_run_after_its_step():
    class Stopped(_Log):
        @property
        def stop_training(self):
            return len(self.at("step")) >= 4

    log = Stopped()
    _run(log, log_every=3)
    assert log.done == 4
    assert log.at("progress") == [3, 4]


class _Signalled(_Log):
    """SIGTERM comes in a step, or in a validation."""

    def __init__(self, stop, step=None, validation=None):
        super().__init__()
        self._stop, self._step, self._validation = stop, step, validation

    def train_step(self, batch, step):
        if int(step) == self._step:
            self._stop.handle()
        return super().train_step(batch, step)

    def validate(self):
        if len(self.at("save")) == self._validation:
            self._stop.handle()
        return super().validate()


@pytest.mark.parametrize("every", [1, 3, 100])
def test_a_signal_in_a_step_saves_that_step_and_ends(every):
    stop = StopSignal()
    log = _Signalled(stop, step=4)
    with pytest.raises(Preempted, match="^step 5$"):
        _run(log, stop=stop, checkpoint_every=every, validate_every=5)
    assert log.at("step") == [0, 1, 2, 3, 4]
    assert log.at("save")[-1] == 5
    assert len(set(log.at("save"))) == len(log.at("save"))
    assert log.at("validation") == []


def test_a_signal_before_the_first_step_ends_at_once():
    stop = StopSignal()
    log = _Signalled(stop, step=0)
    with pytest.raises(Preempted):
        _run(log, stop=stop)
    assert log.events == []


@pytest.mark.parametrize("every", [5, 100])
def test_a_signal_in_a_validation_ends_it_and_saves_once(every):
    stop = StopSignal()
    # Where step 5 is saved before it is validated, that is the first one.
    log = _Signalled(stop, validation=1 if every == 5 else 0)
    with pytest.raises(Preempted, match="^step 5$"):
        _run(log, stop=stop, checkpoint_every=every, validate_every=5)
    assert log.at("save") == [5]
    assert log.at("validation") == []


def test_a_signal_in_the_last_step_ends_after_its_work():
    stop = StopSignal()
    log = _Signalled(stop, step=9)
    with pytest.raises(Preempted):
        _run(log, stop=stop, validate_every=10)
    assert log.at("save") == [10]
    with pytest.raises(Preempted):
        stop.release()


def test_a_validation_that_the_run_may_have_ended_in_is_repeated():
    log = _Log()
    _run(log, start=5, validate_every=5)
    assert log.at("validation") == [5, 10]
    assert log.events[:3] == [("test",), ("validate",), ("validation", 5)]
    log = _Log()
    _run(log, start=4, validate_every=5)
    assert log.at("validation") == [5, 10]


def test_nothing_of_a_step_is_kept():
    log = _Log()
    log.train_step = lambda batch, step: StepResult(
        np.float32(1),
        np.float32(0.5),
        Path(np.zeros(2, np.int32)),
        np.bool_(False),
    )
    log.report = log.save = lambda *args: None
    first, steps = 1_000_000, 4_000

    def run(start):
        _run(log, start, validate=False, steps=start + steps)

    # What is kept once and for all.
    run(0)
    tracemalloc.start()
    run(first)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A Python number takes 28 bytes, a tensor more.
    assert kept < 14 * steps
