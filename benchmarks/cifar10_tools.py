"""Running the tools on CIFAR-10, and reading what they leave."""

import concurrent.futures
import json
import pathlib
import shlex
import subprocess
import sys

import numpy as np
from absl import flags

FLAGS = flags.FLAGS

flags.DEFINE_string("work_dir", None, "Folder with the supernets.")
flags.DEFINE_string("data_dir", None, "Where CIFAR-10 is prepared for TFDS.")
flags.DEFINE_integer("seeds", 3, "Seeds of retrainings.")
flags.DEFINE_integer("processes", 2, "Tools at once, one thread each.")
flags.mark_flags_as_required(["work_dir", "data_dir"])

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def run_tool(name, *further, config="cifar10"):
    """Runs a tool with one of its saved configs, or with none."""
    flagfile = f"--flagfile=saved_configs/{name}/{config}.flags"
    command = [
        f"tools/{name}.py",
        *([flagfile] if config else []),
        f"--work_dir={pathlib.Path(FLAGS.work_dir).resolve()}",
        f"--data_dir={pathlib.Path(FLAGS.data_dir).resolve()}",
        *further,
    ]
    # One write, since two threads print.
    print(f"python {shlex.join(command)}\n", end="", flush=True)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=_REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")


def run_all(jobs, configs=None):
    """Runs tools, some at once.

    Args:
        jobs: The arguments of `run_tool`.
        configs: Its `config` for every job.
    """
    jobs = list(jobs)
    configs = configs or ["cifar10"] * len(jobs)
    with concurrent.futures.ThreadPoolExecutor(FLAGS.processes) as pool:
        started = [
            pool.submit(run_tool, *job, config=config)
            for job, config in zip(jobs, configs, strict=True)
        ]
        for future in started:
            future.result()


def read_json(*parts):
    """A JSON file of the work_dir."""
    path = pathlib.Path(FLAGS.work_dir).joinpath(*parts)
    return json.loads(path.read_text("utf-8"))


def read_record(name):
    """The evaluations of a search, in the order of proposal."""
    path = pathlib.Path(FLAGS.work_dir) / "search" / name / "record.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return sorted(lines, key=lambda line: line["i"])


def best_json(name):
    """Path of what a search found."""
    path = pathlib.Path(FLAGS.work_dir) / "search" / name / "best.json"
    return path.resolve()


def percent_spread(values):
    """Mean, least and most of shares, in percent."""
    values = np.array(values) * 100
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"
