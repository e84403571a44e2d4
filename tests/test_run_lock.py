"""One run at a time in a folder, whatever becomes of the lock file."""

import os
import pathlib
import subprocess
import sys

import pytest

from spos_tf.errors import UserError
from spos_tf.run_lock import LOCK_NAME, hold_lock

# Enters again and again; two at a time meet at the mark. A third of the runs
# fail as first runs do: they remove their lock file, and the folder after it.
_RUNS = """
import contextlib, os, pathlib, random, sys, time
from spos_tf.errors import UserError
from spos_tf.run_lock import hold_lock

folder, mark, seed = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
draw = random.Random(seed)
entered = refused = removed = 0
end = time.monotonic() + 3
while time.monotonic() < end:
    fails = draw.random() < 1 / 3
    try:
        with hold_lock(folder) as lock:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            entered += 1
            time.sleep(draw.random() / 1000)
            lock.leaves_file = not fails
            os.unlink(mark)
    except UserError as error:
        assert "Another run is at work in" in str(error), error
        refused += 1
        continue
    if fails:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
            removed += 1
print(entered, refused, removed)
"""


def test_three_processes_are_never_in_together(tmp_path):
    folder, mark = tmp_path / "supernet" / "run", tmp_path / "mark"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _RUNS, folder, mark, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(3)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    counts = []
    for process, (output, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
        counts.append([int(number) for number in output.split()])
    entered, refused, removed = map(sum, zip(*counts, strict=True))
    assert min(entered, refused, removed) > 10


def test_who_comes_second_is_told_at_once_and_comes_in_later(tmp_path):
    with (
        hold_lock(tmp_path),
        pytest.raises(UserError, match="Another run is at work in .*`name`"),
        hold_lock(tmp_path),
    ):
        pytest.fail("in twice")
    with hold_lock(tmp_path):
        pass
    assert (tmp_path / LOCK_NAME).exists()


def test_a_lock_ends_with_its_process(tmp_path):
    program = (
        "import os, sys\nfrom spos_tf.run_lock import hold_lock\n"
        "with hold_lock(sys.argv[1]):\n    os._exit(7)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path])
    assert ended.returncode == 7
    with hold_lock(tmp_path):
        pass


def test_a_folder_that_goes_while_it_is_looked_at_is_not_in_the_way(
    tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    lstat, mkdir = os.lstat, pathlib.Path.mkdir
    made = []

    def another_run_removes_it_again(path, *args, **kwargs):
        mkdir(path, *args, **kwargs)
        if path == folder and not made:
            made.append(path)
            os.rmdir(folder)

    def there_when_looked_at(path, **kwargs):
        """A look at the folder, which is there at that moment only."""
        if path != folder:
            return lstat(path, **kwargs)
        os.mkdir(folder)
        found = lstat(path, **kwargs)
        os.rmdir(folder)
        return found

    monkeypatch.setattr(pathlib.Path, "mkdir", another_run_removes_it_again)
    monkeypatch.setattr(os, "lstat", there_when_looked_at)
    with hold_lock(folder):
        assert made


@pytest.mark.parametrize("leaves_file", [True, False])
def test_a_run_that_fails_may_leave_no_trace(tmp_path, leaves_file):
    folder = tmp_path / "supernet" / "run"
    with pytest.raises(RuntimeError, match="stop"), hold_lock(folder) as lock:
        lock.leaves_file = leaves_file
        raise RuntimeError("stop")
    assert os.listdir(folder) == ([LOCK_NAME] if leaves_file else [])


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="Cannot write to .*`work_dir`"),
        hold_lock(tmp_path / "file"),
    ):
        pytest.fail("in a file")
    # Never through a link, which may lead out of the work_dir.
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(UserError, match="Cannot write to"),
        hold_lock(tmp_path),
    ):
        pytest.fail("through a link")
    assert not (tmp_path / "elsewhere").exists()
