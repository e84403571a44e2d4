"""What callbacks see of a run: Keras's own, the user's, and ours."""

import csv
import tracemalloc

import keras
import numpy as np
import pytest

from spos_tf.options import TrainingOptions
from spos_tf.report.event_scalars import read_scalars
from spos_tf.training.callbacks import EventWriter, ProgressBar, Watch
from tiny_runs import checkpoint_steps, make_trainer


class _Log(keras.callbacks.Callback):
    """Writes down every hook and its logs."""

    def __init__(self):
        super().__init__()
        self.events = []

    def on_train_begin(self, logs=None):
        self.events.append("train begins")

    def on_train_end(self, logs=None):
        self.events.append("train ends")

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(f"epoch {epoch} begins")

    def on_epoch_end(self, epoch, logs=None):
        self.events.append((f"epoch {epoch}", {*logs}))
        self.last = logs

    def on_train_batch_begin(self, batch, logs=None):
        self.events.append(f"batch {batch} begins")

    def on_train_batch_end(self, batch, logs=None):
        self.events.append((f"batch {batch}", {*logs}))

    def on_test_begin(self, logs=None):
        self.events.append("test begins")

    def on_test_end(self, logs=None):
        self.events.append(("test", {*logs}))


TRAIN = {"loss", "accuracy", "learning_rate", "images_per_second"}
TRAIN |= {"sampler_fallbacks"}


def test_hooks_come_in_the_order_of_fit(tmp_path):
    log = _Log()
    trainer, _ = make_trainer(
        tmp_path,
        steps=5,
        log_every=2,
        validate_every=3,
        validate=lambda: {"accuracy": 0.5, "loss": 1.25},
        callbacks=[log],
    )
    trainer.train()
    val = TRAIN | {"val_accuracy", "val_loss"}
    assert log.events == [
        "train begins",
        "epoch 0 begins",
        "batch 1 begins",
        ("batch 1", TRAIN),
        "batch 2 begins",
        ("batch 2", TRAIN),
        "test begins",
        ("test", {"accuracy", "loss"}),
        ("epoch 0", val),
        "epoch 1 begins",
        "batch 3 begins",
        ("batch 3", TRAIN),
        "batch 4 begins",
        ("batch 4", TRAIN),
        "test begins",
        ("test", {"accuracy", "loss"}),
        ("epoch 1", val),
        "train ends",
    ]
    assert log.last["val_loss"] == 1.25
    assert log.last["learning_rate"] == pytest.approx(0.1)


def test_without_validations_an_epoch_ends_at_a_checkpoint(tmp_path):
    log = _Log()
    trainer, _ = make_trainer(
        tmp_path, steps=5, checkpoint_every=2, callbacks=[log]
    )
    trainer.train()
    ends = [e[0] for e in log.events if e[0][:5] == "epoch" and e[1] == TRAIN]
    assert ends == ["epoch 0", "epoch 1", "epoch 2"]


def test_epochs_are_numbered_from_the_start_of_the_run(tmp_path):
    make_trainer(tmp_path, steps=4, checkpoint_every=2)[0].train()
    log = _Log()
    trainer, _ = make_trainer(
        tmp_path, steps=6, checkpoint_every=2, callbacks=[log]
    )
    trainer.train()
    assert log.events[1:3] == ["epoch 2 begins", "batch 5 begins"]


def test_the_model_is_compiled_and_has_the_runs_weights(tmp_path):
    seen = {}

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen["compiled"] = self.model.compiled
            seen["weights"] = self.model.weights
            self.model.optimizer.learning_rate  # noqa: B018

        def on_epoch_end(self, epoch, logs=None):
            seen["iterations"] = int(self.model.optimizer.iterations)

    trainer, matrices = make_trainer(tmp_path, callbacks=[Look()])
    trainer.train()
    assert seen["compiled"]
    assert seen["iterations"] == 10
    assert {id(w) for w in seen["weights"]} == {
        id(m) for m in matrices.values()
    }


