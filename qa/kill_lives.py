"""Lives of a process: how it is started, watched and ended."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from kill_jobs import REPOSITORY

_HOOK = pathlib.Path(__file__).resolve().parent / "kill_hook"
_POLL_S = 0.002
_LIMIT_S = 400.0

# Seconds since the start -> whether something is to be done now.
Asked = Callable[[float], bool]


@dataclasses.dataclass(frozen=True)
class Moment:
    """When a life is disturbed.

    Attributes:
        seconds: After its start; None: see `change`.
        change: Before the n-th change of a file, from 1; see kill_hook/.
        delay_s: That much after the change began instead.
    """

    seconds: float | None = None
    change: int = 0
    delay_s: float = 0.0

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:.2f} s"
        if self.delay_s:
            return f"{1000 * self.delay_s:.1f} ms into change {self.change}"
        return f"change {self.change}"


@dataclasses.dataclass(frozen=True)
class Life:
    """How a process lived.

    Attributes:
        code: Exit code, negative for a signal.
        seconds: From its start to its end.
        stderr: What it said.
        changes: Those of files in the watched folder, a line each.
        moment_s: When it was disturbed from outside; None if it was not.
    """

    code: int
    seconds: float
    stderr: str
    changes: tuple[str, ...] = ()
    moment_s: float | None = None

    @property
    def lines(self) -> list[str]:
        """Standard error; a bar that is drawn anew is a line each time."""
        return [
            line
            for line in self.stderr.replace("\r", "\n").split("\n")
            if line.strip()
        ]


def live(
    command: Sequence[str],
    *,
    asked: Asked | None = None,
    then: Callable[[subprocess.Popen[bytes]], object] | None = None,
    environment: dict[str, str] | None = None,
) -> Life:
    """Starts a tool and waits for its end.

    Args:
        command: Arguments of Python.
        asked: Asked all the time, until it says yes.
        then: What is done then.
        environment: Further variables.

    Raises:
        RuntimeError: It takes far longer than any of these runs.
    """
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": "-1",
                "PYTHONPATH": os.pathsep.join([str(_HOOK), str(REPOSITORY)]),
                **(environment or {}),
            },
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
        moment_s = None
        try:
            while process.poll() is None:
                elapsed = time.perf_counter() - start
                if moment_s is None and asked and asked(elapsed):
                    moment_s = elapsed
                    if then:
                        then(process)
                if elapsed > _LIMIT_S:
                    raise RuntimeError(f"{command[0]} takes {elapsed:.0f} s.")
                time.sleep(_POLL_S)
        finally:
            process.kill()
            process.wait()
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Life(process.returncode, seconds, text, moment_s=moment_s)


def signalled(
    command: Sequence[str],
    folder: pathlib.Path,
    moment: Moment = Moment(),
    number: signal.Signals = signal.SIGKILL,
) -> Life:
    """Starts a tool that gets a signal; by default it does not.

    Args:
        command: Arguments of Python.
        folder: Whose changes are counted.
        moment: When.
        number: The signal.
    """
    with tempfile.NamedTemporaryFile() as log:
        environment = {
            "SPOS_TF_HOOK_FOLDER": str(folder),
            "SPOS_TF_HOOK_LOG": log.name,
            "SPOS_TF_HOOK_AT": str(moment.change),
            "SPOS_TF_HOOK_DELAY_S": str(moment.delay_s),
            "SPOS_TF_HOOK_SIGNAL": str(int(number)),
        }
        at = moment.seconds
        life = live(
            command,
            asked=None if at is None else lambda elapsed: elapsed >= at,
            then=lambda process: process.send_signal(number),
            # Without need no code of ours is where a signal could meet it.
            environment=environment if at is None else None,
        )
        lines = pathlib.Path(log.name).read_text("utf-8").splitlines()
    changes = tuple(line.replace(f"{folder}{os.sep}", "") for line in lines)
    return dataclasses.replace(life, changes=changes)


def when_there(folder: pathlib.Path, pattern: str) -> Asked:
    """When a file of that pattern is there with something in it."""

    def there(elapsed: float) -> bool:
        del elapsed
        try:
            return any(p.stat().st_size > 0 for p in folder.glob(pattern))
        except OSError:
            return False

    return there
