"""The prefix tree of a generation."""

import gc
import itertools
import math
import weakref

import hypothesis
import pytest
from hypothesis import strategies as st

from spos_tf.evaluation.tree import (
    can_share,
    chunks,
    computed_share,
    prefixes,
    walk,
)

GENERATIONS = st.integers(1, 6).flatmap(
    lambda depth: st.lists(
        st.tuples(*[st.integers(0, 2)] * depth), min_size=1, max_size=20
    )
)
given = hypothesis.given(GENERATIONS)


def begins(prefix, path):
    return path[: len(prefix)] == prefix


@given
def test_nodes_are_the_distinct_prefixes(paths):
    nodes = prefixes(paths)
    assert len(nodes) == len(set(nodes))
    for path in paths:
        assert [n for n in nodes if begins(n, path)] == [
            path[:end] for end in range(1, len(path) + 1)
        ]
    for node in nodes:
        assert node and any(begins(node, path) for path in paths)


@given
def test_nodes_are_in_depth_first_order(paths):
    """A parent is before its children; a subtree is one run of nodes."""
    nodes = prefixes(paths)
    for index, node in enumerate(nodes):
        below = [i for i, other in enumerate(nodes) if begins(node, other)]
        assert below == list(range(index, index + len(below)))


class Output:
    """An activation: what it was computed along."""

    def __init__(self, prefix):
        self.prefix = prefix


@given
def test_a_walk_computes_each_node_once_from_its_parent(paths):
    nodes, computed = prefixes(paths), []

    def step(node, x):
        assert x.prefix == node[:-1]
        computed.append(node)
        return Output(node)

    walk(nodes, Output(()), step)
    assert computed == nodes


@given
def test_a_walk_holds_the_outputs_of_one_path(paths):
    alive = weakref.WeakSet()
    most = 0

    def step(node, x):
        nonlocal most
        # Of other subtrees nothing is left while a node is computed.
        assert {one.prefix for one in alive} == {
            node[:end] for end in range(len(node))
        }
        output = Output(node)
        alive.add(output)
        most = max(most, len(alive))
        return output

    root = Output(())
    alive.add(root)
    gc.disable()
    try:
        walk(prefixes(paths), root, step)
    finally:
        gc.enable()
    assert most == len(paths[0]) + 1
    assert list(alive) == [root]


@hypothesis.given(GENERATIONS, st.integers(0, 25))
def test_chunks_are_runs_of_the_sorted_generation(paths, size):
    pieces = chunks(paths, size)
    positions = [position for piece in pieces for position in piece]
    assert sorted(positions) == list(range(len(paths)))
    assert len(pieces) == (math.ceil(len(paths) / size) if size else 1)
    assert all(0 < len(piece) <= (size or len(paths)) for piece in pieces)
    # In the order of proposal within a piece, of prefixes from one to the
    # next: no path of another piece lies between two of one.
    assert all(piece == sorted(piece) for piece in pieces)
    for piece, following in itertools.pairwise(pieces):
        assert max(paths[i] for i in piece) <= min(paths[i] for i in following)


def test_an_empty_generation():
    assert prefixes([]) == []
    assert chunks([], 0) == chunks([], 3) == []
    walk([], None, lambda node, x: pytest.fail("There is nothing to compute."))


@given
def test_the_share_is_of_nodes_in_segments(paths):
    share = computed_share(paths)
    assert share == len(prefixes(paths)) / (len(paths) * len(paths[0]))
    assert computed_share(paths + paths) == share / 2
    assert computed_share(paths[:1]) == 1


@pytest.mark.parametrize(
    "reads, expected",
    [
        ([(), (0,), (1,)], True),
        ([(0,), (1,), ()], True),
        ([(), (0, 1)], True),
        ([(0,), (), (0,)], False),
        ([(0, 1), (1,)], False),
        ([(0,), (0, 1)], True),
    ],
)
def test_paths_can_share_unless_the_first_segment_reads_every_choice(
    reads, expected
):
    assert can_share(reads) is expected
