"""Runs that are killed, asked to end, or run out of disk, and their checks."""

import contextlib
import dataclasses
import pathlib
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import kill_compared
import kill_files
import kill_lives
from fuzz_tools import Tools
from kill_disks import FILLER, SmallDisk, small_disk
from kill_jobs import JOBS, REPOSITORY, Job
from kill_lives import Life, Moment

_LOG_LINE = re.compile(r"\d\d:\d\d:\d\d ")
_BAR = re.compile(r"\d+%\||\d+/\d+ \[|[?\d]+(it|step|path|part)/s")


@dataclasses.dataclass
class Trial:
    """One disturbance and what came of it.

    Attributes:
        tool: Name of the job.
        kind: `"kill"`, `"sigterm"`, `"full"` or `"read_only"`.
        moment: In words.
        run: Number of the run; several kills may be of one.
        moment_s: Seconds into the life; of a kill, its length.
        end_s: Seconds from the signal, or the full disk, to the end.
        unfinished: A kill left a file that was being written.
        said: Last line on standard error; of a kill before a change, which
            change.
        problems: What should not be.
    """

    tool: str
    kind: str
    moment: str
    run: int
    moment_s: float | None = None
    end_s: float | None = None
    unfinished: bool = False
    said: str = ""
    problems: list[str] = dataclasses.field(default_factory=list)


