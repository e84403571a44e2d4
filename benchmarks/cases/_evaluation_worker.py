"""Prints the highest memory of a process that scores two candidates."""

import json
import os
import pathlib
import resource
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak": peak, "images": kept}))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
