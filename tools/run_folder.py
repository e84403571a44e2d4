"""A run's folder: its lock, its flags as run, and what a resume may change."""

import contextlib
import copy
import fcntl
import pathlib
import shutil
import zlib
from collections.abc import Iterable, Iterator

from absl import flags

import program
from links import refuse_links_out
from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError

FLAGS = flags.FLAGS

# Where files are, and where a run is: never part of the result.
_PATHS = ("work_dir", "name", "data_dir", "architecture", "inherit_from")


@contextlib.contextmanager
def open_run(
    tool: str, stage: str, *, free: Iterable[str] = (), writes: bool = True
) -> Iterator[pathlib.Path]:
    """Locks `work_dir/stage/name` and keeps `<tool>.flags` in it.

    Args:
        tool: Name of the flags file.
        stage: Folder of this kind of result.
        free: Flags that a resumed run may change.
        writes: False for a process that takes part in another one's run: it
            only reads.

    Yields:
        The folder.

    Raises:
        UserError: The folder cannot be written, another run is in it, or it
            holds a run with other flags.
    """
    if FLAGS.name in ("", "..") or pathlib.Path(FLAGS.name).name != FLAGS.name:
        raise UserError(f"--name is a plain folder name; got {FLAGS.name!r}.")
    folder = pathlib.Path(FLAGS.work_dir) / stage / FLAGS.name
    refuse_links_out(folder, pathlib.Path(FLAGS.work_dir))
    if not writes:
        yield folder
        return
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    present = list(folder.iterdir()) if folder.is_dir() else []
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
        if not first:
            _compare(flags_file, {*_PATHS, *free})
        try:
            if first:
                _write(flags_file)
            yield folder
            if not first:
                # Flags that may change are as they were last.
                _write(flags_file)
        except BaseException:
            if first:
                _remove_traces(folder, flags_file, made, present)
            raise


def fingerprint(free: Iterable[str]) -> int:
    """A number that two processes share if their flags say the same run.

    Args:
        free: Flags that may differ, besides those of paths.
    """
    lines = [
        line
        for name, some in sorted(_lines().items())
        if name not in {*_PATHS, *free}
        for line in some
    ]
    return zlib.crc32("\n".join(lines).encode())


def _lines() -> dict[str, list[str]]:
    """A flagfile's lines for every flag of ours; none where it is unset."""
    return {
        flag.name: flag.serialize().splitlines() for flag in program.own_flags()
    }


def _unset(name: str) -> list[str]:
    """A flagfile's lines where nobody says anything of a flag.

    A run that was begun before there was this flag went as its default says.
    """
    if name not in FLAGS or FLAGS[name].default is None:
        return []
    flag = copy.deepcopy(FLAGS[name])
    flag.unparse()
    return flag.serialize().splitlines()


def _compare(flags_file: pathlib.Path, free: set[str]) -> None:
    now = _lines()
    before: dict[str, list[str]] = {}
    for line in flags_file.read_text("utf-8", "replace").splitlines():
        before.setdefault(_flag_name(line), []).append(line)
    different = [
        name
        for name in sorted({*before, *now} - free)
        if before.get(name, _unset(name)) != now.get(name, [])
    ]
    if different:
        raise UserError(
            f"{str(flags_file.parent)!r} holds a run with other values of "
            f"{', '.join('--' + name for name in different)} (see "
            f"{flags_file.name}). Use the same flags to go on, or another "
            "--name."
        )


def _flag_name(line: str) -> str:
    """`--batch_size=8`, `--deterministic` or `--nodeterministic`."""
    name = line.removeprefix("--").partition("=")[0]
    return name if name in FLAGS else name.removeprefix("no")


def _write(flags_file: pathlib.Path) -> None:
    lines = [line for some in _lines().values() for line in some]
    with unfinished(flags_file) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _remove_traces(
    folder: pathlib.Path,
    flags_file: pathlib.Path,
    made: list[pathlib.Path],
    present: list[pathlib.Path],
) -> None:
    """Leaves nothing behind where a first run failed before any result."""
    # What a run writes before it has a result.
    names = (flags_file.name, ".lock", "events", "architecture.json")
    own = {folder / name for name in names} - set(present)
    if set(folder.iterdir()) - own - set(present):
        return
    for path in own:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in made:
        with contextlib.suppress(OSError):
            path.rmdir()
