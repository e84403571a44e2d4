"""A run's folder: its lock, its `run.json`, and what a resume may change."""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import spos_tf
from spos_tf.atomic_write import remove, write_json, write_text
from spos_tf.errors import UserError
from spos_tf.options import Option, Options, flag_lines
from spos_tf.run_lock import LOCK_NAME, hold_lock
from spos_tf.strict_json import parse_json

_SCHEMA = 1
RUN_FILE = "run.json"
# Characters of a value in a message.
_MOST_SHOWN = 60
# Releases decide last bits, so a result says with which it was made.
_RECORDED = ("tensorflow", "keras", "numpy")


@dataclasses.dataclass(frozen=True)
class RunPlan:
    """What a run is, before it has begun.

    Attributes:
        tool: Name of the command that does the same.
        stage: Folder of this kind of result in the work_dir.
        options: All options by name, JSON values.
        described: Of the options, in the order in which a flag file has them.
        recipe: Name of the recipe and the values that it gave, and the
            steps that `epochs` are; None where no recipe was asked.
    """

    tool: str
    stage: str
    options: Mapping[str, Any]
    described: tuple[Option, ...]
    recipe: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls,
        tool: str,
        stage: str,
        *given: Options,
        recipe: Mapping[str, Any] | None = None,
        **further: Any,
    ) -> "RunPlan":
        """The plan of a job that takes some options.

        Args:
            tool: Name of the command.
            stage: Folder of its results.
            *given: Options objects; of a name that two have, the last counts.
            recipe: See the class.
            **further: Values that replace the objects'.
        """
        described = {
            one.name: one for each in given for one in each.described()
        }
        options: dict[str, Any] = {}
        for each in given:
            options |= each.to_dict()
        return cls(
            tool, stage, {**options, **further}, (*described.values(),), recipe
        )

    @property
    def result_options(self) -> dict[str, Any]:
        """Those that decide the result."""
        # By the job's own options: others may have the same names.
        left_out = {
            one.name for one in self.described if not one.about.decides_result
        }
        return {
            name: value
            for name, value in sorted(self.options.items())
            if name not in left_out
        }

    def fingerprint(self) -> int:
        """A number that two processes share if they do the same run."""
        text = json.dumps(self.result_options, sort_keys=True)
        return zlib.crc32(text.encode())


class Run:
    """A run that is at work in its folder; made by `open_run`.

    Attributes:
        folder: Where its results go.
        plan: What it is.
        resumed: Whether the folder held the same run before.
    """

    def __init__(
        self, folder: pathlib.Path, plan: RunPlan, *, writes: bool
    ) -> None:
        self.folder = folder
        self.plan = plan
        self._writes = writes
        self._before = _read(folder / RUN_FILE) if writes else None
        # What only a first start reads is kept too.
        self._inputs: dict[str, str] = dict(
            (self._before or {}).get("inputs", {})
        )
        self.resumed = self._before is not None
        if self._before is not None:
            self._refuse_others(self._before)

    def _refuse_others(self, before: Mapping[str, Any]) -> None:
        if before["tool"] != self.plan.tool:
            raise UserError(
                f"{str(self.folder)!r} holds a run of {before['tool']}. "
                "Choose another `name`."
            )
        now = self.plan.result_options
        then = {
            name: value
            for name, value in before["options"].items()
            if name in now
        }
        different = [
            f"`{name}` ({_shown(then[name])} there, {_shown(now[name])} here)"
            for name in sorted(now)
            if name in then and then[name] != json.loads(json.dumps(now[name]))
        ]
        if different:
            raise UserError(
                f"{str(self.folder)!r} holds a run with other values of "
                f"{', '.join(different)}. {RUN_FILE} has all of them. Use the "
                "same values to resume it, or choose another `name`."
            )

    def check_inputs(self, **inputs: str) -> None:
        """Keeps fingerprints of what the run reads; others are refused.

        Args:
            **inputs: By the name of the argument, such as `train`.

        Raises:
            UserError: The run that is resumed had other inputs.
        """
        then = {} if self._before is None else self._before["inputs"]
        for name, value in inputs.items():
            if then.get(name, value) != value:
                raise UserError(
                    f"{str(self.folder)!r} holds a run on other inputs: "
                    f"`{name}` has changed since it began (see {RUN_FILE}). "
                    "Give the same to resume it, or choose another "
                    "`name`."
                )
        self._inputs |= inputs
        # A resume that fails leaves the files as they were.
        if not inputs.keys() <= then.keys():
            self.write()

    def note_inputs(self, **inputs: str) -> None:
        """Keeps fingerprints of a run that makes all anew; none is refused."""
        self._inputs = inputs

    def keep_steps(self, steps: int) -> None:
        """Keeps how many steps the `epochs` of the options are.

        Who reads the folder knows by it whether the training has ended.
        """
        recipe = {**(self.plan.recipe or {}), "steps": steps}
        self.plan = dataclasses.replace(self.plan, recipe=recipe)
        before = (self._before or {}).get("recipe") or {}
        if before.get("steps") != steps:
            self.write()

    def write(self) -> None:
        """Writes `run.json` and the flag file that repeats the run."""
        if not self._writes:
            return
        plan = self.plan
        data = {
            "schema": _SCHEMA,
            "tool": plan.tool,
            "version": spos_tf.__version__,
            "options": dict(plan.options),
            "recipe": plan.recipe,
            "inputs": self._inputs,
            "versions": _versions(),
        }
        write_json(self.folder / RUN_FILE, data)
        lines = [
            "".join(f"# {line}\n" for line in self._not_flags()),
            *(f"{line}\n" for line in flag_lines(plan.options, plan.described)),
        ]
        write_text(self.flags_file, "".join(lines))

    def _not_flags(self) -> list[str]:
        """What was given from Python and no flag can say."""
        known = {one.name for one in self.plan.described}
        return [
            f"From Python: {name}={value}"
            for name, value in self.plan.options.items()
            if name not in known and value is not None
        ]

    @property
    def flags_file(self) -> pathlib.Path:
        """The flag file that repeats the run; for people."""
        return self.folder / f"{self.plan.tool}.flags"


