"""Runs tools one after another with TensorFlow already imported.

`python tool_runs.py` reads one JSON line a run from standard input, forks,
and runs the tool in the child as `python tools/NAME.py ARGUMENTS` would; then
it prints the exit code. Every run has a process, flags, standard output and
standard error of its own and saves the seconds that the imports take. A run
may have a `folder` to start in and `limit_s`, the seconds that it may take:
`benchmarks/fuzz.py` gives them.
"""

import json
import os
import runpy
import signal
import sys
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


def _main() -> None:
    import keras  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import tensorflow  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = _run(json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _main()
