"""Scorers: whoever scores, and in whatever order, the scores are the same."""

import collections

import keras
import numpy as np
import pytest

from random_batches import random_batches
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.halves import HalvedMetric
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.memo import ScoreMemo
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.evaluation.ray_pool import ChunkResult
from spos_tf.evaluation.scorer import (
    ChunkScorer,
    LocalScorer,
    RayScorer,
    Remembered,
    Score,
)
from spos_tf.evaluation.tree import computed_share
from spos_tf.evaluation.tree_evaluator import TreeEvaluator
from spos_tf.networks.supernet import Supernet
from tiny_blueprint import tiny_blueprint

CANDIDATES = [(0, 0, 0), (2, 1, 3), (0, 0, 2), (2, 1, 0), (0, 3, 0), (1, 1, 1)]


def formula(candidate):
    return float(np.sin(np.array(candidate) @ [1, 2, 3]))


def together(candidates):
    return [formula(one) for one in candidates]


class Pool:
    """Workers of which the last one asked is done first."""

    workers = 2

    def __init__(self):
        self.chunks = []

    @property
    def outstanding(self):
        return len(self.chunks)

    def submit(self, chunk):
        self.chunks.append(chunk)

    def take(self):
        chunk = self.chunks.pop()
        scores = [formula(one) for one in chunk.encodings]
        return ChunkResult(chunk, scores, 3.0, "host:1")


SCORERS = {
    "local": lambda: LocalScorer(formula),
    "tree": lambda: ChunkScorer(together, tuple, 0),
    "chunks": lambda: ChunkScorer(together, chunk_size=4),
    "tree in chunks": lambda: ChunkScorer(together, tuple, 2),
    "workers": lambda: RayScorer(Pool()),
    "workers with chunks": lambda: RayScorer(Pool(), chunk_size=4),
    "workers that decode anew": lambda: RayScorer(Pool(), together=2),
    "workers with trees": lambda: RayScorer(Pool(), tuple),
}


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("remembered", [False, True])
def test_every_candidate_is_scored_once(tmp_path, name, remembered):
    scorer = SCORERS[name]()
    if remembered:
        memo = ScoreMemo(tmp_path / "scores.jsonl", "accuracy")
        memo.put(CANDIDATES[3], Measured(0.75, (0.5, 1.0)))
        scorer = Remembered(scorer, memo)
    expected = {one: formula(one) for one in CANDIDATES}
    if remembered:
        expected[CANDIDATES[3]] = 0.75
    first = scorer.submit(CANDIDATES[:4])
    second = scorer.submit(CANDIDATES[4:])
    results = list(scorer.results())
    assert {one.position: one.score for one in results} == {
        position: expected[candidate]
        for position, candidate in zip(first + second, CANDIDATES, strict=True)
    }
    assert len(results) == len(CANDIDATES)
    assert list(scorer.results()) == []
    if remembered:
        (known,) = [one for one in results if one.worker == "memo"]
        assert known.halves == (0.5, 1.0)


@pytest.mark.parametrize("name", SCORERS)
def test_candidates_may_come_while_results_are_taken(name):
    scorer = SCORERS[name]()
    scorer.submit(CANDIDATES[:3])
    found = [next(scorer.results())]
    scorer.submit(CANDIDATES[3:4])
    for result in scorer.results():
        found.append(result)
        if len(found) == 3:
            scorer.submit(CANDIDATES[4:])
    assert sorted(one.position for one in found) == [*range(6)]
    assert {one.position: one.score for one in found} == dict(
        enumerate(map(formula, CANDIDATES))
    )


def test_a_chunk_is_in_the_memo_before_its_first_score_is_used(tmp_path):
    path = tmp_path / "scores.jsonl"
    scorer = Remembered(
        ChunkScorer(together, tuple, 3), ScoreMemo(path, "sine", "w")
    )
    scorer.submit(CANDIDATES)
    results = scorer.results()
    next(results)
    # The run is killed here.
    again = ScoreMemo(path, "sine", "w")
    known = [one for one in CANDIDATES if again.get(one) is not None]
    assert len(known) == 3
    asked = []

    def counted(candidate):
        asked.append(candidate)
        return formula(candidate)

    rest = Remembered(LocalScorer(counted), again)
    rest.submit(CANDIDATES)
    assert len(list(rest.results())) == 6
    assert sorted([*asked, *known]) == sorted(CANDIDATES)


def test_results_tell_who_and_what_was_shared():
    local = LocalScorer(formula)
    local.submit(CANDIDATES[:1])
    (one,) = local.results()
    assert one == Score(0, formula(CANDIDATES[0]), one.seconds)
    assert one.worker == "local" and one.computed == 1 and one.seconds > 0
    tree = ChunkScorer(together, tuple, 0)
    tree.submit(CANDIDATES)
    assert {one.computed for one in tree.results()} == {
        computed_share(CANDIDATES)
    }
    workers = RayScorer(Pool(), chunk_size=4)
    workers.submit(CANDIDATES[:4])
    assert [(one.worker, one.seconds) for one in workers.results()] == [
        ("host:1", 0.75)
    ] * 4


def test_workers_get_one_candidate_or_a_share_of_the_tree():
    sizes = {}
    for name in SCORERS:
        if name.startswith("workers"):
            scorer = SCORERS[name]()
            scorer.submit(CANDIDATES)
            sizes[name] = [len(one.keys) for one in scorer._pool.chunks]
    assert sizes == {
        "workers": [1] * 6,
        "workers with chunks": [4, 2],
        "workers that decode anew": [2, 2, 2],
        "workers with trees": [3, 3],
    }


@pytest.mark.parametrize(
    "metric",
    [
        None,
        keras.metrics.SparseCategoricalCrossentropy(from_logits=True),
        keras.metrics.AUC(),
    ],
)
def test_a_tree_scores_by_a_metric_like_single_paths(metric):
    """Bit for bit, in any order and with any company."""
    blueprint = tiny_blueprint()
    supernet = Supernet(blueprint, seed=2)
    batches = random_batches([15, 7]), random_batches([32, 17], seed=1)
    measure = ScoreMetric.make(metric, num_classes=blueprint.num_classes)
    halved = HalvedMetric(measure, seed=1)
    single = Evaluator(supernet, *batches, halved)
    tree = TreeEvaluator(supernet, *batches, halved)
    scorers = [
        LocalScorer(single),
        ChunkScorer(tree, blueprint.settings, 4),
        ChunkScorer(single.together, chunk_size=4),
    ]
    orders = (CANDIDATES, CANDIDATES[::-1], CANDIDATES[2:] + CANDIDATES[:2])
    found = collections.defaultdict(set)
    for scorer, order in zip(scorers, orders, strict=True):
        scorer.submit(order)
        for result in scorer.results():
            assert len(result.halves) == 2
            found[order[result.position]].add(result.measured)
    assert {len(scores) for scores in found.values()} == {1}
    # What is scored is no other for the halves.
    plain = Evaluator(supernet, *batches, measure)
    (known,) = found[CANDIDATES[1]]
    assert plain(CANDIDATES[1]) == known.score
    assert len(set.union(*found.values())) > 3
