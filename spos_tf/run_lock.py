"""The lock of a run's folder: one run at a time is at work in it.

The system holds the lock, so that it ends with the process however that ends.
The lock is on a file, not on its name: whoever has locked looks whether the
name still leads to that file, and tries again where it does not.
"""

import contextlib
import dataclasses
import os
import pathlib
import stat
from collections.abc import Iterator

import filelock

from spos_tf.errors import UserError

LOCK_NAME = ".lock"

# Times that the file may be another one by the time that it is locked.
_TRIES = 100


@dataclasses.dataclass
class RunLock:
    """A lock that is held; see `hold_lock`.

    Attributes:
        leaves_file: False removes the lock file as the last act before the
            lock is given back: for a first run that failed before it had any
            result and is to leave no trace.
    """

    leaves_file: bool = True


@contextlib.contextmanager
def hold_lock(folder: str | os.PathLike[str]) -> Iterator[RunLock]:
    """Locks a folder for one run, as long as the block lasts.

    The lock file stays there afterwards, where it does no harm. Nobody else
    may remove it. Where it has to go, set `leaves_file`; the folder itself may
    be removed after the block, if it is empty (`os.rmdir`).

    Args:
        folder: Made if absent.

    Yields:
        The lock.

    Raises:
        UserError: Another run holds it, or the folder cannot be written.
    """
    path = pathlib.Path(folder, LOCK_NAME)
    for _ in range(_TRIES):
        with _locked(path) as (taken, is_named):
            if not is_named:
                continue
            if not taken:
                break
            held = RunLock()
            try:
                yield held
            finally:
                if not held.leaves_file:
                    # Whoever waits for this file finds that the name leads
                    # elsewhere. Windows keeps a file that is open.
                    with contextlib.suppress(PermissionError):
                        path.unlink(missing_ok=True)
            return
    raise UserError(
        f"Another run is at work in {str(folder)!r}. Wait for it, or choose "
        "another `name`."
    )


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[tuple[bool, bool]]:
    """Tries to lock a file once.

    Yields:
        Whether it is locked, and whether the name led to the same file all
        the while.
    """
    folder = path.parent
    lock = filelock.FileLock(path, thread_local=False)
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(path, flags, 0o666)
            # Open for as long as the lock is held: no other file can get this
            # one's number, and a file that was removed has no name again.
            stack.callback(os.close, descriptor)
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(blocking=False)
                stack.callback(lock.release)
            is_named = os.path.samestat(os.fstat(descriptor), os.stat(path))
        except OSError as error:
            # A run that failed may just have removed the file or the folder.
            is_named = False
            gone = isinstance(error, FileNotFoundError | FileExistsError)
            if not gone or _is_in_the_way(folder):
                raise UserError(
                    f"Cannot write to {str(folder)!r}: {error.strerror}. "
                    "Choose another `work_dir`."
                ) from None
        yield lock.is_locked, is_named


def _is_in_the_way(folder: pathlib.Path) -> bool:
    """Whether a file has the name of a folder, by a single look.

    With two looks the folder of a run that failed could be there at the first
    and gone at the second, and would count as a file.
    """
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        return not folder.is_dir()
    return not stat.S_ISDIR(mode)
