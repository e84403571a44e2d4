"""A run's folder: its lock, its flags as run, and what a resume may change."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterable, Iterator

from absl import flags

from spos_tf.errors import UserError

FLAGS = flags.FLAGS

# Where files are, and where a run is: never part of the result.
_PATHS = ("work_dir", "name", "data_dir", "supernet_dir")


@contextlib.contextmanager
def open_run(
    tool: str, stage: str, *, free: Iterable[str] = ()
) -> Iterator[pathlib.Path]:
    """Locks `work_dir/stage/name` and keeps `<tool>.flags` in it.

    Args:
        tool: Name of the flags file.
        stage: Folder of this kind of result.
        free: Flags that a resumed run may change.

    Yields:
        The folder.

    Raises:
        UserError: The folder cannot be written, another run is in it, or it
            holds a run with other flags.
    """
    if pathlib.Path(FLAGS.name).name != FLAGS.name:
        raise UserError(f"--name is a plain folder name; got {FLAGS.name!r}.")
    folder = pathlib.Path(FLAGS.work_dir) / stage / FLAGS.name
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    flags_file = folder / f"{tool}.flags"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise UserError(
            f"Cannot write to {str(folder)!r}: {error.strerror}. Choose "
            "another --work_dir."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"Another run is at work in {str(folder)!r}. Wait for it, or "
                "choose another --name."
            ) from None
        first = not flags_file.exists()
        if first:
            _write(flags_file, "".join(f"{line}\n" for line in _lines()))
        else:
            _compare(flags_file, {*_PATHS, *free})
        try:
            yield folder
        except BaseException:
            if first:
                _remove_if_empty(folder, flags_file, made)
            raise


def _own_flags() -> list[flags.Flag]:
    modules = FLAGS.flags_by_module_dict()
    ours = [m for m in modules if not m.startswith("absl")]
    return sorted(
        (flag for module in ours for flag in modules[module]),
        key=lambda flag: flag.name,
    )


def _lines() -> list[str]:
    return [
        line for flag in _own_flags() for line in flag.serialize().splitlines()
    ]


def _compare(flags_file: pathlib.Path, free: set[str]) -> None:
    before = set(flags_file.read_text("utf-8").splitlines())
    changed = [
        flag.name
        for flag in _own_flags()
        if flag.name not in free
        and not set(flag.serialize().splitlines()) <= before
    ]
    # An unset flag serialises to nothing: look for one that was set before.
    now = set(_lines())
    gone = {
        line.removeprefix("--").removeprefix("no").split("=")[0]
        if line.removeprefix("--").split("=")[0] not in FLAGS
        else line.removeprefix("--").split("=")[0]
        for line in before - now
    }
    different = sorted({*changed, *(gone - free)})
    if different:
        raise UserError(
            f"{str(flags_file.parent)!r} holds a run with other values of "
            f"{', '.join('--' + name for name in different)} (see "
            f"{flags_file.name}). Use the same flags to go on, or another "
            "--name."
        )


def _write(path: pathlib.Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def _remove_if_empty(
    folder: pathlib.Path, flags_file: pathlib.Path, made: list[pathlib.Path]
) -> None:
    """Leaves nothing behind where a first run failed before any result."""
    kept = {flags_file.name, ".lock", "events"}
    if {path.name for path in folder.iterdir()} - kept:
        return
    events = folder / "events"
    if events.exists():
        for path in events.iterdir():
            path.unlink()
        events.rmdir()
    flags_file.unlink(missing_ok=True)
    os.unlink(folder / ".lock")
    for path in made:
        with contextlib.suppress(OSError):
            path.rmdir()
