r"""Kills the tools at random moments and compares what they come to.

Example:
  python qa/kill_sweep.py --folder=runs/sweep
  python qa/kill_sweep.py --folder=runs/sweep --tools=search --kills=5

Supernet training, search, retraining, latency table and export run on
scikit-learn's digits. Each is killed (SIGKILL) at --kills moments: two thirds
spread over the whole run, its start included, a third just before a file is
opened, renamed or removed, or up to 3 ms later, while it is being written.
Most runs are killed once, every fourth three times. Then the run is started
again until it ends. After every kill each file with a final name has to be
whole; in the end the files have to be those of an undisturbed run, nothing
evaluated may have been evaluated twice, and nothing unfinished may be left.

Further runs get SIGTERM, a disk that is full (from the start, from the first
result on, and before the last file) and a read-only folder, in a small tmpfs
that this program mounts; where that is not allowed they are skipped, with the
reason.

A line a disturbance is printed; FOLDER/sweep.json and FOLDER/sweep.md are
written after each. About half an hour on an idle core; exit code 1 where
a check failed.
"""

import collections
import dataclasses
import itertools
import json
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Iterator

import numpy as np
from absl import app, flags

_HERE = pathlib.Path(__file__).resolve().parent
# So that it runs from any folder and without installing.
sys.path[:0] = [str(_HERE), str(_HERE.parent)]

from fuzz_tools import Tools
from kill_jobs import JOBS, Job
from kill_lives import Moment
from kill_trials import Bench, Trial

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "folder", None, "Where runs are made, and the results; made if absent."
)
flags.DEFINE_list("tools", [*JOBS], f"What is killed, of {', '.join(JOBS)}.")
flags.DEFINE_integer("kills", 20, "SIGKILLs of each tool.", lower_bound=0)
flags.DEFINE_integer("terminations", 4, "SIGTERMs of each tool.", lower_bound=0)
flags.DEFINE_bool("disks", True, "Full disks and read-only folders as well.")
flags.DEFINE_integer("seed", 0, "Seed of all moments.")
flags.mark_flag_as_required("folder")

_LIMIT_S = 600
# Kills of a run, in turn.
_A_RUN = (1, 1, 1, 3)
_SHARE_OF_CHANGES = 1 / 3


def _moments(
    job: Job, bench: Bench, count: int, rng: np.random.Generator
) -> list[Moment]:
    """Moments of a run, in random order."""
    life = bench.reference(job)
    at_changes = round(count * _SHARE_OF_CHANGES)
    spread = count - at_changes
    times = (np.arange(spread) + rng.random(spread)) / max(spread, 1)
    moments = [Moment(seconds=t) for t in (times * life.seconds).tolist()]
    for index in range(at_changes):
        change = int(rng.integers(1, len(life.changes) + 1))
        # Every second one while the change is made.
        delay_s = float(rng.uniform(1e-4, 3e-3)) * (index % 2)
        moments.append(Moment(change=change, delay_s=round(delay_s, 4)))
    return [moments[index] for index in rng.permutation(count)]


def _kills(job: Job, bench: Bench, rng: np.random.Generator) -> Iterator[Trial]:
    waiting = collections.deque(_moments(job, bench, FLAGS.kills, rng))
    lengths = itertools.cycle(_A_RUN)
    done = run = 0
    while done < FLAGS.kills:
        if run > 3 * FLAGS.kills:
            raise RuntimeError(f"{job.name} ends before it can be killed.")
        count = min(next(lengths), FLAGS.kills - done)
        while len(waiting) < count:
            # For those that came after the end.
            waiting.extend(_moments(job, bench, count, rng))
        chosen = [waiting.popleft() for _ in range(count)]
        for trial in bench.killed(job, run, chosen):
            done += 1
            yield trial
        run += 1


def _trials(
    job: Job, bench: Bench, rng: np.random.Generator
) -> Iterator[Trial]:
    if FLAGS.disks:
        try:
            yield from _disks(job, bench, rng)
        except LookupError as reason:
            print(f"{job.name}: disks skipped, {reason.args[0]}", flush=True)
    moments = _moments(job, bench, FLAGS.terminations, rng)
    for run, moment in enumerate(moments):
        yield bench.terminated(job, run, moment)
    yield from _kills(job, bench, rng)


