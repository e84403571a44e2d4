r"""The whole main job on scikit-learn's digits, in a few minutes on a CPU.

Example:
  python tools/demo.py --work_dir=runs/demo

Trains a supernet, searches it by evolution and at random under a limit on
multiply-adds, retrains the winner, exports it and writes a report; each step
is a command that is printed before it runs. A run that was stopped goes on
where it was.
"""

import pathlib
import shlex
import subprocess
import sys
import time

import program
from absl import flags

from spos_tf.errors import Preempted, UserError
from spos_tf.strict_json import parse_json

FLAGS = flags.FLAGS

flags.DEFINE_string("work_dir", "runs/demo", "Folder of all results.")

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_CONFIGS = "saved_configs/{}/digits.flags"


def _commands() -> list[list[str]]:
    def tool(name, *further, config=True):
        flagfile = [f"--flagfile={_CONFIGS.format(name)}"] if config else []
        return [
            f"tools/{name}.py",
            *flagfile,
            f"--work_dir={pathlib.Path(FLAGS.work_dir).resolve()}",
            *further,
        ]

    return [
        tool("train_supernet"),
        tool("search", "--strategy=random", "--name=random"),
        tool("search", "--strategy=evolution", "--name=evolution"),
        tool("train_subnet", "--name=winner", "--search_name=evolution"),
        tool(
            "export",
            "--name=winner",
            "--dataset=digits",
            config=False,
        ),
        tool("report", config=False),
    ]


def _run(number: int, total: int, command: list[str]) -> None:
    print(f"\n[{number}/{total}] python {shlex.join(command)}", flush=True)
    with subprocess.Popen([sys.executable, *command], cwd=_REPOSITORY) as tool:
        try:
            code = tool.wait()
        except Preempted:
            tool.terminate()
            raise
    if code:
        raise UserError(
            f"Step {number} of the demo ended with exit code {code}; the line "
            "above says why."
        )


def _json(path: pathlib.Path):
    return parse_json(path.read_bytes())


def _summary(work_dir: pathlib.Path) -> str:
    """The table of what came out, and where the files are."""
    best = _json(work_dir / "search" / "evolution" / "best.json")
    random = _json(work_dir / "search" / "random" / "best.json")
    metrics = _json(work_dir / "subnet" / "winner" / "metrics.json")
    export = work_dir / "export" / "winner"
    manifest = _json(export / "manifest.json")
    rows = [
        ("architecture", " ".join(best["choices"].values())),
        ("multiply-adds", f"{metrics['macs']:,}"),
        ("weights", f"{metrics['params']:,}"),
        (
            "path in the supernet (search split)",
            f"{best['accuracy']:.2%}  "
            f"(best of the random search {random['accuracy']:.2%})",
        ),
        ("retrained (test split)", f"{metrics['test_accuracy']:.2%}"),
        *(
            (name, f"{entry['accuracy']:.2%}  ({entry['bytes']:,} bytes)")
            for name, entry in manifest["files"].items()
        ),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {value}" for name, value in rows]
    lines += [
        "",
        f"  Plot of the search: {work_dir / 'search/evolution/search.png'}",
        f"  Network:            {work_dir / 'subnet/winner/subnet.keras'}",
        f"  Exported files:     {export}",
        f"  Report:             {work_dir / 'report.html'}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Runs the tools one after another and prints what came out."""
    started = time.perf_counter()
    commands = _commands()
    for number, command in enumerate(commands, 1):
        _run(number, len(commands), command)
    print(f"\nDone in {time.perf_counter() - started:.0f} seconds.\n")
    print(_summary(pathlib.Path(FLAGS.work_dir).resolve()))


if __name__ == "__main__":
    program.run(main)
