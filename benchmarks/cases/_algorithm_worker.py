"""Prints what training by an algorithm adds to the memory of tensors.

`_algorithm_worker.py ALGORITHM PIXELS BATCH`.
"""

import json
import os
import pathlib
import sys

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent), str(_HERE.parents[1])]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# The default allocator of CPU memory keeps no statistics.
os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"

import tensorflow as tf

from algorithm_steps import Rounds

_DEVICE = "CPU:0"
# Paths differ in size.
_ROUNDS = 3


def main(algorithm: str, pixels: str, batch_size: str) -> None:
    """Measures one algorithm."""
    run = Rounds(algorithm, int(pixels), int(batch_size))
    run()
    idle = tf.config.experimental.get_memory_info(_DEVICE)["current"]
    tf.config.experimental.reset_memory_stats(_DEVICE)
    for _ in range(_ROUNDS):
        run()
    peak = tf.config.experimental.get_memory_info(_DEVICE)["peak"]
    print(json.dumps({"mebibytes": (peak - idle) / 2**20}))


if __name__ == "__main__":
    main(*sys.argv[1:])
