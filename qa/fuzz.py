r"""Gives the tools thousands of spoilt files and looks at what they do.

Examples:
  python qa/fuzz.py --output=runs/fuzz.json
  python qa/fuzz.py --files=200 --seed=1
  python qa/fuzz.py --only=1234 --keep

Right files of every sort are made with the tools themselves: architecture
files, records, latency and benchmark tables, flag files, checkpoints, networks
and whole work_dirs. Each case spoils one (cut off, bits flipped, values of
other types and without end, keys twice, other encodings, pickles, zip bombs,
folders and circles of links instead of files, ...) and runs the tool that
reads it. What counts as a finding:

  - a traceback, or an exit code other than 0 and 2;
  - a run over --limit_s seconds;
  - a refusal that is not one line, or does not name the file;
  - a file written outside the work_dir (or --output);
  - an accepted file of which the tool reports something else than the file
    says: figures are counted again from the file by other means.

It prints a table in Markdown, and with --output writes it and a JSON file. A
seed gives the same files again; a finding is repeated with --only. It exits
with 1 if there is a finding.
"""

import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
from typing import Any

_HERE = pathlib.Path(__file__).resolve().parent
# So that it runs from any folder and without installing.
sys.path[:0] = [str(_HERE), str(_HERE.parent)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tqdm
from absl import app, flags

import fuzz_subjects
from fuzz_tools import REPOSITORY, Tools, snapshot

FLAGS = flags.FLAGS
flags.DEFINE_integer("files", 2000, "Spoilt files.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Decides every file.")
flags.DEFINE_integer(
    "limit_s", 120, "Seconds that a tool may take for a file.", lower_bound=1
)
flags.DEFINE_string(
    "output", None, "JSON file to write; OUTPUT.md is the table beside it."
)
flags.DEFINE_integer("only", None, "Number of the one case to run.")
flags.DEFINE_bool("keep", False, "Keep the last case's folder; print it.")
flags.DEFINE_string("group", None, "Only cases of this row of the table.")

_COLUMNS = (
    "traceback",
    "hang",
    "not one line",
    "names no file",
    "written outside",
    "wrong answer",
)


def _plan(subjects: list[fuzz_subjects.Subject]) -> list[int]:
    """The subject of every case; shares are by weight, the order is drawn."""
    rng = random.Random(f"{FLAGS.seed}/plan")
    weights = [one.weight for one in subjects]
    return rng.choices(range(len(subjects)), weights, k=FLAGS.files)


def _case(
    number: int,
    subject: fuzz_subjects.Subject,
    root: pathlib.Path,
    tools: Tools,
    others: list[bytes],
) -> dict[str, Any]:
    """Runs one case and says what came of it."""
    rng = random.Random(f"{FLAGS.seed}/{number}")
    folder = root / "case"
    shutil.rmtree(folder, ignore_errors=True)
    words = subject.place(folder, rng, others)
    spoilt = folder / subject.file
    # The tool may write the file anew.
    copy = root / "spoilt"
    copy.unlink(missing_ok=True)
    try:
        copy.write_bytes(spoilt.read_bytes())
    except OSError:
        copy.write_bytes(b"")
    own = [
        folder / "runs",
        folder / "out.npz",
        root / "stdout",
        root / "stderr",
    ]
    before = snapshot(root, without=own)
    ran = tools(subject.tool, *subject.arguments, folder=folder)
    after = snapshot(root, without=own)
    result: dict[str, Any] = {
        "number": number,
        "group": subject.group,
        "file": subject.file,
        "mutation": words,
        "code": ran.code,
        "seconds": round(ran.seconds, 2),
        "finding": None,
    }
    # The file, or the folder of its run.
    parents = pathlib.PurePath(subject.file).parents
    names = [str(one) for one in parents if len(one.parts) >= 3]
    wrong = ran.misbehaved([spoilt.name, *names])
    if wrong is None and subject.accepts and ran.refused:
        wrong = f"traceback: a report is always made; {ran.refusal()[:300]}"
    if before != after:
        odd = sorted(
            path
            for path in {*before, *after}
            if before.get(path) != after.get(path)
        )
        wrong = f"written outside: {odd[:3]}"
    if wrong is None and ran.code == 0:
        wrong = _ask(subject, ran, folder)
    result["finding"] = wrong
    if wrong:
        result["stderr"] = ran.stderr[-1500:]
    return result


def _ask(subject: fuzz_subjects.Subject, ran: Any, folder: pathlib.Path):
    try:
        wrong = subject.oracle(ran, folder, subject.base)
    # A file that plain libraries cannot read, and the tool accepted.
    except Exception as error:
        wrong = f"accepted, and read otherwise it is {error!r}"[:400]
    return wrong and f"wrong answer: {wrong}"


def _table(results: list[dict[str, Any]]) -> str:
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in results:
        groups.setdefault(one["group"], []).append(one)
    groups["all"] = results
    heading = ("files", "refused", "accepted", *_COLUMNS)
    lines = [
        f"| kind | {' | '.join(heading)} |",
        f"|---|{'---:|' * len(heading)}",
    ]
    for name, some in groups.items():
        kinds = collections.Counter(
            one["finding"].partition(":")[0] for one in some if one["finding"]
        )
        counts = [
            len(some),
            sum(one["code"] == 2 for one in some),
            sum(one["code"] == 0 for one in some),
            *(kinds[column] for column in _COLUMNS),
        ]
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Runs all cases and says what was found."""
    del argv
    root = pathlib.Path(tempfile.mkdtemp(prefix="fuzz-"))
    start = time.time()
    repository = snapshot(REPOSITORY, without=[])
    tools = Tools(root, FLAGS.limit_s)
    try:
        right = fuzz_subjects.prepare(root, tools)
        subjects = fuzz_subjects.subjects(right)
        others = fuzz_subjects.right_contents(subjects)
        plan = [
            (number, subjects[index])
            for number, index in enumerate(_plan(subjects))
            if FLAGS.only in (None, number)
            and FLAGS.group in (None, subjects[index].group)
        ]
        results = []
        # Ctrl-C ends it early: what was run is told.
        with contextlib.suppress(KeyboardInterrupt):
            for number, subject in tqdm.tqdm(plan, unit="file"):
                one = _case(number, subject, root, tools, others)
                results.append(one)
                if one["finding"]:
                    tqdm.tqdm.write(json.dumps(one, indent=1))
    finally:
        tools.close()
        if FLAGS.keep:
            print(f"The last case is in {root / 'case'}.")
        else:
            shutil.rmtree(root)
    if not results:
        raise SystemExit("No case was run.")
    findings = [one for one in results if one["finding"]]
    table = _table(results)
    print(table)
    slowest = max(one["seconds"] for one in results)
    print(f"\nSeed {FLAGS.seed}; the longest case took {slowest:.1f} s.")
    if snapshot(REPOSITORY, without=[]) != repository:
        print("Files of the repository changed meanwhile.")
    if FLAGS.output:
        output = pathlib.Path(FLAGS.output)
        data = {
            "seed": FLAGS.seed,
            "files": len(results),
            "limit_s": FLAGS.limit_s,
            "seconds": round(time.time() - start),
            "slowest_s": slowest,
            "findings": findings,
            "results": results,
        }
        output.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
        output.with_name(f"{output.name}.md").write_text(table + "\n", "utf-8")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    app.run(main)
