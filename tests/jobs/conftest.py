"""A supernet as a training leaves it, and images that it was not trained on."""

import numpy as np
import pytest

from spos_tf.data.examples import Split
from spos_tf.data.splits import fingerprint
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.supernet import Supernet
from spos_tf.spaces import build_blueprint


def images(count, seed):
    """(images, labels) that are random."""
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, [count, 8, 8, 3], dtype=np.uint8),
        rng.integers(0, 10, count, dtype=np.int32),
    )


VALIDATION, RECALIBRATION = images(61, 1), images(40, 2)
GIVEN = {"validation": VALIDATION, "recalibration": RECALIBRATION}


@pytest.fixture(scope="session")
def blueprint():
    return build_blueprint(
        "shufflenet_blocks",
        preset="demo",
        stage_widths=[12, 16],
        stage_repeats=[1, 2],
        last_width=16,
    )


@pytest.fixture(scope="session")
def supernet(blueprint):
    """Weights that nobody trained will do."""
    weights = {
        name: variable.numpy()
        for name, variable in Supernet(
            blueprint, seed=2
        ).named_variables.items()
    }
    description = {
        "kind": "supernet",
        "holdout_per_class": 0,
        "search_split": fingerprint(Split(*VALIDATION, "pixels")),
    }
    return TrainedSupernet(blueprint, weights, description, step=5)
