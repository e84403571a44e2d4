"""How far a work_dir is, what is missing, and how to repeat it."""

import shlex
from collections.abc import Sequence
from typing import Any

from spos_tf.report.work_dir import TOOLS, Run, WorkDir

_TITLES = {
    "supernet": "Supernet",
    "search": "Search",
    "subnet": "Retrained network",
    "export": "Exported files",
}
# Further results, and what they would add.
_OPTIONAL = {
    "correlate": "how well the supernet ranks networks, by a benchmark's table",
    "search_limits": "searches under several limits in one table",
}


def finished(run: Run) -> bool:
    """Whether a run has its result."""
    if run.stage == "supernet":
        wanted = run.flag("steps") or ""
        return run.step is not None and str(run.step) == wanted
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
        return f"{run.name}: step {step} of {run.flag('steps') or '?'}"
    if run.stage == "search":
        return f"{run.name}: {len(run.record):,} candidates"
    count = len(run.manifest.fields("files").values)
    return f"{run.name}: {count} file{'' if count == 1 else 's'}"


def missing(work_dir: WorkDir, order: Sequence[Run]) -> list[dict[str, Any]]:
    """What is not there, and the command that would make it.

    Args:
        work_dir: What was read.
        order: Searches, the best first.

    Returns:
        `what`, `command` and whether it is `optional`, a row each.
    """
    rows = [
        {
            "what": f"{run.stage}/{run.name} is not finished",
            "command": flagfile_command(work_dir, run),
            "optional": False,
        }
        for run in work_dir.all_runs()
        if not finished(run) and run.flags
    ]
    for stage, title in _TITLES.items():
        if not work_dir.runs[stage]:
            rows.append(
                {
                    "what": f"{title}: {stage}/ is not there",
                    "command": _command(work_dir, stage, order),
                    "optional": False,
                }
            )
    for stage, gain in _OPTIONAL.items():
        if not work_dir.runs[stage]:
            rows.append(
                {
                    "what": gain,
                    "command": _command(work_dir, stage, order),
                    "optional": True,
                }
            )
    return rows


def _command(work_dir: WorkDir, stage: str, order: Sequence[Run]) -> str:
    """A first command; data and names are those of the runs before."""
    words = ["python", f"tools/{TOOLS[stage]}.py"]
    words.append(f"--work_dir={work_dir.folder}")
    before = work_dir.all_runs()
    for name in ("dataset", "data_dir", "augmentation", "holdout_per_class"):
        values = [v for v in (run.flag(name) for run in before) if v]
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
    """The short command that repeats a run, or goes on with it."""
    path = run.folder / f"{run.tool}.flags"
    return shlex.join(
        [
            "python",
            f"tools/{run.tool}.py",
            f"--flagfile={path}",
            # The folder may have been moved since.
            f"--work_dir={work_dir.folder}",
        ]
    )


def repeat(work_dir: WorkDir) -> list[dict[str, str]]:
    """The commands of all runs in the order of the pipeline."""
    rows = []
    for run in work_dir.all_runs():
        if not run.flags:
            continue
        lines = [f"python tools/{run.tool}.py"]
        lines += [f"    {shlex.quote(flag)}" for flag in run.flags]
        rows.append(
            {
                "name": f"{run.stage}/{run.name}",
                "command": flagfile_command(work_dir, run),
                "flags": " \\\n".join(lines),
                "count": str(len(run.flags)),
            }
        )
    return rows
