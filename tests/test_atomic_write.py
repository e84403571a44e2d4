import errno
import logging
import os

import pytest

from spos_tf.atomic_write import unfinished
from spos_tf.errors import Preempted, UserError
from spos_tf.silence import silenced


def test_file_appears_whole(tmp_path):
    path = tmp_path / "model.bin"
    path.write_text("old")
    with unfinished(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_replaces_a_filled_one(tmp_path):
    path = tmp_path / "saved_model"
    path.mkdir()
    (path / "old").touch()
    with unfinished(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [child.name for child in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("was_there", [True, False])
def test_nothing_is_left_when_writing_fails(tmp_path, was_there):
    path = tmp_path / "model.bin"
    if was_there:
        path.write_text("old")

    def write():
        with unfinished(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()
    assert [child.name for child in tmp_path.iterdir()] == (
        ["model.bin"] if was_there else []
    )
    assert not was_there or path.read_text() == "old"


def test_folder_stays_when_its_successor_is_missing(tmp_path):
    path = tmp_path / "saved_model"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(FileNotFoundError), unfinished(path):
        pass
    assert [child.name for child in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def _noise():
    os.write(2, b"from C++\n")
    logging.getLogger("tf2onnx").warning("from Python")


def test_silence(capfd):
    with silenced():
        _noise()
    assert capfd.readouterr() == ("", "")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_silence_speaks_when_something_fails(capfd):
    with pytest.raises(RuntimeError), silenced():
        _noise()
        raise RuntimeError
    assert "from C++" in capfd.readouterr().err


def test_silence_leaves_a_user_error_alone(capfd):
    with pytest.raises(UserError), silenced():
        _noise()
        raise UserError("One line.")
    assert capfd.readouterr().err == ""


def test_a_folder_that_a_killed_run_moved_away_comes_back(tmp_path):
    path = tmp_path / "saved_model"
    moved = tmp_path / ".unfinished-old-saved_model"
    moved.mkdir()
    (moved / "old").touch()
    # Nothing takes its place: it is the one that counts.
    with pytest.raises(FileNotFoundError), unfinished(path):
        pass
    assert [child.name for child in path.iterdir()] == ["old"]
    # Something has: it goes.
    moved.mkdir()
    with unfinished(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [child.name for child in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_silence_leaves_a_preemption_alone(capfd):
    with pytest.raises(Preempted), silenced():
        _noise()
        raise Preempted
    assert capfd.readouterr().err == ""


def test_what_fails_for_want_of_room_is_named(tmp_path):
    path = tmp_path / "file.json"
    with (
        pytest.raises(OSError, match="No space left") as caught,
        unfinished(path) as temporary,
    ):
        temporary.touch()
        with open("/dev/full", "w") as file:
            file.write("text")
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def order(monkeypatch):
    """What is synced, by its name at that time, and what is renamed."""
    done = []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        done.append(("sync", os.path.basename(path)))
        fsync(descriptor)

    def note_replace(source, target):
        names = os.path.basename(source), os.path.basename(target)
        done.append(("rename", *names))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    return done


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, order):
    with unfinished(tmp_path / "best.json") as temporary:
        temporary.write_text("new")
    assert order == [
        ("sync", ".unfinished-best.json"),
        ("rename", ".unfinished-best.json", "best.json"),
        ("sync", tmp_path.name),
    ]


def test_all_of_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, order):
    path = tmp_path / "model"
    path.mkdir()
    with unfinished(path) as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "weights").touch()
        (temporary / "graph").touch()
    synced, renamed = order[:4], order[4:]
    assert {name for _, name in synced} == {
        "weights",
        "inner",
        "graph",
        ".unfinished-model",
    }
    assert synced[-1] == ("sync", ".unfinished-model")
    assert renamed == [
        ("rename", "model", ".unfinished-old-model"),
        ("rename", ".unfinished-model", "model"),
        ("sync", tmp_path.name),
    ]


def test_a_disk_that_fails_to_sync_is_told_and_leaves_the_old(
    tmp_path, monkeypatch
):
    path = tmp_path / "best.json"
    path.write_text("old")

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(OSError, match="Input/output error.*best.json"),
        unfinished(path) as temporary,
    ):
        temporary.write_text("new")
    assert path.read_text() == "old"


def test_a_file_system_without_sync_of_folders_serves(tmp_path, monkeypatch):
    fsync = os.fsync

    def only_files(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    with unfinished(tmp_path / "best.json") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "best.json").read_text() == "new"