def test_kerass_own_callbacks_work(tmp_path):
    """TensorBoard, CSVLogger and ModelCheckpoint, all as users have them."""
    trainer, matrices = make_trainer(
        tmp_path / "run",
        steps=6,
        log_every=1,
        validate_every=2,
        validate=lambda: {"accuracy": 0.5, "loss": 1.0},
        callbacks=[
            keras.callbacks.TensorBoard(tmp_path / "logs", update_freq=1),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "last.weights.h5", save_weights_only=True
            ),
        ],
    )
    trainer.train()
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert {float(row["val_loss"]) for row in rows} == {1.0}
    assert float(rows[-1]["learning_rate"]) == pytest.approx(0.1)
    scalars = read_scalars(tmp_path / "logs" / "validation", [])
    assert scalars["epoch_accuracy"] == {0: 0.5, 1: 0.5, 2: 0.5}
    trained = [matrix.numpy() for matrix in matrices.values()]
    for matrix in matrices.values():
        matrix.assign(matrix * 0)
    trainer._model.load_weights(tmp_path / "last.weights.h5")
    for value, matrix in zip(trained, matrices.values(), strict=True):
        np.testing.assert_array_equal(value, matrix)


def test_early_stopping_ends_the_run_with_the_best_weights(tmp_path):
    figures = iter([0.2, 0.9, 0.5, 0.4, 0.3])
    best = []

    def validate():
        value = next(figures)
        if value == 0.9:
            best.extend(matrix.numpy() for matrix in matrices.values())
        return {"accuracy": value}

    stopping = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=2, restore_best_weights=True
    )
    trainer, matrices = make_trainer(
        tmp_path,
        steps=50,
        validate_every=3,
        checkpoint_every=5,
        validate=validate,
        callbacks=[stopping],
    )
    trainer.train()
    assert checkpoint_steps(tmp_path)[-1] == 12
    again, saved = make_trainer(tmp_path, steps=50)
    again.train()
    for expected, ours in zip(best, saved.values(), strict=True):
        np.testing.assert_array_equal(expected, ours)


def test_our_events_are_those_of_every_run(tmp_path):
    trainer, _ = make_trainer(
        tmp_path,
        steps=6,
        log_every=2,
        validate_every=3,
        validate=lambda: {"accuracy": 0.5},
    )
    trainer.train()
    problems = []
    scalars = read_scalars(tmp_path / "events", problems)
    assert not problems
    assert [*scalars["train/loss"]] == [2, 3, 4, 6]
    assert scalars["validation/accuracy"] == {3: 0.5, 6: 0.5}


def test_no_number_of_a_report_is_kept(tmp_path):
    writer = EventWriter(tmp_path, start_step=0)
    tracemalloc.start()
    for step in range(1_000_000, 1_000_200):
        writer.on_train_batch_end(step, {"loss": step / 7, "f": 1 / step})
    here = tracemalloc.Filter(True, __file__)
    kept = tracemalloc.take_snapshot().filter_traces([here]).traces
    tracemalloc.stop()
    writer.close()
    # Of 600 numbers; besides them there are the loop's own objects.
    assert len(kept) < 20


def test_the_bar_forecasts_without_the_compilation():
    now = [100.0]
    bar = ProgressBar(start_step=0, steps=101, title="net", metric="accuracy")
    bar._bar._time = lambda: now[0]
    now[0] += 600
    bar.move(1)
    # Longer than a bar in a log file waits between two lines.
    for step in range(2, 12):
        now[0] += 20
        bar.move(step)
    shown = bar._bar.format_dict
    bar.close()
    done = shown["n"] - shown["initial"]
    assert (done, shown["elapsed"]) == (10, pytest.approx(200))
    assert shown["rate"] == pytest.approx(1 / 20)


def test_the_bar_moves_between_reports_and_says_what_runs(capsys):
    bar = ProgressBar(start_step=2, steps=9, title="net", metric="accuracy")
    watch = Watch(
        [bar],
        keras.Sequential(),
        options=TrainingOptions(steps=9),
        start_step=2,
        validates=True,
    )
    for step in (3, 4):
        watch.stepped(step)
        assert bar._bar.n == step
    figures = {"loss": 1.5, "accuracy": 0.25, "images_per_second": 7.0}
    bar.on_train_batch_end(3, figures)
    assert bar._bar.n == 4
    bar.on_test_begin()
    assert "scoring images that were not trained on" in capsys.readouterr().err
    bar.on_test_end({"accuracy": 0.5})
    bar.close()
    said = "loss 1.500, accuracy 25.0%, 7 images/s, validation accuracy 50.0%"
    assert said in capsys.readouterr().err
