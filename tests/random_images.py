"""Random images as a job is given them."""

import numpy as np


def images(count, seed):
    """(images, labels) that are random."""
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, [count, 8, 8, 3], dtype=np.uint8),
        rng.integers(0, 10, count, dtype=np.int32),
    )


VALIDATION, RECALIBRATION = images(61, 1), images(40, 2)
GIVEN = {"validation": VALIDATION, "recalibration": RECALIBRATION}
