"""A work_dir as values: every run of every tool, and what it left."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from spos_tf.report.event_scalars import Scalars, read_scalars
from spos_tf.report.files import (
    Fields,
    objects,
    png_uri,
    read_bytes,
    read_json,
    read_lines,
    read_object,
)

# Folders of a work_dir in the order of the pipeline, and the tool of each.
TOOLS = {
    "supernet": "train_supernet",
    "search": "search",
    "search_limits": "search_limits",
    "subnet": "train_subnet",
    "export": "export",
    "correlate": "correlate",
}
_PICTURES = {
    "scatter.png": "Score beside the benchmark's accuracy",
    "over_training.png": "Rank correlation over training",
}


class Candidate(Protocol):
    """What a report needs of a candidate; see `search.candidate`."""

    @property
    def i(self) -> int:
        """Order of proposal, from 0."""

    @property
    def choices(self) -> Mapping[str, Any]:
        """`{choice name: option}`."""

    @property
    def costs(self) -> Mapping[str, int | float]:
        """By name."""

    @property
    def accuracy(self) -> float:
        """Share of the scored images that were right."""


@dataclasses.dataclass
class Run:
    """One `work_dir/<stage>/<name>/`; what it has not is empty.

    Attributes:
        stage: A key of `TOOLS`.
        name: Of the run.
        folder: Where it is.
        tool: That made it.
        flags: Lines of its flags file.
        newest: When its newest file was changed, seconds since 1970.
        problems: What could not be read, a line each.
        step: Of the newest checkpoint.
        record: Candidates in the order of proposal.
        best: `best.json`.
        architecture: An architecture file's object.
        metrics: `metrics.json`.
        manifest: `manifest.json`.
        correlation: `correlation.json`.
        table: Rows of `table.json`.
        scalars: `{tag: {step: value}}`.
        pictures: `(title, data URI)`.
    """

    stage: str
    name: str
    folder: pathlib.Path
    tool: str
    flags: Sequence[str] = ()
    newest: float = 0.0
    problems: list[str] = dataclasses.field(default_factory=list)
    step: int | None = None
    record: Sequence[Candidate] = ()
    best: Fields = dataclasses.field(default_factory=lambda: _nothing())
    architecture: Fields = dataclasses.field(default_factory=lambda: _nothing())
    metrics: Fields = dataclasses.field(default_factory=lambda: _nothing())
    manifest: Fields = dataclasses.field(default_factory=lambda: _nothing())
    correlation: Fields = dataclasses.field(default_factory=lambda: _nothing())
    table: Sequence[Fields] = ()
    scalars: Scalars = dataclasses.field(default_factory=dict)
    pictures: Sequence[tuple[str, str]] = ()

    def flag(self, name: str) -> str | None:
        """The value of a flag of the run; None if it was not set."""
        start = f"--{name}="
        values = [line for line in self.flags if line.startswith(start)]
        return values[-1].removeprefix(start) if values else None


@dataclasses.dataclass
class LatencyTable:
    """A latency table that searches used or the work_dir holds.

    Attributes:
        path: As it was given.
        report: How well it predicts; empty if nobody looked.
        problems: What could not be read, a line each.
    """

    path: str
    report: Fields
    problems: list[str]


@dataclasses.dataclass
class WorkDir:
    """All runs by stage, and the latency tables.

    Attributes:
        folder: The work_dir.
        runs: Every stage of `TOOLS`, runs in the order of their names.
        latency_tables: In the order of their paths.
    """

    folder: pathlib.Path
    runs: Mapping[str, Sequence[Run]]
    latency_tables: Sequence[LatencyTable]

    def all_runs(self) -> list[Run]:
        """In the order of the pipeline."""
        return [run for runs in self.runs.values() for run in runs]


def read_work_dir(
    folder: pathlib.Path, parse_candidate: Callable[[str], Candidate]
) -> WorkDir:
    """Reads whatever there is, and changes nothing.

    Args:
        folder: The work_dir.
        parse_candidate: A line of a record -> the candidate; raises
            ValueError with the reason.
    """
    runs = {
        stage: [
            _read_run(stage, tool, path, parse_candidate)
            for path in _folders(folder / stage)
        ]
        for stage, tool in TOOLS.items()
    }
    everything = [run for some in runs.values() for run in some]
    return WorkDir(folder, runs, _latency_tables(folder, everything))


def _nothing() -> Fields:
    return Fields({}, "", [])


def _folders(stage: pathlib.Path) -> list[pathlib.Path]:
    if not stage.is_dir():
        return []
    return sorted(
        path
        for path in stage.iterdir()
        # Hidden ones are unfinished.
        if path.is_dir() and not path.name.startswith(".")
    )


def _changed(path: pathlib.Path) -> float:
    """When a file was changed; a run at work may remove it meanwhile."""
    try:
        return path.stat().st_mtime if path.is_file() else 0.0
    except OSError:
        return 0.0


def _read_run(
    stage: str,
    tool: str,
    folder: pathlib.Path,
    parse_candidate: Callable[[str], Candidate],
) -> Run:
    run = Run(stage, folder.name, folder, tool)
    problems = run.problems
    text = read_bytes(folder / f"{tool}.flags", problems) or b""
    run.flags = text.decode("utf-8", "replace").splitlines()
    run.newest = max(map(_changed, folder.iterdir()), default=0.0)
    steps = [
        path.stem.removeprefix("step-")
        for path in folder.glob("checkpoints/step-*.npz")
    ]
    run.step = max(map(int, filter(str.isdecimal, steps)), default=None)
    run.scalars = read_scalars(folder / "events", problems)
    found = read_lines(folder / "record.jsonl", parse_candidate, problems)
    run.record = sorted(found, key=lambda one: one.i)
    run.best = read_object(folder / "best.json", problems)
    run.metrics = read_object(folder / "metrics.json", problems)
    run.manifest = read_object(folder / "manifest.json", problems)
    run.correlation = read_object(folder / "correlation.json", problems)
    run.architecture = read_object(folder / "architecture.json", problems)
    if run.manifest:
        run.architecture = run.manifest.fields("architecture")
    if run.best:
        run.architecture = run.best
    rows = read_json(folder / "table.json", problems)
    if isinstance(rows, list):
        run.table = objects(rows, "table.json", problems)
    elif rows is not None:
        problems.append("table.json could not be read: it is not a list.")
    pictures = (
        (title, png_uri(folder / name, problems))
        for name, title in _PICTURES.items()
    )
    run.pictures = [(title, uri) for title, uri in pictures if uri]
    return run


def _latency_tables(
    folder: pathlib.Path, runs: Sequence[Run]
) -> list[LatencyTable]:
    paths = {run.flag("latency_table") for run in runs} - {None, ""}
    paths |= {
        str(path).removesuffix(".report.json")
        for path in folder.glob("*.report.json")
    }
    tables = []
    for path in sorted(str(path) for path in paths):
        problems: list[str] = []
        report = read_object(pathlib.Path(f"{path}.report.json"), problems)
        tables.append(LatencyTable(path, report, problems))
    return tables