def _disks(job: Job, bench: Bench, rng: np.random.Generator) -> Iterator[Trial]:
    yield bench.full(job, 0, after=None)
    # So that it ends within a file.
    leave = int(rng.integers(0, 4)) * 4096
    yield bench.full(job, 1, after=job.first_result, leave=leave)
    if job.late_result:
        yield bench.full(job, 2, after=job.late_result)
    yield bench.read_only(job, 0, from_start=True)
    yield bench.read_only(job, 1, from_start=False)


def _line(trial: Trial) -> str:
    parts = [f"{trial.tool} {trial.kind} (run {trial.run}), {trial.moment}"]
    if trial.moment_s is not None:
        parts.append(f"at {trial.moment_s:.2f} s")
    if trial.unfinished:
        parts.append("a file was being written")
    if trial.end_s is not None:
        parts.append(f"ended after {trial.end_s:.2f} s")
    if trial.said:
        parts.append(f"({trial.said})")
    verdict = "; ".join(trial.problems) if trial.problems else "ok"
    return f"{', '.join(parts)}: {verdict}"


def _table(trials: list[Trial], seconds: dict[str, float]) -> str:
    rows = [
        "| tool | undisturbed, s | kills | of these with a file unfinished | "
        "runs killed more than once | SIGTERM | longest to end, s | "
        "full disk | read-only | with a problem |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, took in seconds.items():
        own = [trial for trial in trials if trial.tool == name]
        kinds = collections.Counter(trial.kind for trial in own)
        kills = [trial for trial in own if trial.kind == "kill"]
        runs = collections.Counter(trial.run for trial in kills)
        ends = [t.end_s for t in own if t.kind == "sigterm" and t.end_s]
        cells = [
            name,
            f"{took:.1f}",
            kinds["kill"],
            sum(trial.unfinished for trial in kills),
            sum(count > 1 for count in runs.values()),
            kinds["sigterm"],
            f"{max(ends):.2f}" if ends else "-",
            kinds["full"],
            kinds["read_only"],
            sum(bool(trial.problems) for trial in own),
        ]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def main(argv: list[str]) -> None:
    """Runs the sweep that the flags ask for."""
    unknown = [name for name in FLAGS.tools if name not in JOBS]
    if unknown or len(argv) > 1:
        what = unknown[0] if unknown else argv[1]
        print(f"There is no {what!r}; see --help.", file=sys.stderr)
        sys.exit(2)
    folder = pathlib.Path(FLAGS.folder).resolve()
    if folder.exists() and any(folder.iterdir()):
        print(f"{str(folder)!r} is not empty; name another.", file=sys.stderr)
        sys.exit(2)
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "said"
    said.mkdir()
    # So that no tool is left running and no disk mounted.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    tools = Tools(said, _LIMIT_S)
    try:
        _sweep(folder, Bench(folder, tools))
    finally:
        tools.close()


def _write(
    folder: pathlib.Path, trials: list[Trial], seconds: dict[str, float]
) -> None:
    result = {
        "command": shlex.join(sys.argv),
        "seed": FLAGS.seed,
        "undisturbed_s": seconds,
        "trials": [dataclasses.asdict(trial) for trial in trials],
    }
    text = json.dumps(result, indent=1) + "\n"
    (folder / "sweep.json").write_text(text, "utf-8")
    (folder / "sweep.md").write_text(f"{_table(trials, seconds)}\n", "utf-8")


def _sweep(folder: pathlib.Path, bench: Bench) -> None:
    trials: list[Trial] = []
    seconds: dict[str, float] = {}
    for name in FLAGS.tools:
        job = JOBS[name]
        # A tool's moments do not hang on which others are asked for.
        rng = np.random.default_rng([FLAGS.seed, [*JOBS].index(name)])
        life = bench.reference(job)
        seconds[name] = life.seconds
        print(
            f"{name}: undisturbed {life.seconds:.1f} s, {len(life.changes)} "
            "changes of files",
            flush=True,
        )
        for trial in _trials(job, bench, rng):
            trials.append(trial)
            print(_line(trial), flush=True)
            _write(folder, trials, seconds)
    print(_table(trials, seconds))
    sys.exit(any(trial.problems for trial in trials))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    app.run(main)
