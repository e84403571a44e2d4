"""Every registered space at its smallest legal arguments.

A new space needs an entry in `SMALLEST`; all tests here then run over it.
"""

import numpy as np
import pytest

from spos_tf.cost.table import cost_table

# Without dropout: it is random in a stand-alone network's training mode.
_SHUFFLENET = {
    "preset": "demo",
    "stem_width": 8,
    "stage_widths": [12, 16],
    "stage_strides": [1, 2],
    "stage_repeats": [1, 2],
    "last_width": 16,
    "dropout": 0.0,
}
# One block that halves the image and one that may be skipped.
_MOBILE = {
    "preset": "demo",
    "stage_widths": [12],
    "stage_repeats": [2],
    "stage_strides": [2],
    "last_width": 16,
    "dropout": 0.0,
}
_RESNET = {
    "preset": "demo",
    "stage_widths": [8, 12],
    "stage_repeats": [1, 1],
}
_CELLS = {
    "preset": "demo",
    "stage_widths": [8, 12],
}
_CHANNELS = {
    "preset": "demo",
    "stem_width": 8,
    "stage_widths": [8, 12],
    "expansion": 2,
    "last_width": 16,
}
SMALLEST = {
    "channel_bench_macro": _CHANNELS,
    "fbnet": _MOBILE,
    "nas_bench_macro": _MOBILE,
    "nasbench201": _CELLS,
    "nasbench201_reduce1": _CELLS,
    "nasbench201_reduce2": _CELLS,
    "nasbench201_reduce3": _CELLS,
    "proxyless_cpu": _MOBILE,
    "proxyless_default": _MOBILE,
    "proxyless_gpu": _MOBILE,
    "proxyless_mobile": _MOBILE,
    "resnet18_bits": _RESNET,
    "resnet34_bits": _RESNET,
    "shufflenet_blocks": _SHUFFLENET,
    "shufflenet_channels": _SHUFFLENET,
    "shufflenet_joint": _SHUFFLENET,
}


def _smallest(name):
    if name not in SMALLEST:
        pytest.fail(
            f"Search space {name!r} has no smallest arguments: add them to "
            "SMALLEST in tests/conformance/conftest.py."
        )
    return SMALLEST[name]


def _distinct():
    """Names of all spaces, without those that are others under a new name.

    Spaces that differ in widths alone are one space at their smallest.
    """
    from spos_tf.spaces import build_blueprint, space_names

    found = {}
    for name in space_names():
        if name not in SMALLEST:
            found[name] = name  # Its tests fail and say so.
            continue
        blueprint = build_blueprint(name, **SMALLEST[name])
        space = blueprint.search_space
        found.setdefault(
            (blueprint.segments, space.choices, space.legal_options), name
        )
    return list(found.values())


def pytest_generate_tests(metafunc):
    if "space_name" in metafunc.fixturenames:
        metafunc.parametrize("space_name", _distinct(), scope="module")


@pytest.fixture(scope="session")
def smallest():
    """From a space's name to its smallest arguments."""
    return _smallest


@pytest.fixture(scope="module")
def blueprint(space_name, smallest):
    from spos_tf.spaces import build_blueprint

    return build_blueprint(space_name, **smallest(space_name))


@pytest.fixture(scope="module")
def supernet(blueprint):
    from spos_tf.networks.supernet import Supernet

    return Supernet(blueprint, seed=3)


@pytest.fixture(scope="module")
def batches(blueprint):
    """Three batches (images, labels) that no batch norm finds alike."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = (16, *blueprint.input_shape)
    return [
        (
            tf.constant(rng.uniform(0, high, shape), tf.float32),
            tf.constant(rng.integers(0, blueprint.num_classes, 16), tf.int32),
        )
        for high in (255, 200, 150)
    ]


@pytest.fixture(scope="module")
def covering(blueprint):
    """Encodings that together hold every option of every choice."""
    space = blueprint.search_space
    choices = np.arange(space.num_choices)
    return [
        space.legal_table[choices, (index + choices) % space.num_legal]
        for index in range(space.num_legal.max())
    ]


@pytest.fixture(scope="module")
def telling(blueprint, covering):
    """Encodings every choice of which decides what comes out.

    In a chain that is so of all; in a cell an edge is idle where nothing
    leads to it or on from it, which is not so where all have weights.
    """
    if blueprint.is_chain:
        return covering
    params = cost_table(blueprint, "params")
    assert not any(segment.elastic for segment in blueprint.segments)
    return [params.table.argmax(axis=1).astype(np.int32)]


@pytest.fixture(scope="module")
def evaluator(supernet, batches):
    from spos_tf.evaluation.evaluator import Evaluator

    return Evaluator(supernet, batches, batches)
