"""Memory, open files and threads of a program while it runs, seen from outside.

The kernel's figures (/proc, so Linux only), read by another process: the
program is the one that people run, with nothing added to it.
"""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

_REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
_PERIOD_S = 0.05


@dataclasses.dataclass(frozen=True)
class Sample:
    """A program at one moment.

    Attributes:
        done: How far it is, in units of its work.
        mebibytes: Resident memory.
        files: Open file descriptors.
        threads: Threads, those of libraries too.
    """

    done: int
    mebibytes: float
    files: int
    threads: int


def watch(done: Callable[[], int], tool: str, *arguments: str) -> list[Sample]:
    """Runs a tool to its end.

    Args:
        done: How far it is; called at every sample.
        tool: File of tools/.
        *arguments: Its flags.

    Returns:
        A sample every twentieth of a second, in order.

    Raises:
        LookupError: There is no /proc.
        RuntimeError: The tool failed; with the end of its output.
    """
    if not pathlib.Path("/proc/self/status").exists():
        raise LookupError("It reads /proc, which only Linux has.")
    samples = []
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, str(_REPOSITORY / "tools" / tool), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=_REPOSITORY,
        )
        try:
            while process.poll() is None:
                sample = _sample(process.pid, done())
                if sample is not None:
                    samples.append(sample)
                time.sleep(_PERIOD_S)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
            raise RuntimeError(f"{tool} failed: {text[-2000:]}")
    return samples


def _sample(pid: int, done: int) -> Sample | None:
    """None of a process that has just ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text("ascii")
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    status = dict(line.split(":", 1) for line in lines.splitlines())
    if "VmRSS" not in status:
        return None
    return Sample(
        done,
        int(status["VmRSS"].split()[0]) / 1024,
        files,
        int(status["Threads"]),
    )
