r"""Measures one thing the project promises, as a ratio against a reference.

Example:
  python benchmarks/run.py step
  python benchmarks/run.py score --format=json
  python benchmarks/run.py all

Names are the files of benchmarks/cases/; each says what it compares. Figures
are medians of pairs A B A B in one process where possible, with quartiles.
Nothing else may run on the machine meanwhile: absolute times mean little, and
under load even ratios do. docs/performance.md has the last results.
"""

import importlib
import json
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from absl import app, flags

if TYPE_CHECKING:
    import measuring

_HERE = pathlib.Path(__file__).resolve().parent
# So that it runs from any folder and without installing.
sys.path[:0] = [str(_HERE), str(_HERE.parent)]

NAMES = sorted(
    path.stem
    for path in (_HERE / "cases").glob("*.py")
    if not path.stem.startswith("_")
)

FLAGS = flags.FLAGS
flags.DEFINE_enum("format", "text", ["text", "json"], "What is printed.")
flags.DEFINE_string(
    "data_dir",
    None,
    "Where CIFAR-10 is prepared for TFDS; ../shared/data if that exists.",
)
flags.DEFINE_string(
    "torch_python",
    None,
    "A Python with torch 2.13.0, for `peer`; .venv-torch/bin/python (which "
    "`make torch-env` makes) or this one if unset.",
)


def _print_case(name: str, case: "measuring.Case") -> None:
    spread = f"{case.low:g} to {case.high:g}"
    verdict = {True: "met", False: "NOT MET", None: "reported"}[case.met]
    mark = "" if case.mark is None else f", mark {case.mark:g}"
    note = f"  {case.note}" if case.note else ""
    unit = "" if case.unit == "ratio" else f" {case.unit}"
    print(
        f"{name} {case.case}: {case.value:g}{unit} ({spread}{mark}, "
        f"{verdict}){note}",
        flush=True,
    )


def _measure(name: str) -> None:
    """Measures one; as text each case is printed once it is there."""
    as_text = FLAGS.format == "text"
    result: dict[str, Any] = {"benchmark": name, "cases": []}
    try:
        for case in importlib.import_module(f"cases.{name}").measure():
            result["cases"].append(case.as_json())
            if as_text:
                _print_case(name, case)
    except LookupError as reason:
        result["skipped"] = str(reason.args[0])
        if as_text:
            print(f"{name}: skipped. {result['skipped']}")
    if not as_text:
        print(json.dumps(result), flush=True)


def main(argv: list[str]) -> None:
    """Runs the benchmarks that are named."""
    asked = NAMES if argv[1:] == ["all"] else argv[1:]
    unknown = [name for name in asked if name not in NAMES]
    if not asked or unknown:
        what = f"There is no benchmark {unknown[0]!r}. " if unknown else ""
        print(
            f"{what}Name one of: {', '.join(NAMES)}, or all.", file=sys.stderr
        )
        sys.exit(2)
    for name in asked:
        _measure(name)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main)
