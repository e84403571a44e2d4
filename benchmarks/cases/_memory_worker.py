"""Prints what a training step adds to the memory of tensors."""

import json
import os
import pathlib
import sys

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent), str(_HERE.parents[1])]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# The default allocator of CPU memory keeps no statistics.
os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"

import numpy as np
import tensorflow as tf

import subjects
from spos_tf.networks.supernet import Supernet

_SIZE, _BATCH, _STEPS = 224, 16, 3
_DEVICE = "CPU:0"


def _step(kind: str):
    blueprint = subjects.blueprint_at(_SIZE)
    batch = subjects.random_batch(_SIZE, _BATCH)
    path = subjects.random_paths(blueprint, 1)[0]
    if kind == "standalone":
        run = subjects.subnet_step(blueprint, path, _BATCH)
        return lambda: run(batch)
    supernet = Supernet(blueprint)
    if kind == "single":
        step = subjects.SupernetStep(supernet, _BATCH)
        return lambda: step(batch, path)
    options = blueprint.search_space.num_options
    weights = np.zeros((len(options), options.max()), np.float32)
    for row, first in zip(weights, path, strict=True):
        chosen = range(4) if kind == "all" else (first, (first + 1) % 4)
        row[list(chosen)] = 1 / len(chosen)
    weighted = subjects.SupernetStep(supernet, _BATCH, weighted=True)
    return lambda: weighted(batch, weights)


def main(kind: str) -> None:
    """Measures one kind of step."""
    step = _step(kind)
    for _ in range(2):
        step()
    idle = tf.config.experimental.get_memory_info(_DEVICE)["current"]
    tf.config.experimental.reset_memory_stats(_DEVICE)
    for _ in range(_STEPS):
        step()
    peak = tf.config.experimental.get_memory_info(_DEVICE)["peak"]
    print(json.dumps({"mebibytes": (peak - idle) / 2**20}))


if __name__ == "__main__":
    main(sys.argv[1])
