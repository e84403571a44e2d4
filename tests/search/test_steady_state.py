"""Evolution without generations: the order of results must not matter."""

import numpy as np
import pytest

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.evaluation.scorer import LocalScorer, Score, Scorer
from spos_tf.options import SearchOptions
from spos_tf.search.asynchronous import run_asynchronous
from spos_tf.search.evolution import Evolution
from spos_tf.search.steady_state import SteadyEvolution
from spos_tf.space import Choice, SearchSpace
from spos_tf.space.candidate import same_record
from spos_tf.space.record import Record, read_record
from spos_tf.spaces import build_blueprint

DEMO = build_blueprint("shufflenet_blocks", preset="demo")
SPACE = DEMO.search_space
COSTS = {name: cost_table(DEMO, name) for name in ("macs", "params")}
LIMIT = Constraint(COSTS["macs"], None, 190000)
OPTIONS = {"population": 6, "generations": 5, "top_k": 3}


def formula(encoding):
    return 0.5 + float(np.sin(np.array(encoding) @ np.arange(1, 6))) / 2


def steady(space=SPACE, constraints=(LIMIT,), **changes):
    options = SearchOptions(asynchronous=True, **{**OPTIONS, **changes})
    return SteadyEvolution(space, constraints, options)


class Killed(BaseException):
    pass


class Workers(Scorer):
    """So many workers; who is done first is drawn."""

    def __init__(self, workers, seed, dies_after=10**9):
        super().__init__()
        self._rng = np.random.default_rng(seed)
        self._workers, self._dies_after = workers, dies_after
        self._waiting, self.done = [], []

    def _queue(self, positions, candidates):
        self._waiting += zip(positions, candidates, strict=True)

    def take(self):
        if not self._waiting:
            return []
        if len(self.done) == self._dies_after:
            raise Killed
        under_way = min(self._workers, len(self._waiting))
        position, encoding = self._waiting.pop(self._rng.integers(under_way))
        self.done.append(position)
        return [Score(position, formula(encoding), 0.01, "someone")]


