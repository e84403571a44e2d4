"""A work_dir as values: every run of every tool, and what it left."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from spos_tf.errors import UserError
from spos_tf.report.event_scalars import Scalars, read_scalars
from spos_tf.report.files import (
    Fields,
    objects,
    png_uri,
    read_json,
    read_object,
    shortened,
)
from spos_tf.space.candidate import Candidate
from spos_tf.space.record import read_record

# Folders of a work_dir in the order of the pipeline, and the tool of each.
TOOLS = {
    "supernet": "train_supernet",
    "search": "search",
    "search_limits": "search_limits",
    "subnet": "train_subnet",
    "export": "export",
    "correlate": "correlate",
}
# What says which run a folder holds, and its version.
_RUN, _SCHEMA = "run.json", 1
_PICTURES = {
    "scatter.png": "Score beside the benchmark's accuracy",
    "over_training.png": "Rank correlation over training",
}


@dataclasses.dataclass
class Run:
    """One `work_dir/<stage>/<name>/`; what is not there is empty.

    Attributes:
        stage: A key of `TOOLS`.
        name: Of the run.
        tool: The command that made it.
        flags_file: With which the command repeats it; None if there is none.
        options: Those of `run.json`, by name.
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
    tool: str
    flags_file: pathlib.Path | None
    options: Fields
    newest: float
    problems: list[str]
    step: int | None
    record: Sequence[Candidate]
    best: Fields
    architecture: Fields
    metrics: Fields
    manifest: Fields
    correlation: Fields
    table: Sequence[Fields]
    scalars: Scalars
    pictures: Sequence[tuple[str, str]]


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


def read_work_dir(folder: pathlib.Path) -> WorkDir:
    """Reads whatever there is, and changes nothing."""
    runs = {
        stage: [
            _read_run(stage, tool, path) for path in _folders(folder / stage)
        ]
        for stage, tool in TOOLS.items()
    }
    everything = [run for some in runs.values() for run in some]
    return WorkDir(folder, runs, _latency_tables(folder, everything))


def _folders(stage: pathlib.Path) -> list[pathlib.Path]:
    if not stage.is_dir():
        return []
    folders = sorted(
        path
        for path in stage.iterdir()
        # Hidden ones are unfinished.
        if path.is_dir() and not path.name.startswith(".")
    )
    if not (stage / _RUN).is_file():
        return folders
    # `export_subnet(model, "runs/x/export")`: a folder in it is a SavedModel.
    return [stage, *(one for one in folders if (one / _RUN).is_file())]


def _changed(path: pathlib.Path) -> float:
    """When a file was changed; a run at work may remove it meanwhile."""
    try:
        return path.stat().st_mtime if path.is_file() else 0.0
    except OSError:
        return 0.0


def _read_run(stage: str, tool: str, folder: pathlib.Path) -> Run:
    problems: list[str] = []
    steps = [
        path.stem.removeprefix("step-")
        for path in folder.glob("checkpoints/step-*.npz")
    ]
    flags_file = folder / f"{tool}.flags"
    best, metrics, manifest, correlation, architecture = (
        read_object(folder / f"{name}.json", problems)
        for name in (
            "best",
            "metrics",
            "manifest",
            "correlation",
            "architecture",
        )
    )
    pictures = (
        (title, png_uri(folder / name, problems))
        for name, title in _PICTURES.items()
    )
    return Run(
        stage=stage,
        name=folder.name,
        tool=tool,
        flags_file=flags_file if flags_file.is_file() else None,
        options=_read_options(folder / _RUN, problems),
        newest=max(map(_changed, folder.iterdir()), default=0.0),
        problems=problems,
        step=max(map(int, filter(str.isdecimal, steps)), default=None),
        record=_read_record(folder / "record.jsonl", problems),
        best=best,
        architecture=best or manifest.fields("architecture") or architecture,
        metrics=metrics,
        manifest=manifest,
        correlation=correlation,
        table=_read_table(folder / "table.json", problems),
        scalars=read_scalars(folder / "events", problems),
        pictures=[(title, uri) for title, uri in pictures if uri],
    )


def _read_table(path: pathlib.Path, problems: list[str]) -> list[Fields]:
    rows = read_json(path, problems)
    if rows is not None and not isinstance(rows, list):
        problems.append(f"{path.name} could not be read: it is not a list.")
        rows = None
    return objects(rows or [], path.name, problems)


def _read_options(path: pathlib.Path, problems: list[str]) -> Fields:
    """The options with which a run was started."""
    data = read_object(path, problems)
    schema = data.values.get("schema")
    if data and schema != _SCHEMA:
        problems.append(
            f"{path.name} could not be read: its schema is "
            f"{shortened(schema)}; this version reads {_SCHEMA}."
        )
        return Fields({}, path.name, problems)
    options = data.fields("options")
    # Where epochs were given, the steps that they are.
    steps = data.fields("recipe").number("steps")
    if options and options.values.get("steps") is None and steps is not None:
        return Fields({**options.values, "steps": steps}, path.name, problems)
    return options


def _read_record(path: pathlib.Path, problems: list[str]) -> list[Candidate]:
    if not path.exists():
        return []
    try:
        return read_record(path)
    except UserError as error:
        problems.append(f"{path.name} could not be read: {error}")
        return []


def _latency_tables(
    folder: pathlib.Path, runs: Sequence[Run]
) -> list[LatencyTable]:
    paths = {
        path for run in runs for path in _texts(run.options, "latency_table")
    }
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


def _texts(options: Fields, name: str) -> list[str]:
    """An option that some tools take once and others repeatedly."""
    if isinstance(options.values.get(name), list):
        return options.texts(name)
    one = options.text(name)
    return [one] if one else []
