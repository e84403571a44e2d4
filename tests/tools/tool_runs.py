"""Runs tools one after another with TensorFlow already imported.

`python tool_runs.py` reads one JSON line a run from standard input, forks,
and runs the tool in the child as `python tools/NAME.py ARGUMENTS` would; then
it prints the exit code. Every run has a process, flags, standard output and
standard error of its own and saves the seconds that the imports take. A run
may have a `folder` to start in and `limit_s`, the seconds that it may take:
`qa/fuzz.py` gives them. One with a `signal` gets it as soon as a file
is there that `when`, a pattern below the folder `in`, matches.
"""

import json
import os
import pathlib
import runpy
import signal
import sys
import time
import traceback


def _run(run: dict) -> int:
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(run[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    if "folder" in run:
        os.chdir(run["folder"])
    # Ends the process wherever it is, in C too; its exit code is then -14.
    signal.alarm(run.get("limit_s", 0))
    sys.argv = [run["tool"], *run["arguments"]]
    sys.path.insert(0, os.path.dirname(run["tool"]))
    try:
        runpy.run_path(run["tool"], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _signal_in_time(child: int, run: dict) -> int:
    """Signals a child at its moment; its status as `os.waitpid` gives it."""
    ended = status = 0
    while not ended and not any(pathlib.Path(run["in"]).glob(run["when"])):
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.001)
    if ended:
        return status
    os.kill(child, run["signal"])
    return os.waitpid(child, 0)[1]


def _main() -> None:
    import keras  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import tensorflow  # noqa: F401

    for line in sys.stdin:
        run = json.loads(line)
        child = os.fork()
        if not child:
            code = _run(run)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        if "signal" in run:
            status = _signal_in_time(child, run)
        else:
            _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _main()
