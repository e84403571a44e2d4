r"""Runs the whole job on scikit-learn's digits, in a few minutes on a CPU.

Example:
  spos demo --work_dir=runs/demo

Trains a supernet, searches it by evolution and at random under a limit on
multiply-adds, retrains the winner, exports it and writes a report. Each step
is a command of its own, which is printed before it runs. If the demo was
stopped, start it again to resume.
"""

import dataclasses
import pathlib
import shlex
import time
from typing import Any

from spos_tf.cli import search
from spos_tf.cli.program import Command, Given, find_command, given_by
from spos_tf.options import Options, option
from spos_tf.strict_json import parse_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options(Options):
    work_dir: str = option("runs/demo", "Folder of all results.")


def _steps(work_dir: str) -> list[tuple[str, list[str]]]:
    """Commands and their flags."""

    def step(name: str, *further: str, config: bool = True) -> tuple:
        flagfile = [f"--flagfile=saved_configs/{name}/digits.flags"]
        place = f"--work_dir={work_dir}"
        return name, [*(flagfile if config else []), place, *further]

    return [
        step("train_supernet"),
        step("search", "--strategy=random", "--name=random"),
        step("search", "--strategy=evolution", "--name=evolution"),
        step("train_subnet", "--name=winner", "--search_name=evolution"),
        step("export", "--name=winner", "--dataset=digits", config=False),
        step("report", config=False),
    ]


def _json(path: pathlib.Path) -> Any:
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
            f"{best['score']:.2%}  "
            f"(best of the random search {random['score']:.2%})",
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


def main(given: Given) -> str:
    """Runs the commands one after another and prints what came out."""
    from spos_tf.jobs.search import search_supernet

    started = time.perf_counter()
    supernet = None
    work_dir = pathlib.Path(given(_Options).work_dir)
    steps = _steps(str(work_dir))
    for number, (name, typed) in enumerate(steps, 1):
        print(
            f"\n[{number}/{len(steps)}] spos {name} {shlex.join(typed)}",
            flush=True,
        )
        command = find_command(name)
        flags = given_by(command, typed)
        if name == "search":
            arguments = search.arguments(flags)
            # One object: the second search traces nothing again.
            supernet = supernet or arguments["supernet"]
            search_supernet(**{**arguments, "supernet": supernet})
        else:
            command.main(flags)
    print(f"\nDone in {time.perf_counter() - started:.0f} seconds.\n")
    print(_summary(work_dir.resolve()))
    return f"open {work_dir / 'report.html'} in a browser"


COMMAND = Command(__doc__, (_Options,), main)
