"""The folder of decoded images: what is in it, and how it is emptied."""

import contextlib
import datetime
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import NamedTuple

import filelock

from spos_tf.errors import system_errors

Inform = Callable[[str], None]

# Files of images, fingerprints of image files, and locks of who writes.
IMAGES, FINGERPRINT, LOCK = ".images", ".fingerprint", ".lock"


class Entry(NamedTuple):
    """A file of the cache.

    Attributes:
        path: Of it.
        size: In bytes.
        used: When it was last read or written, in seconds of `time.time`.
    """

    path: pathlib.Path
    size: int
    used: float


def folder_of(cache_dir: str | os.PathLike[str] | None) -> pathlib.Path:
    """The folder of the cache.

    Args:
        cache_dir: As an option says it; None is the user's own.
    """
    if cache_dir is not None:
        return pathlib.Path(cache_dir).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(home).expanduser() / "spos_tf"


def entries(folder: pathlib.Path) -> list[Entry]:
    """Files of images that the cache holds, the largest first."""
    found = []
    for path in folder.glob(f"*{IMAGES}"):
        with contextlib.suppress(OSError):
            status = path.stat()
            used = max(status.st_atime, status.st_mtime)
            found.append(Entry(path, status.st_size, used))
    return sorted(found, key=lambda one: one.size, reverse=True)


def clear_folder(folder: pathlib.Path, inform: Inform) -> int:
    """Removes all that the cache holds, and nothing else.

    A file that another process is writing stays. One that is being read is
    whole for its readers, who make it anew for their next pass.

    Args:
        folder: From `folder_of`.
        inform: Called with a line for every file of images.

    Returns:
        Bytes that were freed.

    Raises:
        UserError: A file cannot be removed.
    """
    freed = 0
    way_out = "Remove it yourself, or choose another `cache_dir`."
    with system_errors("clear", folder, way_out):
        files = {
            path.with_suffix(IMAGES)
            for pattern in (IMAGES, LOCK)
            for path in folder.glob(f"*{pattern}")
            # Goes with the file that it was to become.
            if not path.name.startswith(".")
        }
        for path in sorted(files):
            lock = filelock.FileLock(path.with_suffix(LOCK))
            try:
                held = lock.acquire(blocking=False)
            except filelock.Timeout:
                inform(f"{path} is being written by another process: kept.")
                continue
            with held:
                freed += _removed(path, inform)
                path.with_suffix(LOCK).unlink(missing_ok=True)
        for path in folder.glob(f"*{FINGERPRINT}"):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return freed


def _removed(path: pathlib.Path, inform: Inform) -> int:
    """Removes a file of images and what a killed process left of it."""
    freed = 0
    for one in (path, path.with_name(f".unfinished-{path.name}")):
        with contextlib.suppress(FileNotFoundError):
            status = one.stat()
            one.unlink()
            used = day_of(max(status.st_atime, status.st_mtime))
            inform(f"{one}: {size_words(status.st_size)}, last used {used}")
            freed += status.st_size
    return freed


def free_space(folder: pathlib.Path) -> int:
    """Free bytes where a folder is, or will be."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(there).free


def size_words(size: float) -> str:
    """Bytes as people say them."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def day_of(seconds: float) -> str:
    """The day of a time, as people say it."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d")