def search(path, scorer, **changes):
    return run_asynchronous(
        steady(**changes),
        scorer,
        cost_functions=COSTS,
        record=Record.open(path),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search by one worker: its record and its best."""
    path = tmp_path_factory.mktemp("whole") / "record.jsonl"
    return path, search(path, LocalScorer(formula))


def test_the_record_is_whole(whole):
    path, best = whole
    record = read_record(path)
    assert [one.i for one in record] == list(range(30))
    assert [one.generation for one in record] == [i // 6 for i in range(30)]
    assert len({one.encoding for one in record}) == 30
    for one in record:
        assert one.costs["macs"] <= 190000
        assert one.score == formula(one.encoding)
    assert best.score == max(one.score for one in record)


@pytest.mark.parametrize("workers", [1, 2, 7, 100])
@pytest.mark.parametrize("seed", range(5))
def test_neither_workers_nor_their_order_matter(whole, tmp_path, workers, seed):
    path = tmp_path / "record.jsonl"
    scorer = Workers(workers, seed)
    best = search(path, scorer)
    assert same_record(read_record(path), read_record(whole[0]))
    assert best.i == whole[1].i
    if workers > 2:
        assert scorer.done != sorted(scorer.done)


@pytest.mark.parametrize("kill", range(0, 30, 3))
def test_a_killed_search_goes_on_as_if_nothing_had_been(whole, tmp_path, kill):
    path = tmp_path / "record.jsonl"
    first = Workers(5, 1, dies_after=kill)
    with pytest.raises(Killed):
        search(path, first)
    rest = Workers(3, 2)
    best = search(path, rest)
    assert same_record(read_record(path), read_record(whole[0]))
    assert best.i == whole[1].i
    # Positions count what is submitted: 0 is the first that was not recorded.
    assert len(first.done) == kill and len(rest.done) == 30 - kill


def test_it_starts_like_the_evolution():
    evolution = Evolution(SPACE, [LIMIT], SearchOptions(**OPTIONS))
    ours = [encoding for _, encoding in steady().ask()]
    np.testing.assert_array_equal(ours, evolution.ask())


@pytest.mark.parametrize("lag", [1, 2, 6])
def test_at_most_the_lag_is_under_way(lag):
    algorithm = steady(lag=lag)
    waiting = [i for i, _ in algorithm.ask()]
    assert waiting == list(range(6))
    for i in range(6):
        assert len(waiting) <= max(lag, 6 - i)
        waiting.remove(i)
        algorithm.tell(i, 0.5)
        waiting += [i for i, _ in algorithm.ask()]
    while waiting:
        assert len(waiting) <= lag
        algorithm.tell(waiting.pop(0), 0.5)
        waiting += [i for i, _ in algorithm.ask()]


def test_a_lag_beyond_the_population_begins_with_as_many():
    algorithm = steady(lag=10)
    assert len(algorithm.ask()) == 10
    algorithm.tell(0, 0.5)
    assert [i for i, _ in algorithm.ask()] == [10]
    # Never more than the budget.
    assert len(steady(lag=99, generations=2).ask()) == 12


def test_nothing_new_without_a_result():
    algorithm = steady()
    assert len(algorithm.ask()) == 6
    assert algorithm.ask() == []
    # The first is missing: what comes after it does not count yet.
    for i in range(1, 6):
        algorithm.tell(i, 0.5)
    assert algorithm.ask() == []
    algorithm.tell(0, 0.5)
    assert [i for i, _ in algorithm.ask()] == [6, 7, 8]


def test_parents_are_the_best_known():
    """Without mutation, offspring have options of their parents only."""
    space = SearchSpace("s", [Choice(f"c{i}", range(50)) for i in range(8)])
    options = SearchOptions(
        asynchronous=True,
        population=10,
        generations=3,
        top_k=2,
        crossover=10,
        lag=1,
    )
    algorithm = SteadyEvolution(space, [], options)
    first = dict(algorithm.ask())
    for i in first:
        algorithm.tell(i, 1.0 if i in (3, 8) else 0.0)
    ((_, child),) = algorithm.ask()
    assert (child == first[3]).any() and (child == first[8]).any()
    assert ((child == first[3]) | (child == first[8])).all()


def test_mutation_changes_some():
    space = SearchSpace("s", [Choice(f"c{i}", range(50)) for i in range(40)])
    options = SearchOptions(
        asynchronous=True,
        population=4,
        generations=3,
        top_k=1,
        mutation=4,
        mutation_probability=0.2,
        lag=1,
    )
    algorithm = SteadyEvolution(space, [], options)
    first = dict(algorithm.ask())
    for i in first:
        algorithm.tell(i, float(i == 2))
    ((_, child),) = algorithm.ask()
    changed = np.count_nonzero(child != first[2])
    # Of 40 choices about 8; neither none nor all by any chance.
    assert 1 <= changed <= 25


def test_a_small_space_ends_early():
    space = SearchSpace("s", [Choice("c", [0, 1, 2])])
    algorithm = steady(space, ())
    asked = algorithm.ask()
    assert len(asked) == 3
    for i, _ in asked:
        algorithm.tell(i, 0.0)
    assert algorithm.ask() == []
    assert "ends with 3 of 30" in algorithm.stopped_early


def test_what_tell_refuses():
    algorithm = steady()
    algorithm.ask()
    with pytest.raises(ValueError, match="each candidate once; got 6"):
        algorithm.tell(6, 0.5)
    algorithm.tell(0, 0.5)
    with pytest.raises(ValueError, match="each candidate once; got 0"):
        algorithm.tell(0, 0.5)
    with pytest.raises(UserError, match="candidate 1 got nan"):
        algorithm.tell(1, float("nan"))


@pytest.mark.parametrize("lag", [0, -1, 1.5])
def test_a_lag_out_of_range_is_refused(lag):
    with pytest.raises(UserError, match="lag"):
        SearchOptions(asynchronous=True, **OPTIONS, lag=lag)


def test_another_searchs_record_is_refused(whole, tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_bytes(whole[0].read_bytes())
    with pytest.raises(UserError, match="candidate"):
        search(path, Workers(2, 0), seed=1)
    with pytest.raises(UserError, match="has 30"):
        search(path, Workers(2, 0), generations=4)
