import dataclasses
import json

import numpy as np
import pytest

from spos_tf.cost.constraint import Constraint, all_allow
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.evaluation.scorer import LocalScorer
from spos_tf.options import SearchOptions
from spos_tf.search.driver import run_search
from spos_tf.search.evolution import Evolution
from spos_tf.search.nsga2 import NSGA2
from spos_tf.space import Architecture
from spos_tf.space.candidate import Candidate
from spos_tf.space.front import front_of, write_front
from spos_tf.space.record import Record, read_record
from spos_tf.spaces import build_blueprint

PAPER = build_blueprint("shufflenet_blocks")
SPACE = PAPER.search_space
MACS = cost_table(PAPER, "macs")
LIMIT = Constraint(MACS, None, 330e6)
GAINS = np.random.default_rng(7).uniform(0, 0.05, size=(20, 4))


def accuracies(encodings):
    return GAINS[np.arange(20), np.asarray(encodings)].sum(axis=1)


def search(space=SPACE, constraints=(LIMIT,), cost=MACS, **options):
    numbers = {"population": 20, "generations": 6, **options}
    return NSGA2(space, list(constraints), SearchOptions(**numbers), cost=cost)


def run(one, score=accuracies):
    generations = []
    while encodings := one.ask():
        generations.append(np.array(encodings))
        one.tell(encodings, score(encodings))
    return generations


def keys(encodings):
    return [tuple(row) for row in np.asarray(encodings).tolist()]


def test_proposals_are_distinct_and_legal():
    one = search()
    generations = run(one)
    assert [len(part) for part in generations] == [20] * 6
    proposed = np.concatenate(generations)
    assert len(set(keys(proposed))) == 120
    assert all_allow([LIMIT], proposed).all()
    assert one.ask() == [] and one.stopped_early == ""


def test_only_pinned_options_are_proposed():
    pinned = PAPER.pinned({"stage1.block1.op": "7x7"}).search_space
    proposed = np.concatenate(run(search(space=pinned, constraints=())))
    assert (proposed[:, 0] == 2).all()
    assert len(np.unique(proposed[:, 1])) == 4


def test_a_seed_and_accuracies_decide_and_asking_twice_changes_nothing():
    first, second = search(seed=3), search(seed=3)
    while encodings := first.ask():
        assert keys(second.ask()) == keys(second.ask()) == keys(encodings)
        for one in (first, second):
            one.tell(encodings, accuracies(encodings))
    assert second.ask() == []
    assert keys(search(seed=4).ask()) != keys(search(seed=3).ask())


def test_with_one_seed_all_strategies_start_level():
    evolution = Evolution(SPACE, [LIMIT], SearchOptions(population=20, seed=5))
    assert keys(search(seed=5).ask()) == keys(evolution.ask())


def test_the_front_is_better_than_that_of_as_many_random_ones():
    one = search(constraints=(), population=40, generations=15)
    proposed = np.concatenate(run(one))
    random = SPACE.sample(np.random.default_rng(0), len(proposed))

    def volume(encodings):
        """Mean over the range of costs of the best accuracy up to there."""
        costs, scores = MACS(encodings), accuracies(encodings)
        grid = np.linspace(300e6, 450e6, 100)
        return np.mean(
            [scores[costs <= c].max(initial=0) for c in grid.tolist()]
        )

    assert volume(proposed) > volume(random) + 0.03


def test_an_exhausted_space_is_proposed_once():
    demo = build_blueprint("shufflenet_blocks", preset="demo")
    pins = {f"stage{s}.block1.op": "3x3" for s in (1, 2)}
    small = demo.pinned(pins)
    one = search(
        space=small.search_space,
        constraints=(),
        cost=cost_table(small, "macs"),
        population=10,
        generations=50,
    )
    proposed = np.concatenate(
        run(one, lambda encodings: [0.5] * len(encodings))
    )
    assert len(set(keys(proposed))) == len(proposed) == small.search_space.size
    assert "Found no more" in one.stopped_early


@pytest.mark.parametrize("kept", [7, 30, 47])
def test_a_record_cut_anywhere_goes_on_the_same(tmp_path, kept):
    def go(path):
        return run_search(
            search(generations=3),
            LocalScorer(lambda one: accuracies([one])[0]),
            cost_functions={"macs": MACS},
            record=Record.open(path),
        )

    whole = tmp_path / "whole.jsonl"
    best = go(whole)
    lines = whole.read_text("utf-8").splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(lines[:kept]), "utf-8")
    assert go(cut).encoding == best.encoding
    one, other = (
        [
            dataclasses.replace(c, time=0.0, seconds=0.0)
            for c in read_record(path)
        ]
        for path in (whole, cut)
    )
    assert one == other and len(one) == 60


def candidate(i, macs, accuracy):
    return Candidate(
        i,
        0,
        (i,),
        {"op": i},
        {"macs": macs},
        accuracy,
        "accuracy",
        "max",
        0.0,
        "",
        0.0,
    )


def test_the_front_leaves_out_whatever_is_beaten(tmp_path):
    given = [
        candidate(0, 5, 0.9),
        candidate(1, 3, 0.5),
        candidate(2, 3, 0.4),
        candidate(3, 4, 0.5),
        candidate(4, 6, 0.9),
        candidate(5, 5, 0.9),
        candidate(6, 1, 0.1),
    ]
    front = front_of(given, "macs")
    assert [one.i for one in front] == [6, 1, 0]
    path = tmp_path / "front.json"
    write_front(
        path, front, "macs", lambda key: Architecture("a", {}, {"op": key[0]})
    )
    data = json.loads(path.read_text("utf-8"))
    assert data["objectives"] == ["accuracy", "macs"]
    assert [one["i"] for one in data["candidates"]] == [6, 1, 0]
    entry = data["candidates"][0]
    assert Architecture.from_dict(entry, source="it").choices == {"op": 6}


def test_bad_numbers_are_refused():
    with pytest.raises(UserError, match="mutation_probability"):
        SearchOptions(mutation_probability=0.0)
    with pytest.raises(UserError, match="generations"):
        SearchOptions(generations=0)
    with pytest.raises(UserError, match="270359360, the least"):
        search(constraints=[Constraint(MACS, None, 1e6)])
