"""Streams of a run: no two are the same."""

import itertools

import numpy as np
import tensorflow as tf

from spos_tf.ops.selection import BranchWeights
from spos_tf.randomness import Purpose, derive_seed, generator
from spos_tf.space import Choice, SearchSpace
from spos_tf.training.architecture_parameters import ArchitectureParameters
from spos_tf.training.connected_sampler import ConnectedSampler
from spos_tf.training.gumbel import GumbelSoftmax
from spos_tf.training.path_dropout import PathDropoutSampler
from spos_tf.training.samplers import StrictFairnessSampler, UniformSampler
from spos_tf.training.two_path import TwoPath

SEEDS = range(4)
SPACE = SearchSpace(
    "twelve", tuple(Choice(f"block{i}.op", tuple(range(7))) for i in range(12))
)


def test_seeds_purposes_and_indexes_share_no_stream():
    seeds = {
        derive_seed(seed, purpose, index)
        for seed, purpose, index in itertools.product(SEEDS, Purpose, range(5))
    }
    assert len(seeds) == len(SEEDS) * len(Purpose) * 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seed_gives_the_same_everywhere():
    assert derive_seed(1, Purpose.PATH) == 4906372648440256490
    assert derive_seed(np.int64(1), Purpose.PATH) == 4906372648440256490
    draws = [generator(3, Purpose.ANCHORS).random(4) for _ in range(2)]
    np.testing.assert_array_equal(*draws)


def _paths():
    """By seed and stream the int32 `[steps, 12]` that it draws."""
    parameters = ArchitectureParameters(SPACE)
    steps = tf.range(6, dtype=tf.int64)
    drawn = {}
    for seed in SEEDS:
        gumbel = GumbelSoftmax(parameters, steps=6, seed=seed)
        two = TwoPath(parameters, seed=seed)
        streams = {
            "uniform": UniformSampler(SPACE, seed=seed),
            "fair": StrictFairnessSampler(SPACE, seed=seed),
            "connected": ConnectedSampler(SPACE, [], seed=seed),
            "dropout": PathDropoutSampler(SPACE, 0.0, steps=6, seed=seed),
            "gumbel": gumbel,
            "two_path": two,
        }
        options = {
            name: [_options(sampler(step)[0]) for step in steps]
            for name, sampler in streams.items()
        }
        for name, one in (("gumbel_own", gumbel), ("two_path_own", two)):
            options[name] = [
                _options(one.architecture_draw(step).selection)
                for step in steps
            ]
        drawn.update({(seed, k): np.array(v) for k, v in options.items()})
    return drawn


def _options(drawn):
    """What runs, int `[12]`; of several branches the one of most weight."""
    if isinstance(drawn, BranchWeights):
        return np.asarray(drawn.weights).argmax(axis=1)
    return np.asarray(drawn.options)


def test_no_stream_of_a_seed_is_one_of_another_seed():
    drawn = _paths()
    for (name, one), (other, two) in itertools.combinations(drawn.items(), 2):
        # Of 72 draws from seven options 10 agree by chance, 30 never do.
        assert (one == two).sum() < 30, (name, other)
