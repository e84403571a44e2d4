"""What EventWriter wrote is read back, whatever happened to the files."""

import time

import pytest

from made_up_work_dir import write_events
from spos_tf.report.event_scalars import read_scalars
from spos_tf.training.callbacks import EventWriter


def read(folder):
    problems = []
    return read_scalars(folder, problems), problems


def files(folder):
    return sorted(folder.glob("*.tfevents.*"))


def test_scalars_are_read_back(tmp_path):
    write_events(tmp_path, [100, 200], validation=True)
    scalars, problems = read(tmp_path)
    assert problems == []
    assert scalars["train/loss"] == {
        100: pytest.approx(1.0),
        # 2 / 3, kept in float32.
        200: pytest.approx(2 / 3, rel=1e-6),
    }
    assert scalars["validation/accuracy"] == {200: 0.5}


def test_nothing_there(tmp_path):
    (tmp_path / "plugins" / "profile").mkdir(parents=True)
    (tmp_path / "x.tfevents.folder").mkdir()
    assert read(tmp_path) == ({}, [])
    assert read(tmp_path / "no") == ({}, [])


def log(folder, series):
    """A run that logs its own figures, as a file of its own."""
    writer = EventWriter(folder, start_step=0)
    for step, loss in series.items():
        writer.on_train_batch_end(step - 1, {"loss": loss, "accuracy": 0.0})
    writer.close()
    # Files' names begin with the second of their beginning.
    time.sleep(1.01)


def test_files_of_one_second_are_read_in_the_order_they_were_made(tmp_path):
    for number, loss in ((9, 4.0), (10, 3.0)):
        folder = tmp_path / str(number)
        log(folder, {10: loss})
        (made,) = files(folder)
        made.rename(tmp_path / f"events.out.tfevents.100.host.7.{number}.v2")
    assert read(tmp_path)[0]["train/loss"] == {10: 3.0}


def test_a_run_that_went_on_counts_from_its_first_step(tmp_path):
    log(tmp_path, {10: 4.0, 20: 3.0, 25: 2.5, 30: 2.0})
    # Went on from the checkpoint of step 20, logging more seldom.
    log(tmp_path, {24: 2.75, 34: 1.0})
    assert len(files(tmp_path)) == 2
    scalars, problems = read(tmp_path)
    assert problems == []
    expected = {10: 4.0, 20: 3.0, 24: 2.75, 34: 1.0}
    assert scalars["train/loss"] == expected
    assert list(scalars["train/loss"]) == sorted(expected)


def test_a_repeated_validation_leaves_the_report_before_it(tmp_path):
    log(tmp_path, {10: 4.0, 20: 3.0, 30: 2.0})
    # Killed in or after the validation of step 20, and gone on from there.
    writer = EventWriter(tmp_path, start_step=20)
    writer.on_test_end({"accuracy": 0.5})
    writer.close()
    scalars, problems = read(tmp_path)
    assert problems == []
    assert scalars["train/loss"] == {10: 4.0, 20: 3.0}
    assert scalars["validation/accuracy"] == {20: 0.5}


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_file_that_is_cut_keeps_what_is_before(tmp_path, cut):
    write_events(tmp_path, range(10, 110, 10))
    (file,) = files(tmp_path)
    whole = read(tmp_path)[0]["train/loss"]
    file.write_bytes(file.read_bytes()[:-cut])
    scalars, problems = read(tmp_path)
    left = scalars["train/loss"]
    assert 5 < len(left) <= len(whole)
    assert left.items() <= whole.items()
    (problem,) = problems
    assert f"events/{file.name}: the last " in problem
    assert "could not be read" in problem


def test_damage_in_the_middle_and_garbage(tmp_path):
    write_events(tmp_path, range(10, 110, 10))
    (file,) = files(tmp_path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    (tmp_path / "events.out.tfevents.1.a").write_bytes(b"garbage" * 50)
    (tmp_path / "events.out.tfevents.2.b").write_bytes(b"")
    scalars, problems = read(tmp_path)
    assert 0 < len(scalars["train/loss"]) < 10
    assert len(problems) == 2
    assert all("could not be read" in problem for problem in problems)
