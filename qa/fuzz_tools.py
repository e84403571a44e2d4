"""Tools run one after another, watched: what they print and what they write."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
_SERVER = REPOSITORY / "tests" / "tools" / "tool_runs.py"
# What a tool may print beside its refusal: its log, and a bar.
_LOG = re.compile(r"\d\d:\d\d:\d\d |.*(it/s|\?path|path/s|\d+%\||\d+/\d+ \[)")
_KILLED = -14


@dataclasses.dataclass(frozen=True)
class Ran:
    """What became of a tool.

    Attributes:
        tool: Its name.
        code: Exit code; below 0 the signal that ended it.
        stdout: All of it.
        stderr: All of it.
        seconds: It took.
    """

    tool: str
    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def hung(self) -> bool:
        """Whether it ran into the time limit."""
        return self.code == _KILLED

    @property
    def refused(self) -> bool:
        """Whether it ended as tools end on a mistake."""
        return self.code == 2

    def refusal(self) -> str:
        """The last line on stderr."""
        lines = self.stderr.rstrip("\n").split("\n")
        return lines[-1]

    def misbehaved(self, names: Sequence[str]) -> str | None:
        """What is wrong with how it ended, whatever it said; None if nothing.

        Args:
            names: A refusal has one of these in it.
        """
        if self.hung:
            return "hang"
        if "Traceback" in self.stderr or self.code not in (0, 2):
            last = self.refusal()[-300:]
            return f"traceback: exit code {self.code}, {last}"
        if not self.refused:
            return None
        line = self.refusal()
        further = self.stderr.replace("\r", "\n").split("\n")[:-2]
        odd = [one for one in further if one and not _LOG.match(one)]
        if not line.startswith(f"{self.tool}.py: ") or odd:
            return f"not one line: {(odd or [line])[0][:300]}"
        if not any(name in line for name in names):
            return f"names no file: {line[:300]}"
        return None


class Tools:
    """A process with TensorFlow in it that runs tools.

    Args:
        folder: For what they print.
        limit_s: Seconds that a tool may take.
    """

    def __init__(self, folder: pathlib.Path, limit_s: int) -> None:
        self._folder = folder
        self._limit_s = limit_s
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER)],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": "-1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "PYTHONWARNINGS": "ignore",
                # No folder of compiled files appears where tools run.
                "PYTHONDONTWRITEBYTECODE": "1",
                "MPLBACKEND": "agg",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, tool: str, *arguments: str, folder: pathlib.Path) -> Ran:
        """Runs one as `python tools/TOOL.py ARGUMENTS` in a folder."""
        run = {
            "tool": str(REPOSITORY / "tools" / f"{tool}.py"),
            "arguments": list(arguments),
            "stdout": str(self._folder / "stdout"),
            "stderr": str(self._folder / "stderr"),
            "folder": str(folder),
            "limit_s": self._limit_s,
        }
        assert self._process.stdin and self._process.stdout
        start = time.perf_counter()
        self._process.stdin.write(json.dumps(run) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Ran(
            tool,
            code,
            (self._folder / "stdout").read_text("utf-8", "replace"),
            (self._folder / "stderr").read_text("utf-8", "replace"),
            time.perf_counter() - start,
        )

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def snapshot(
    root: pathlib.Path, *, without: Sequence[pathlib.Path]
) -> dict[str, object]:
    """Every file and folder below, with what tells a change.

    Args:
        root: The folder.
        without: Folders below it that are passed over.
    """
    found: dict[str, object] = {}
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        for entry in os.scandir(folder):
            path = pathlib.Path(entry.path)
            if path in without or entry.name in (".git", "__pycache__"):
                continue
            status = entry.stat(follow_symlinks=False)
            is_folder = entry.is_dir(follow_symlinks=False)
            found[entry.path] = is_folder or (
                status.st_mtime_ns,
                status.st_size,
            )
            if is_folder:
                waiting.append(path)
    return found
