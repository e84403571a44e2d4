"""Curves of a training run."""

import numpy as np
import PIL.Image
import pytest

from spos_tf.errors import UserError
from spos_tf.report.training_curves import plot_curves, read_curve
from spos_tf.training.callbacks import EventWriter


def _log(folder, values, start=0):
    writer = EventWriter(folder, start_step=start)
    for step, value in values.items():
        writer.on_train_batch_end(step - 1, {})
        writer.on_test_end({"accuracy": value})
    writer.close()


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    _log(folder, {3: 0.125, 6: 0.25})
    # Killed, and gone on with from step 4.
    _log(folder, {6: 0.5, 9: 0.75}, start=4)
    return folder


def test_what_a_run_logged_is_read(events):
    found = read_curve(events, "validation/accuracy")
    assert found == [(3, 0.125), (6, 0.5), (9, 0.75)]


def test_what_it_did_not_log_is_said(events, tmp_path):
    with pytest.raises(UserError, match="'train/loss'.*validation/accuracy"):
        read_curve(events, "train/loss")
    with pytest.raises(UserError, match="They have: nothing"):
        read_curve(tmp_path, "train/loss")


def test_curves_are_drawn(tmp_path):
    path = tmp_path / "curves.png"
    curve = [(1, 0.1), (2, 0.2)]
    plot_curves({"one": curve, "other": curve}, path, y_label="accuracy")
    pixels = np.asarray(PIL.Image.open(path).convert("RGB"))
    colors = {tuple(pixel) for pixel in pixels.reshape(-1, 3)}
    # The first two of the palette.
    assert {(0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)} <= colors


def test_nothing_is_no_plot(tmp_path):
    with pytest.raises(UserError, match="at least one value"):
        plot_curves({"one": []}, tmp_path / "curves.png", y_label="accuracy")
    assert not any(tmp_path.iterdir())
    with pytest.raises(UserError, match="Cannot write"):
        plot_curves({"a": [(1, 0.5)]}, tmp_path / "no/a.png", y_label="b")
