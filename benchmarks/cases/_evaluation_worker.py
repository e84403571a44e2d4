"""Prints the highest memory of a process that scores two candidates."""

import json
import os
import pathlib
import re
import sys

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent), str(_HERE.parents[1])]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import evaluation_input

import subjects
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.networks.supernet import Supernet


def main(kind: str, folder: pathlib.Path) -> None:
    """Scores on files that are kept somewhere, or on tensors."""
    pixels, batch = evaluation_input.PIXELS, evaluation_input.BATCH
    blueprint = subjects.blueprint_at(pixels)
    values = evaluation_input.IMAGES * pixels**2 * 3
    if kind == "tensors":
        batches = subjects.tensor_batches(folder / "tensors", pixels, batch)
        kept = values * 4
    else:
        batches = subjects.file_batches(folder, kind, pixels, batch)
        kept = values if kind == "memory" else 0
    evaluator = Evaluator(Supernet(blueprint), *batches)
    for path in subjects.random_paths(blueprint, 2):
        evaluator(path)
    print(json.dumps({"peak": _peak(), "images": kept}))


def _peak() -> int:
    """The highest resident memory of this process, bytes.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    if found is None:
        raise LookupError("This system does not tell a process's peak memory.")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
