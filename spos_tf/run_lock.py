"""One run at a time in a folder."""

import contextlib
import pathlib
from collections.abc import Iterator

import filelock

from spos_tf.errors import UserError


@contextlib.contextmanager
def hold_lock(folder: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a run's folder, `.lock` in it.

    Raises:
        UserError: Another run holds it, or the folder cannot be written.
    """
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"Another run is at work in {str(folder)!r}. Wait for it, or "
            "choose another `name`."
        ) from None
    try:
        yield
    finally:
        lock.release()
