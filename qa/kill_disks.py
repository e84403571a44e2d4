"""Small disks that fill up, and disks that nothing can be written to."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

_SIZE_BYTES = 8 * 2**20
# Neither a result nor a leftover.
FILLER = ".filler"


class SmallDisk:
    """A file system in memory, mounted at a folder; see `small_disk`."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def fill(self, *, leave: int = 0) -> None:
        """Leaves so many bytes free; a file system has whole pages."""
        with (self.folder / FILLER).open("ab", buffering=0) as file:
            chunk = bytes(4096)
            with contextlib.suppress(OSError):
                while free_bytes(self.folder) > leave:
                    file.write(chunk)

    def clear(self) -> None:
        """Makes room again."""
        (self.folder / FILLER).unlink(missing_ok=True)

    def protect(self, *, writable: bool) -> None:
        """Makes it read-only, or not."""
        _system("mount", "-o", f"remount,{'rw' if writable else 'ro'}", self)


def free_bytes(folder: pathlib.Path) -> int:
    """Room on a folder's file system."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


@contextlib.contextmanager
def small_disk(folder: pathlib.Path) -> Iterator[SmallDisk]:
    """Mounts one at a folder, which is made, and takes it away again.

    Raises:
        LookupError: With a reason, where that is not allowed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    disk = SmallDisk(folder)
    size = f"size={_SIZE_BYTES}"
    try:
        _system("mount", "-t", "tmpfs", "-o", size, "spos_tf_kill_sweep", disk)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise LookupError(f"no tmpfs can be mounted: {said.strip()}") from None
    try:
        yield disk
    finally:
        _system("umount", disk)


def _system(*command: "str | SmallDisk") -> None:
    subprocess.run(
        [str(p.folder) if isinstance(p, SmallDisk) else p for p in command],
        check=True,
        capture_output=True,
        text=True,
    )