@contextlib.contextmanager
def open_run(
    work_dir: str | os.PathLike[str],
    name: str,
    plan: RunPlan,
    *,
    writes: bool = True,
) -> Iterator[Run]:
    """Locks `work_dir/stage/name` and says in it what the run is.

    Args:
        work_dir: Folder of all results.
        name: Of this run.
        plan: What it is.
        writes: False for a process that takes part in another one's run: it
            only reads.

    Yields:
        The run.

    Raises:
        UserError: The folder cannot be written, another run is in it, or it
            holds a run with other options.
    """
    if name in ("", "..") or pathlib.Path(name).name != name:
        raise UserError(f"`name` is a plain folder name; got {name!r}.")
    folder = pathlib.Path(work_dir) / plan.stage / name
    refuse_links_out(folder, pathlib.Path(work_dir))
    if not writes:
        yield Run(folder, plan, writes=False)
        return
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    present = list(folder.iterdir()) if folder.is_dir() else []
    try:
        with hold_lock(folder) as lock:
            run = Run(folder, plan, writes=True)
            try:
                if not run.resumed:
                    run.write()
                yield run
                # Options that may change are as they were last.
                run.write()
            except BaseException:
                if not run.resumed and _remove_traces(folder, plan, present):
                    lock.leaves_file = False
                raise
    except BaseException:
        # Only folders that are empty can be removed.
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    """A `run.json`; None where there is none.

    Raises:
        UserError: It is damaged, or of another version.
    """
    try:
        data = parse_json(path.read_bytes())
        schema = data["schema"]
        if not (
            isinstance(data["tool"], str)
            and isinstance(data["options"], dict)
            and isinstance(data["inputs"], dict)
        ):
            raise TypeError(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{str(path)!r} is damaged: it does not say which run is in its "
            "folder. Restore it, or choose another `name`."
        ) from None
    if schema != _SCHEMA:
        raise UserError(
            f"This version reads runs of schema {_SCHEMA}; {str(path)!r} has "
            f"schema {_shown(schema)}. Choose another `name`."
        )
    found: dict[str, Any] = data
    return found


def options_of_run(folder: pathlib.Path) -> dict[str, Any]:
    """The options that a run's `run.json` says, for defaults.

    Args:
        folder: Of the run.

    Returns:
        By name; nothing where there is no such file, or a damaged one.
    """
    return _part(folder, "options")


def inputs_of_run(folder: pathlib.Path) -> dict[str, Any]:
    """Fingerprints of what a run read, by the argument's name; see above."""
    return _part(folder, "inputs")


def recipe_name_of_run(folder: pathlib.Path) -> str | None:
    """The name of the recipe that a run was made with, where it had one."""
    return _part(folder, "recipe").get("name")


def _part(folder: pathlib.Path, name: str) -> dict[str, Any]:
    try:
        part = parse_json((folder / RUN_FILE).read_bytes())[name]
    except (OSError, ValueError, KeyError, TypeError):
        # They are only defaults: the caller is asked for what is missing.
        return {}
    return dict(part) if isinstance(part, dict) else {}


def _shown(value: Any) -> str:
    """A value in a message, where a few words are enough."""
    if isinstance(value, float) and value.is_integer():
        # As people type it.
        value = int(value)
    text = json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _versions() -> dict[str, str]:
    found = {}
    for package in _RECORDED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _remove_traces(
    folder: pathlib.Path, plan: RunPlan, present: list[pathlib.Path]
) -> bool:
    """Removes what a first run leaves that failed before any result.

    Returns:
        Whether nothing is left but the lock's file.
    """
    names = (
        RUN_FILE,
        f"{plan.tool}.flags",
        "events",
        "architecture.json",
        "labels.json",
    )
    lock = folder / LOCK_NAME
    own = {folder / name for name in names} - set(present)
    if set(folder.iterdir()) - own - set(present) - {lock}:
        return False
    for path in own:
        remove(path)
    return lock not in present


def refuse_links_out(folder: pathlib.Path, work_dir: pathlib.Path) -> None:
    """Looks at a run's folder, what is in it, and the files beside it.

    Args:
        folder: `work_dir/stage/name`; may be missing.
        work_dir: May itself be a link, or be reached through one.

    Raises:
        UserError: One of them is a link that leads out of the work_dir.
    """
    root = work_dir.resolve()
    looked_at = [folder.parent, folder]
    for parent in (folder.parent, folder):
        if parent.is_dir():
            looked_at += [path for path in parent.iterdir() if path != folder]
    for path in looked_at:
        # A run beside this one is its own tool's matter.
        if path.parent == folder.parent and path.is_dir() and path != folder:
            continue
        if path.is_symlink() and not _resolved(path).is_relative_to(root):
            raise UserError(
                f"A run writes within `work_dir` only; {str(path)!r} is a link "
                "to elsewhere. Remove it, or give the place itself as "
                "`work_dir`."
            )


def _resolved(path: pathlib.Path) -> pathlib.Path:
    try:
        return path.resolve()
    # Links in a circle, before Python 3.13.
    except RuntimeError:
        return path.absolute()
