"""Checkpoint files."""

import pickle

import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.training import checkpoints
from spos_tf.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    checkpoint_steps,
    latest_checkpoint,
    prune,
    read_checkpoint,
    write_checkpoint,
)


def _checkpoint(step):
    rng = np.random.default_rng(step)
    return Checkpoint(
        step,
        {"kind": "supernet", "space_arguments": {"preset": "demo"}},
        {
            "weights/stage1.block1.3x3.pw1.kernel": rng.normal(
                size=(1, 1, 3, 4)
            ).astype(np.float32),
            "optimizer/iterations": np.array(step, np.int64),
            "sampler/path_counts": rng.integers(0, 9, (2, 4)),
            "weights/special": np.array([np.nan, -0.0, np.inf], np.float32),
        },
    )


def _same(one, two):
    assert (one.step, one.description) == (two.step, two.description)
    assert set(one.arrays) == set(two.arrays)
    for name, value in one.arrays.items():
        assert value.dtype == two.arrays[name].dtype
        assert value.shape == two.arrays[name].shape
        assert value.tobytes() == two.arrays[name].tobytes()


def _no_warning(line):
    raise AssertionError(line)


def test_reading_undoes_writing_to_the_bit(tmp_path):
    written = _checkpoint(7)
    path = write_checkpoint(tmp_path / "new" / "folder", written, keep=3)
    assert path.name == "step-00000007.npz"
    _same(read_checkpoint(path), written)
    _same(latest_checkpoint(path.parent, warn=_no_warning), written)
    assert set(read_checkpoint(path).weights()) == {
        "stage1.block1.3x3.pw1.kernel",
        "special",
    }


def test_the_last_k_are_kept_and_nothing_partial(tmp_path):
    for step in (8, 9, 10, 100):
        write_checkpoint(tmp_path, _checkpoint(step), keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000010.npz",
        "step-00000100.npz",
    ]


def test_pruning_counts_from_one_that_is_whole(tmp_path):
    for step in range(1, 7):
        write_checkpoint(tmp_path, _checkpoint(step), keep=9)
    # 5 and 6 may be damaged: they are not among the two that are left.
    prune(tmp_path, 4, keep=2)
    assert checkpoint_steps(tmp_path) == [3, 4, 5, 6]
    prune(tmp_path, 6, keep=9)
    assert checkpoint_steps(tmp_path) == [3, 4, 5, 6]


def test_checkpoints_are_found_by_their_steps(tmp_path):
    assert checkpoint_steps(tmp_path / "no") == []
    for step in (3, 20, 100_000_000):
        write_checkpoint(tmp_path, _checkpoint(step), keep=9)
    (tmp_path / ".unfinished-step-00000021.npz").touch()
    (tmp_path / "step-notes.npz").touch()
    assert checkpoint_steps(tmp_path) == [3, 20, 100_000_000]
    for step in (3, 100_000_000):
        found = read_checkpoint(checkpoint_path(tmp_path, step))
        assert found.step == step


def test_writing_the_same_step_again_replaces_it(tmp_path):
    for _ in range(2):
        write_checkpoint(tmp_path, _checkpoint(3), keep=2)
    assert len(list(tmp_path.iterdir())) == 1


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def _empty(path):
    path.write_bytes(b"")


def _flip(path):
    content = bytearray(path.read_bytes())
    # In the middle of an array's data: only the CRC tells.
    at = content.index(b"kernel.npy") + 200
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))


def _foreign(path):
    np.savez(path, a=np.zeros(3))


def _text(path):
    path.write_text("not an archive")


def _plain_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


DAMAGES = [_truncate, _empty, _flip, _foreign, _text, _plain_array]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_falls_back_and_says_so(tmp_path, damage):
    for step in (1, 2):
        write_checkpoint(tmp_path, _checkpoint(step), keep=3)
    newest = tmp_path / "step-00000002.npz"
    damage(newest)
    lines = []
    found = latest_checkpoint(tmp_path, warn=lines.append)
    _same(found, _checkpoint(1))
    assert len(lines) == 1
    assert "step-00000002.npz" in lines[0]
    assert "damaged" in lines[0]
    assert "Falling back" in lines[0]
    assert "\n" not in lines[0]
    with pytest.raises(UserError, match="is damaged or no checkpoint"):
        read_checkpoint(newest)


def test_if_all_are_damaged_none_is_taken(tmp_path):
    write_checkpoint(tmp_path, _checkpoint(1), keep=3)
    _truncate(tmp_path / "step-00000001.npz")
    with pytest.raises(UserError, match="All 1 checkpoints .* are damaged"):
        latest_checkpoint(tmp_path, warn=lambda line: None)


def test_no_checkpoint_is_none_and_a_missing_one_an_error(tmp_path):
    assert latest_checkpoint(tmp_path / "none", warn=_no_warning) is None
    with pytest.raises(UserError, match="There is no checkpoint"):
        read_checkpoint(tmp_path / "step-00000001.npz")


class _Ran(Exception):
    pass


class _Malice:
    def __reduce__(self):
        return _raise, ()


def _raise():
    raise _Ran


def test_no_pickle_is_read(tmp_path):
    with pytest.raises(_Ran):
        pickle.loads(pickle.dumps(_Malice()))
    path = tmp_path / "step-00000001.npz"
    good = _checkpoint(1)
    np.savez(
        path,
        **{"description.json": np.array('{"step": 1}')},
        **good.arrays,
        malice=np.array([_Malice()], dtype=object),
    )
    with pytest.raises(UserError, match="is damaged or no checkpoint"):
        read_checkpoint(path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot write checkpoint .*file/sub"):
        write_checkpoint(tmp_path / "file" / "sub", _checkpoint(1), keep=3)


def test_a_full_disk_leaves_the_ones_before_and_nothing_partial(
    tmp_path, monkeypatch
):
    write_checkpoint(tmp_path, _checkpoint(1), keep=1)

    def fill(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.np, "savez", fill)
    with pytest.raises(UserError, match="No space left on device.*intact"):
        write_checkpoint(tmp_path, _checkpoint(2), keep=1)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001.npz"]
    _same(latest_checkpoint(tmp_path, warn=_no_warning), _checkpoint(1))


def test_a_killed_write_is_no_checkpoint(tmp_path):
    write_checkpoint(tmp_path, _checkpoint(1), keep=3)
    (tmp_path / ".unfinished-step-00000002.npz").write_bytes(b"half")
    _same(latest_checkpoint(tmp_path, warn=_no_warning), _checkpoint(1))
    write_checkpoint(tmp_path, _checkpoint(2), keep=3)
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_write_left_goes_with_the_next(tmp_path):
    # Of a step that the run that goes on does not save.
    (tmp_path / ".unfinished-step-00000003.npz").write_bytes(b"half")
    path = write_checkpoint(tmp_path, _checkpoint(5), keep=1)
    assert [*tmp_path.iterdir()] == [path]
