import re

import numpy as np
import pytest

from spos_tf.cost.constraint import Constraint, all_allow
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.options import SearchOptions
from spos_tf.search.evolution import Evolution
from spos_tf.search.generations import RandomSearch, ranked
from spos_tf.space.search_space import format_encoding
from spos_tf.spaces import build_blueprint

PAPER = build_blueprint("shufflenet_blocks")
SPACE = PAPER.search_space
MACS = cost_table(PAPER, "macs")
LIMIT = Constraint(MACS, None, 330e6)
DEMO = build_blueprint("shufflenet_blocks", preset="demo")
GAINS = np.random.default_rng(7).normal(size=(20, 4))


def accuracy(encodings):
    """A synthetic objective: every option adds its own gain."""
    encodings = np.asarray(encodings)
    return GAINS[np.arange(20), encodings].sum(axis=1).tolist()


def run(search, score=accuracy):
    """Plays a search to its end; returns its generations."""
    generations = []
    while encodings := search.ask():
        generations.append(np.array(encodings))
        search.tell(encodings, score(encodings))
    return generations


def best(search):
    return ranked(search.scored)[0]


def keys(encodings):
    return [tuple(row) for row in np.asarray(encodings).tolist()]


@pytest.mark.parametrize("kind", [Evolution, RandomSearch])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_papers_budget_distinct_and_legal(kind, seed):
    search = kind(SPACE, [LIMIT], SearchOptions(seed=seed))
    generations = run(search)
    assert [len(one) for one in generations] == [50] * 20
    proposed = np.concatenate(generations)
    assert len(set(keys(proposed))) == 1000
    assert all_allow([LIMIT], proposed).all()
    assert search.ask() == [] and search.generation == 20
    assert search.stopped_early == ""
    assert best(search).score == max(accuracy(proposed))
    assert best(search).encoding == keys(proposed)[best(search).i]


def test_several_constraints_hold_all_along():
    limits = [LIMIT, Constraint(cost_table(PAPER, "params"), 3.4e6, 3.6e6)]
    search = Evolution(SPACE, limits, SearchOptions(generations=4))
    proposed = np.concatenate(run(search))
    assert len(proposed) == 200
    assert all_allow(limits, proposed).all()


