"""Every random stream of a run, by its purpose.

Nothing keeps a generator between two steps: what is drawn is a function of the
run's seed, the purpose, and a position (a step, a sample, a replica). Streams
are told apart by a hash, so that neither two purposes of a seed nor two seeds
share one: seeds 0, 1 and 2 are independent repeats.
"""

import enum
import hashlib

import numpy as np


@enum.unique
class Purpose(enum.IntEnum):
    """What draws are for. The numbers are part of what a seed gives."""

    # Images: counters below one key of the seed, see `data.randomness`.
    BATCH_ORDER = 0
    AUGMENTATION = 1
    WINDOW_OFFSET = 2
    WINDOW_ORDER = 3
    # Paths of the steps.
    PATH = 4
    COST_RANGE = 5
    # For the constraint sampler at set-up: percentiles of random paths, legal
    # paths that say which ranges can be reached, and a path of every range.
    RANGE_PERCENTILES = 6
    RANGE_PATHS = 7
    RANGE_FALLBACKS = 8
    FAIR_PATH = 9
    CONNECTED_PATH = 10
    PATH_DROPOUT = 11
    # Architecture parameters: noise of the weights' step, and of their own.
    GUMBEL_WEIGHTS = 12
    GUMBEL_ARCHITECTURE = 13
    TWO_PATH_WEIGHTS = 14
    TWO_PATH_PAIR = 15
    TWO_PATH_GATE = 16
    # By replica; then by branch and operation, see `ops.tensor_ops`.
    DROPOUT = 17
    # Which paths a validation scores, and which networks calibrate a score.
    VALIDATION_PATHS = 18
    ANCHORS = 19
    # Which images are scored.
    SCORED_IMAGES = 21
    # Which half of the search images an image is in.
    HALVES = 23
    # Random networks beside a winner, and the bootstrap of their difference.
    CONFIRMATION = 24
    CONFIRMATION_RESAMPLES = 25


def derive_seed(seed: int, purpose: Purpose, index: int = 0) -> int:
    """The seed of one stream.

    Args:
        seed: The run's.
        purpose: What the draws are for.
        index: Which of several streams of the purpose, such as the replica.

    Returns:
        An integer in [0, 2^63), which is what an int64 holds.

    >>> derive_seed(0, Purpose.PATH) == derive_seed(1, Purpose.PATH)
    False
    """
    text = f"{int(seed)}/{int(purpose)}/{int(index)}".encode()
    digest = hashlib.blake2b(text, digest_size=8, person=b"spos_tf").digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, purpose: Purpose) -> np.random.Generator:
    """NumPy's generator of one stream; see `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, purpose))
