"""Files and folders that are whole or not there, after a power loss too.

Data is on the disk before the rename that gives it its name, and the rename is
before the call returns: otherwise a file system may keep the name and lose the
data.
"""

import contextlib
import errno
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from spos_tf.errors import UserError


@contextlib.contextmanager
def unfinished(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Gives a temporary path that becomes `path` when the block ends well.

    Args:
        path: The file or folder to be made; its folder exists. One that is
            there already is replaced.

    Yields:
        A path beside it, where nothing is yet, with the same suffix. When the
        block raises, whatever was written there is removed; what a killed
        run left there is removed by the next.
    """
    final = pathlib.Path(path)
    # Beside it, so that moving it is a rename on one file system.
    temporary = final.with_name(f".unfinished-{final.name}")
    remove(temporary)
    try:
        yield temporary
        put_in_place(temporary, final)
    except OSError as error:
        # The system does not say which file it is that the disk is full for.
        if error.errno is not None and error.filename is None:
            error.filename = str(final)
        raise
    finally:
        remove(temporary)


def put_in_place(source: pathlib.Path, target: pathlib.Path) -> None:
    """Renames a file or folder, replacing what `target` was.

    A folder cannot be renamed onto one that holds something: the old one is
    moved away first, and back if the new one cannot take its place.
    """
    # The name is fixed: a run that was killed in here may have left it.
    old = target.with_name(f".unfinished-old-{target.name}")
    if old.exists() and not target.exists():
        os.replace(old, target)
    remove(old)
    for path in (*source.rglob("*"), source):
        _sync(path)
    try:
        if target.is_dir():
            os.replace(target, old)
        os.replace(source, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    _sync(target.parent)
    remove(old)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file, whole or not at all."""
    with unfinished(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(
    path: str | os.PathLike[str], value: Any, indent: int = 2, **form: Any
) -> None:
    """Writes a JSON file, whole or not at all; see `json.dumps`."""
    write_text(path, json.dumps(value, indent=indent, **form) + "\n")


def append_line(path: pathlib.Path, line: str, what: str) -> None:
    """Appends a line to a file that may be new, as one write.

    Args:
        path: The file; never a link, which may lead out of the work_dir.
        line: Without its end.
        what: What messages call the file.

    Raises:
        UserError: The disk is full.
        OSError: The file cannot be written.
    """
    data = f"{line}\n".encode()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o666)
    try:
        written = os.write(descriptor, data)
    finally:
        os.close(descriptor)
    if written < len(data):
        raise UserError(
            f"Cannot write {what} {str(path)!r}: the disk is full. Free some "
            "space and start the same command again."
        )


def _sync(path: str | os.PathLike[str]) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    is_folder = os.path.isdir(path)
    if is_folder and os.name == "nt":
        # Windows opens no folder, and keeps names in order by itself.
        return
    # Windows syncs only what may be written.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems know no sync of a folder.
        if not (is_folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def remove(path: pathlib.Path) -> None:
    """Removes a file or folder where there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