def test_top_k_is_the_best_of_everything_ties_to_the_earlier():
    options = SearchOptions(population=10, generations=5, top_k=7)
    search = Evolution(SPACE, [], options)
    seen = []
    while encodings := search.ask():
        # Few values: many ties.
        scores = [round(a) // 3 for a in accuracy(encodings)]
        search.tell(encodings, scores)
        seen += zip(scores, keys(encodings), strict=True)
        order = sorted(range(len(seen)), key=lambda i: (-seen[i][0], i))
        assert [one.i for one in search.top_k] == order[:7]
        assert [one.encoding for one in search.top_k] == [
            seen[i][1] for i in order[:7]
        ]
        assert best(search) == search.top_k[0]


def test_crossover_takes_every_choice_from_a_parent():
    options = SearchOptions(
        population=20, generations=2, crossover=20, mutation=0, top_k=2
    )
    search = Evolution(SPACE, [], options)
    first = search.ask()
    search.tell(first, accuracy(first))
    parents = np.array([one.encoding for one in search.top_k])
    children = np.array(search.ask())
    assert ((children == parents[0]) | (children == parents[1])).all()
    differs = parents[0] != parents[1]
    share = (children == parents[0])[:, differs].mean()
    assert 0.35 < share < 0.65


def test_mutation_redraws_each_choice_with_its_probability():
    options = SearchOptions(population=200, generations=2, crossover=0, top_k=1)
    search = Evolution(SPACE, [], options)
    first = search.ask()
    search.tell(first, accuracy(first))
    changed = np.array(search.ask()) != search.top_k[0].encoding
    # Draw offspring one by one as the paper says: a redrawn choice keeps its
    # option once in four, and what was there before is drawn again.
    rng, parent, offspring = np.random.default_rng(0), np.zeros(20), set()
    while len(offspring) < 200:
        redrawn = rng.random(20) < 0.1
        child = np.where(redrawn, rng.integers(4, size=20), parent)
        offspring |= {tuple(child)} - {tuple(parent)}
    expected = (np.array(list(offspring)) != 0).sum(axis=1)
    counts = changed.sum(axis=1)
    assert abs(counts.mean() - expected.mean()) < 0.3
    assert counts.min() == 1 and changed.any(axis=0).all()


def test_half_of_a_generation_is_crossed_and_half_mutated():
    options = SearchOptions()
    assert (options.num_crossover, options.num_mutation) == (25, 25)
    odd = SearchOptions(population=7)
    assert (odd.num_crossover, odd.num_mutation) == (3, 4)
    given = SearchOptions(population=7, mutation=2)
    assert (given.num_crossover, given.num_mutation) == (5, 2)


def test_a_converged_population_is_filled_up_with_random_ones():
    # One parent: crossover can give nothing new.
    options = SearchOptions(
        population=30, generations=2, top_k=1, crossover=30, mutation=0
    )
    search = Evolution(SPACE, [LIMIT], options)
    generations = run(search)
    assert len(generations[1]) == 30
    assert LIMIT.allows(generations[1]).all()
    assert (generations[1] != search.scored[0].encoding).mean() > 0.5


def test_replaying_the_accuracies_gives_the_same_proposals():
    def fresh():
        return Evolution(SPACE, [LIMIT], SearchOptions(population=20))

    for one, other in zip(run(fresh()), run(fresh()), strict=True):
        np.testing.assert_array_equal(one, other)


def test_asking_again_gives_the_same_and_the_caller_may_change_it():
    search = Evolution(SPACE, [], SearchOptions())
    first = search.ask()
    before = np.array(first)
    first[0][:] = -1
    np.testing.assert_array_equal(search.ask(), before)


def test_seed_and_accuracies_decide():
    def second_generation(seed, sign=1):
        search = Evolution(SPACE, [LIMIT], SearchOptions(seed=seed))
        first = search.ask()
        search.tell(first, [sign * a for a in accuracy(first)])
        return keys(first), keys(search.ask())

    assert second_generation(0)[0] == second_generation(0, -1)[0]
    assert second_generation(0)[1] != second_generation(0, -1)[1]
    assert not set(second_generation(0)[0]) & set(second_generation(1)[0])


def test_with_one_seed_both_strategies_start_level():
    evolution = Evolution(SPACE, [LIMIT], SearchOptions(seed=3))
    random = RandomSearch(SPACE, [LIMIT], SearchOptions(seed=3))
    np.testing.assert_array_equal(evolution.ask(), random.ask())


def test_evolution_beats_random_search_at_equal_budget():
    gaps = []
    for seed in range(5):
        options = SearchOptions(seed=seed)
        evolution = Evolution(SPACE, [LIMIT], options)
        random = RandomSearch(SPACE, [LIMIT], options)
        run(evolution), run(random)
        gaps.append(best(evolution).score - best(random).score)
    # The objective has a standard deviation of about 4 over the space.
    assert min(gaps) > 0
    assert np.mean(gaps) > 4


def test_golden_run():
    # A change of this is a change of what a seed means: say so in the docs.
    options = SearchOptions(population=20, generations=8, seed=11)
    search = Evolution(SPACE, [LIMIT], options)
    run(search)
    assert best(search).i == 148
    assert (
        format_encoding(best(search).encoding)
        == "0,0,3,3,1,1,0,1,2,1,3,0,1,1,2,0,3,2,2,1"
    )


@pytest.mark.parametrize("kind", [Evolution, RandomSearch])
def test_an_exhausted_space_ends_the_search_and_says_so(kind):
    macs = cost_table(DEMO, "macs")
    space = DEMO.search_space
    limit = Constraint(macs, None, float(macs.minimum * 1.15))
    grid = np.indices((4,) * 5).reshape(5, -1).T
    legal = set(keys(grid[limit.allows(grid)]))
    options = SearchOptions(population=10, generations=50)
    search = kind(space, [limit], options)
    generations = run(search, lambda encodings: [0.5] * len(encodings))
    assert set(keys(np.concatenate(generations))) == legal
    assert sum(map(len, generations)) == len(legal)
    assert all(len(one) == 10 for one in generations[:-1])
    assert re.match(
        rf"Found no more architectures with macs <= [\d.]+: .* "
        rf"{len(legal)} of 500 evaluations",
        search.stopped_early,
    )


def test_impossible_constraints_are_found_before_any_proposal():
    with pytest.raises(UserError, match="nearest reachable macs is 270359360"):
        Evolution(SPACE, [Constraint(MACS, None, 1e6)], SearchOptions())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"population": 0}, "`population` is at least 1; got 0"),
        ({"population": 2.5}, "got 2.5"),
        ({"generations": True}, "`generations` is a whole number"),
        ({"seed": -1}, "`seed` is at least 0 and at most 4294967295; got -1"),
        ({"top_k": 0}, "top_k"),
        ({"crossover": -1}, "crossover"),
        ({"mutation": 60}, "at most a `population` of 50; got 0 [+] 60"),
        ({"crossover": 30, "mutation": 30}, "got 30 [+] 30"),
        ({"mutation_probability": 0.0}, "above 0 and at most 1; got 0.0"),
        ({"mutation_probability": float("nan")}, "got nan"),
    ],
)
def test_options_are_checked(wrong, message):
    with pytest.raises(UserError, match=message):
        SearchOptions(**wrong)


def test_tell_takes_what_was_asked_for():
    search = Evolution(SPACE, [], SearchOptions(population=4))
    with pytest.raises(ValueError, match="that ask"):
        search.tell([], [])
    first = search.ask()
    with pytest.raises(ValueError, match="in its order"):
        search.tell(first[::-1], [0, 0, 0, 0])
    with pytest.raises(ValueError, match="each of 4 architectures; got 3"):
        search.tell(first, [0, 0, 0])
    with pytest.raises(UserError, match="finite numbers.*got nan"):
        search.tell(first, [0, 0, float("nan"), 0])
    assert search.generation == 0 and not search.scored
    search.tell(first, [0, 0, 0, 0])
    assert search.generation == 1
