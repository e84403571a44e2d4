"""How the tests here run a tool."""

import json
import os
import subprocess
import sys

import pytest

from source_tree import REPO


@pytest.fixture(scope="session")
def tool_process():
    """A process with TensorFlow in it that runs tools; see `tool_runs`."""
    with subprocess.Popen(
        [sys.executable, REPO / "tests" / "tools" / "tool_runs.py"],
        cwd=REPO,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # The conftest of pytest is not this process's.
            "PYTHONWARNINGS": "ignore",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture(scope="session")
def run_tool(tool_process, tmp_path_factory):
    """`run_tool("search", "--seed=1")` -> a `subprocess.CompletedProcess`.

    `moment=(signal, folder, pattern)` sends it a signal once such a file is
    in the folder.
    """

    def run(tool, *arguments, moment=None):
        folder = tmp_path_factory.mktemp("output")
        run = {
            "tool": str(REPO / "tools" / f"{tool}.py"),
            "arguments": [str(argument) for argument in arguments],
            "stdout": str(folder / "stdout"),
            "stderr": str(folder / "stderr"),
        }
        if moment is not None:
            number, where, pattern = moment
            run |= {"signal": number, "in": str(where), "when": pattern}
        tool_process.stdin.write(json.dumps(run) + "\n")
        tool_process.stdin.flush()
        code = int(tool_process.stdout.readline())
        return subprocess.CompletedProcess(
            [tool, *arguments],
            code,
            (folder / "stdout").read_text("utf-8"),
            (folder / "stderr").read_text("utf-8"),
        )

    return run


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    """One for all tests of a file."""
    return tmp_path_factory.mktemp("work_dir")


@pytest.fixture
def tool(run_tool, work_dir):
    """`tool("search", ...)` runs it in `work_dir`; it has to succeed."""

    def run(name, *arguments):
        done = run_tool(name, *arguments, f"--work_dir={work_dir}")
        assert done.returncode == 0, done.stderr
        return done

    return run
