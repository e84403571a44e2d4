"""How far a work_dir is, what is missing, and how to repeat it."""

import shlex
from collections.abc import Sequence
from typing import Any

from spos_tf.report.statistics import option_text
from spos_tf.report.work_dir import TOOLS, Run, WorkDir

_TITLES = {
    "supernet": "Supernet",
    "search": "Search",
    "subnet": "Retrained network",
    "export": "Exported files",
}
# Further tools, and what they are for.
_OPTIONAL = {
    "correlate": "compare the ranking with a table of a benchmark",
    "search_limits": "search under several limits and compare the results",
}


def finished(run: Run) -> bool:
    """Whether a run has its result."""
    if run.stage == "supernet":
        return run.step is not None and run.step == run.options.number("steps")
    result = {
        "search": run.best,
        "subnet": run.metrics,
        "export": run.manifest,
        "correlate": run.correlation,
        "search_limits": run.table,
    }
    return bool(result[run.stage])


def stages(work_dir: WorkDir) -> list[dict[str, Any]]:
    """The four stages of the pipeline and how far each is."""
    return [
        {
            "title": title,
            "state": _state(work_dir.runs[stage]),
            "detail": _detail(work_dir.runs[stage]),
        }
        for stage, title in _TITLES.items()
    ]


def _state(runs: Sequence[Run]) -> str:
    if not runs:
        return "missing"
    return "done" if any(map(finished, runs)) else "unfinished"


def _detail(runs: Sequence[Run]) -> str:
    if not runs:
        return "not there yet"
    if len(runs) > 1:
        done = sum(map(finished, runs))
        return f"{done} of {len(runs)} finished"
    (run,) = runs
    if run.stage in ("supernet", "subnet"):
        step = run.step if run.step is not None else 0
        steps = run.options.number("steps")
        return f"{run.name}: step {step} of {'?' if steps is None else steps}"
    if run.stage == "search":
        return f"{run.name}: {len(run.record):,} candidates"
    count = len(run.manifest.fields("files").values)
    return f"{run.name}: {count} file{'' if count == 1 else 's'}"


def missing(work_dir: WorkDir, order: Sequence[Run]) -> list[tuple[str, str]]:
    """What is not there, and the command that would make it.

    Args:
        work_dir: What was read.
        order: Searches, the best first.
    """
    rows = [
        (
            f"{run.stage}/{run.name} is not finished",
            flagfile_command(work_dir, run),
        )
        for run in work_dir.all_runs()
        if not finished(run) and run.flags_file
    ]
    steps = {
        **{s: f"{title}: {s}/ is not there" for s, title in _TITLES.items()},
        **{s: f"Optional: {gain}" for s, gain in _OPTIONAL.items()},
    }
    return rows + [
        (what, _command(work_dir, stage, order))
        for stage, what in steps.items()
        if not work_dir.runs[stage]
    ]


def _command(work_dir: WorkDir, stage: str, order: Sequence[Run]) -> str:
    """A first command, with the data and names of the runs before it."""
    words = ["spos", TOOLS[stage], f"--work_dir={work_dir.folder}"]
    before = [run.options.values for run in work_dir.all_runs()]
    for name in ("dataset", "data_dir", "augmentation", "holdout_per_class"):
        values = [
            one[name] for one in before if one.get(name) not in (None, "")
        ]
        if name == "dataset":
            words.append(f"--dataset={values[0] if values else 'DATASET'}")
        elif values and (stage, name) != ("export", "holdout_per_class"):
            words.append(f"--{name}={values[0]}")
    needed = {
        "search": ("supernet_name", work_dir.runs["supernet"]),
        "search_limits": ("supernet_name", work_dir.runs["supernet"]),
        "correlate": ("supernet_name", work_dir.runs["supernet"]),
        "subnet": ("search_name", order),
        "export": ("subnet_name", work_dir.runs["subnet"]),
    }
    name, runs = needed.get(stage, ("", ()))
    if runs and runs[0].name != "default":
        words.append(f"--{name}={runs[0].name}")
    further = {
        "correlate": ["--table=TABLE.npz", "--accuracy_column=COLUMN"],
        "search_limits": ["--limits=macs<=LIMIT"],
    }
    return shlex.join([*words, *further.get(stage, [])])


def flagfile_command(work_dir: WorkDir, run: Run) -> str:
    """The command that repeats a run, or resumes it if it is unfinished."""
    return shlex.join(
        [
            "spos",
            run.tool,
            f"--flagfile={run.flags_file}",
            # The folder may have been moved since.
            f"--work_dir={work_dir.folder}",
        ]
    )


def repeat(work_dir: WorkDir) -> list[dict[str, Any]]:
    """The commands of all runs in the order of the pipeline, with options."""
    return [
        {
            "name": f"{run.stage}/{run.name}",
            "command": flagfile_command(work_dir, run),
            "options": [
                (name, option_text(value))
                for name, value in run.options.values.items()
                if value is not None
            ],
        }
        for run in work_dir.all_runs()
        if run.flags_file
    ]
