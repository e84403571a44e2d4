"""A supernet as a training leaves it, and images that it was not trained on."""

import pytest

from random_images import VALIDATION
from spos_tf.data.examples import Split
from spos_tf.data.splits import fingerprint
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.supernet import Supernet
from tiny_blueprint import tiny_blueprint


@pytest.fixture(scope="session")
def blueprint():
    return tiny_blueprint()


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
