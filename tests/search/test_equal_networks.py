"""No strategy proposes one network under two encodings."""

import itertools

import numpy as np
import pytest

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.feasible import sample_feasible
from spos_tf.cost.table import cost_table
from spos_tf.options import SearchOptions
from spos_tf.search.evolution import Evolution
from spos_tf.search.generations import RandomSearch
from spos_tf.search.nsga2 import NSGA2
from spos_tf.search.steady_state import SteadyEvolution
from spos_tf.spaces import build_blueprint

BLUEPRINT = build_blueprint("nas_bench_macro", preset="demo")
SPACE = BLUEPRINT.search_space
MACS = cost_table(BLUEPRINT, "macs")
ALL = np.array(list(itertools.product(range(3), repeat=5)), np.int32)
NETWORKS = np.unique(BLUEPRINT.canonical(ALL), axis=0)


def score(encoding):
    return float(np.dot(encoding, [3, 1, 4, 1, 5]) % 7)


def generations(search):
    found = []
    while encodings := search.ask():
        search.tell(encodings, [score(one) for one in encodings])
        found += encodings
    return np.array(found)


def steadily(search):
    found = {}
    while proposals := search.ask():
        for i, encoding in proposals:
            found[i] = encoding
            search.tell(i, score(encoding))
    return np.array([found[i] for i in sorted(found)])


def test_the_space_has_networks_under_several_encodings():
    # A row of two slots in the first stage, one behind the second's first.
    assert len(NETWORKS) == 7 * 3 * 7 < SPACE.size == 243


@pytest.mark.parametrize(
    "kind",
    [
        Evolution,
        RandomSearch,
        lambda *given: NSGA2(*given[:3], cost=MACS, canonical=given[3]),
    ],
    ids=["evolution", "random", "nsga2"],
)
def test_generations_hold_every_network_once(kind):
    options = SearchOptions(population=40, generations=4)
    search = kind(SPACE, [], options, BLUEPRINT.canonical)
    found = generations(search)
    assert np.array_equal(np.unique(found, axis=0), NETWORKS)
    assert len(found) == len(NETWORKS) and search.stopped_early


def test_a_steady_search_proposes_every_network_once():
    options = SearchOptions(population=40, generations=4, asynchronous=True)
    search = SteadyEvolution(SPACE, [], options, BLUEPRINT.canonical)
    found = steadily(search)
    assert np.array_equal(np.unique(found, axis=0), NETWORKS)
    assert len(found) == len(NETWORKS) and search.stopped_early


def test_a_limit_holds_for_the_canonical_form():
    limit = Constraint(MACS, maximum=float(np.median(MACS(NETWORKS))))
    legal = NETWORKS[MACS(NETWORKS) <= limit.high]
    found = sample_feasible(
        SPACE,
        [limit],
        np.random.default_rng(0),
        len(NETWORKS),
        canonical=BLUEPRINT.canonical,
    )
    assert np.array_equal(np.unique(found, axis=0), legal)
    assert len(found) == len(legal)
