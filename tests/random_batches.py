"""Batches of noise for evaluators."""

from collections.abc import Sequence

import numpy as np


def random_batches(sizes: Sequence[int], seed: int = 0) -> list:
    """Pairs of float32 images `[size, 8, 8, 3]` and int32 labels `[size]`."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    return [
        (
            tf.constant(rng.uniform(0, 255, (size, 8, 8, 3)), tf.float32),
            tf.constant(rng.integers(0, 10, size), tf.int32),
        )
        for size in sizes
    ]