class Bench:
    """Where runs are made: always in the same folder, so that flags agree.

    What is killed is a program of its own. Runs that are only to end well are
    forked from a process that has TensorFlow, which saves half of their time.

    Args:
        folder: Gets `run` and, a work_dir a job, `reference`.
        tools: Runs the latter.
    """

    def __init__(self, folder: pathlib.Path, tools: Tools) -> None:
        self._folder = folder
        self._tools = tools
        self.work_dir = folder / "run"
        self._made: dict[str, Life] = {}

    def reference(self, job: Job) -> Life:
        """Runs a job and what it needs undisturbed, once; its life."""
        if job.name in self._made:
            return self._made[job.name]
        if job.needs:
            self.reference(JOBS[job.needs])
        if job.earlier:
            self._fresh(job)
            command = job.command(self.work_dir, earlier=True)
            _expect_done(kill_lives.live(command))
            shutil.copytree(self.work_dir, self._reference(job, "earlier"))
        self._fresh(job)
        life = self._live(job)
        _expect_done(life)
        # The very check has to find nothing wrong with what is right.
        wrong = kill_files.partial_files(self.work_dir)
        if wrong:
            raise RuntimeError(f"An undisturbed run leaves {wrong}.")
        shutil.copytree(self.work_dir, self._reference(job))
        self._made[job.name] = life
        return life

    def killed(
        self, job: Job, run: int, moments: Sequence[Moment]
    ) -> Iterator[Trial]:
        """Kills a run so many times, then has it end.

        Yields:
            A trial a kill; fewer than asked for where a life ended before.
        """
        self._fresh(job, earlier=bool(job.earlier) and run % 2 == 1)
        trial = None
        kept: list[Any] = []
        for moment in moments:
            life = self._live(job, moment)
            if life.code == 0:
                break
            if trial is not None:
                yield trial
            trial = Trial(job.name, "kill", str(moment), run, life.seconds)
            if moment.change:
                trial.said = life.changes[-1]
            trial.unfinished = bool(kill_files.leftovers(self.work_dir))
            if life.code != -signal.SIGKILL:
                said = " / ".join(life.lines[-3:])
                trial.problems.append(f"exit code {life.code}, {said}")
            trial.problems += kill_files.partial_files(self.work_dir)
            trial.problems += self._lost(job, kept)
            kept = kill_compared.samples_of(self._results(job))
        # There is nothing to say of a run that no kill met.
        if trial is not None:
            trial.problems += self._ended(job, kept)
            yield trial

    def terminated(self, job: Job, run: int, moment: Moment) -> Trial:
        """Sends SIGTERM, then has the run end."""
        self._fresh(job)
        trial = Trial(job.name, "sigterm", str(moment), run)
        life = self._live(job, moment, signal.SIGTERM)
        trial.said = life.lines[-1] if life.lines else ""
        trial.moment_s = life.moment_s
        if life.moment_s is not None:
            trial.end_s = life.seconds - life.moment_s
        trial.problems += self._stopped(job, life)
        trial.problems += self._ended(job, [], saved_between=True)
        return trial

    def full(
        self, job: Job, run: int, *, after: str | None, leave: int = 0
    ) -> Trial:
        """Fills the disk, looks what is said, makes room and goes on.

        Args:
            job: What is run.
            run: Number of the run.
            after: Pattern of the file that is waited for; None: from the
                start.
            leave: Bytes.
        """
        words = "full from the start"
        if after is not None:
            words = f"full once {after} is there, {leave:,} bytes left"
        trial = Trial(job.name, "full", words, run)
        with self._small_disk(job) as disk:
            asked = None
            if after is None:
                disk.fill()
            else:
                asked = kill_lives.when_there(self._results(job), after)
            before = _contents(self.work_dir)
            life = kill_lives.live(
                job.command(self.work_dir),
                asked=asked,
                then=lambda process: disk.fill(leave=leave),
            )
            self._refused(job, trial, life)
            if after is None and _contents(self.work_dir) != before:
                trial.problems.append("it changed what was there")
            disk.clear()
            trial.problems += self._ended(job, [])
        return trial

    def read_only(self, job: Job, run: int, *, from_start: bool) -> Trial:
        """Starts it, or goes on, where nothing can be written."""
        words = "read-only " + ("folder" if from_start else "after a kill")
        trial = Trial(job.name, "read_only", words, run)
        with self._small_disk(job) as disk:
            if not from_start:
                kill_lives.live(
                    job.command(self.work_dir),
                    asked=kill_lives.when_there(
                        self._results(job), job.first_result
                    ),
                    then=lambda process: process.kill(),
                )
            before = _contents(self.work_dir)
            disk.protect(writable=False)
            life = kill_lives.live(job.command(self.work_dir))
            self._refused(job, trial, life)
            if _contents(self.work_dir) != before:
                trial.problems.append("it changed what was there")
            disk.protect(writable=True)
            trial.problems += self._ended(job, [])
        return trial

    def _results(self, job: Job) -> pathlib.Path:
        return self.work_dir / job.folder

    def _reference(self, job: Job, kind: str = "whole") -> pathlib.Path:
        return self._folder / "reference" / job.name / kind

    def _fresh(self, job: Job, *, earlier: bool = False) -> None:
        """The work_dir with what the job needs, and no more."""
        shutil.rmtree(self.work_dir, ignore_errors=True)
        self._provide(job, earlier=earlier)

    def _provide(self, job: Job, *, earlier: bool) -> None:
        source = None
        if earlier:
            source = self._reference(job, "earlier")
        elif job.needs:
            source = self._reference(JOBS[job.needs])
        if source is not None:
            shutil.copytree(source, self.work_dir, dirs_exist_ok=True)

    @contextlib.contextmanager
    def _small_disk(self, job: Job) -> Iterator[SmallDisk]:
        shutil.rmtree(self.work_dir, ignore_errors=True)
        with small_disk(self.work_dir) as disk:
            self._provide(job, earlier=bool(job.earlier))
            yield disk

    def _live(
        self,
        job: Job,
        moment: Moment | None = None,
        number: signal.Signals = signal.SIGKILL,
    ) -> Life:
        return kill_lives.signalled(
            job.command(self.work_dir),
            self._results(job),
            moment or Moment(),
            number,
        )

    def _lost(self, job: Job, kept: list[Any]) -> list[str]:
        if job.name != "latency" or not kept:
            return []
        return kill_compared.lost_samples(kept, self._results(job))

    def _ended(
        self, job: Job, kept: list[Any], *, saved_between: bool = False
    ) -> list[str]:
        """Has a run end by itself; what is then wrong."""
        step = kill_files.newest_step(self._results(job))
        arguments = job.command(self.work_dir)[1:]
        ran = self._tools(job.tool, *arguments, folder=REPOSITORY)
        if ran.code:
            said = " / ".join(ran.stderr.splitlines()[-3:])
            return [f"started again it ended with {ran.code}: {said}"]
        problems = [
            f"{path} is left" for path in kill_files.leftovers(self.work_dir)
        ]
        if job.is_training and step:
            line = f"Going on after step {step} of"
            if line not in ran.stderr:
                problems.append(f"started again it did not say {line!r}")
        problems += self._lost(job, kept)
        return problems + kill_compared.differences(
            self.work_dir, self._reference(job), saved_between=saved_between
        )

    def _stopped(self, job: Job, life: Life) -> list[str]:
        """What is wrong with how SIGTERM ended a life."""
        problems = kill_files.partial_files(self.work_dir)
        # It came when all was done, or while Python itself starts or ends.
        outside = life.code == -signal.SIGTERM and not _unusual(life)
        if life.code == 0 or outside:
            return problems
        problems += [
            f"{path} left" for path in kill_files.leftovers(self.work_dir)
        ]
        start = f"{job.tool}.py: stopped by SIGTERM"
        lines = _unusual(life)
        if life.code != 143 or [one.startswith(start) for one in lines] != [1]:
            problems.append(f"exit code {life.code}, {lines[-4:]}")
        found = re.search(r"after step (\d+)", " ".join(lines))
        if found:
            kept = kill_files.newest_step(self._results(job))
            if kept != int(found[1]):
                problems.append(f"step {found[1]} is said, {kept} is kept")
        return problems

    def _refused(self, job: Job, trial: Trial, life: Life) -> None:
        """Notes what is wrong with how a disk's refusal was told."""
        trial.said = life.lines[-1] if life.lines else ""
        trial.moment_s = life.moment_s
        if life.code == 0 and trial.kind == "full":
            # What was left was enough, which the end is compared for.
            trial.moment += ", which was enough"
            return
        lines = _unusual(life)
        clear = len(lines) == 1 and lines[0].startswith(f"{job.tool}.py: ")
        if life.code != 2 or not clear:
            trial.problems.append(f"exit code {life.code}, {lines[-4:]}")
        trial.problems += kill_files.partial_files(self.work_dir)


def _expect_done(life: Life) -> None:
    if life.code:
        raise RuntimeError(f"An undisturbed run failed: {life.stderr[-2000:]}")


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file with a final name."""
    return {
        str(path): (folder / path).read_bytes()
        for path in kill_files.results(folder)
        if path.name not in (FILLER, ".lock")
    }


def _unusual(life: Life) -> list[str]:
    """Lines that are neither the log nor a progress bar."""
    return [
        line
        for line in life.lines
        if not _LOG_LINE.match(line) and not _BAR.search(line)
    ]
