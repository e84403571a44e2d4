import json
import shutil

import numpy as np
import pytest

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.evaluation.scorer import Score, Scorer
from spos_tf.options import SearchOptions
from spos_tf.search.driver import run_search
from spos_tf.search.evolution import Evolution
from spos_tf.search.generations import RandomSearch
from spos_tf.space.candidate import same_record
from spos_tf.space.record import Record, read_record
from spos_tf.spaces import build_blueprint

DEMO = build_blueprint("shufflenet_blocks", preset="demo")
SPACE = DEMO.search_space
COSTS = {name: cost_table(DEMO, name) for name in ("macs", "params")}
LIMIT = Constraint(COSTS["macs"], None, 190000)
OPTIONS = {"population": 6, "generations": 4, "top_k": 3}


class Killed(BaseException):
    pass


def formula(encoding):
    return float(np.sin(np.array(encoding) @ np.arange(1, 6)) ** 2)


class Formula(Scorer):
    """Scores by a formula, in an order of its own; dies when it is told to."""

    def __init__(self, dies_after=10**9, order=1, score=formula):
        super().__init__()
        self.seen, self._waiting = [], []
        self._dies_after, self._order, self._score = dies_after, order, score

    def _queue(self, positions, candidates):
        self._waiting += zip(positions, candidates, strict=True)

    def take(self):
        if not self._waiting:
            return []
        if len(self.seen) == self._dies_after:
            raise Killed
        last = 0 if self._order == 1 else -1
        position, candidate = self._waiting.pop(last)
        assert isinstance(candidate, tuple)
        self.seen.append(candidate)
        return [Score(position, self._score(candidate), 0.01, "gpu0")]


def search(path, scorer, kind=Evolution, record=None, told=(), **changes):
    algorithm = kind(SPACE, [LIMIT], SearchOptions(**{**OPTIONS, **changes}))
    return run_search(
        algorithm,
        scorer,
        cost_functions=COSTS,
        record=Record.open(path) if record is None else record,
        **dict(told),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nobody interrupted: its record and its best."""
    path = tmp_path_factory.mktemp("whole") / "record.jsonl"
    return path, search(path, Formula())


def test_the_record_tells_everything(whole):
    path, best = whole
    record = read_record(path)
    assert [one.i for one in record] == list(range(24))
    assert [one.generation for one in record] == [i // 6 for i in range(24)]
    for one in record:
        assert one.choices == SPACE.decode(one.encoding)
        assert one.costs == {
            name: int(cost(one.encoding)) for name, cost in COSTS.items()
        }
        assert one.costs["macs"] <= 190000
        assert one.worker == "gpu0" and one.time > 1e9
    assert best.score == max(one.score for one in record)
    assert best in record


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kill", range(25))
def test_a_killed_search_goes_on_as_if_nothing_had_been(
    whole, tmp_path, kill, order
):
    path = tmp_path / "record.jsonl"
    first = Formula(dies_after=kill, order=order)
    if kill < 24:
        with pytest.raises(Killed):
            search(path, first)
        with open(path, "ab") as file:
            file.write(b'{"i": 77, "gen'[: kill % 15])  # cut off by the kill
    else:
        search(path, first)
    second = Formula(order=order)
    best = search(path, second)
    assert same_record(read_record(path), read_record(whole[0]))
    assert same_record([best], [whole[1]])
    assert len(first.seen) == kill and len(second.seen) == 24 - kill
    assert not set(first.seen) & set(second.seen)


def test_results_enter_the_record_as_they_come(tmp_path):
    path = tmp_path / "record.jsonl"
    lines = []

    def score(candidate):
        lines.append(len(read_record(path)) if path.exists() else 0)
        return formula(candidate)

    search(path, Formula(order=-1, score=score))
    assert lines == list(range(24))


def test_a_record_in_memory_is_the_same(whole):
    record = Record.in_memory()
    best = search(None, Formula(), record=record)
    assert same_record(record.candidates, read_record(whole[0]))
    assert same_record([best], [whole[1]])
    other = {"record": record, "seed": 1}
    with pytest.raises(UserError, match="0 of the record in memory has enc"):
        search(None, Formula(), **other)


@pytest.mark.parametrize("kind", [Evolution, RandomSearch])
def test_where_less_is_better_the_search_goes_the_other_way(
    tmp_path, whole, kind
):
    """The negated formula is minimised along the same candidates."""
    most, least = (
        search(tmp_path / name, scorer, kind, told=told)
        for name, scorer, told in (
            ("most", Formula(), {}),
            (
                "least",
                Formula(score=lambda one: -formula(one)),
                {"metric": "loss", "direction": "min"},
            ),
        )
    )
    assert least.score == -most.score and least.merit == most.merit
    records = [read_record(tmp_path / name) for name in ("most", "least")]
    up, down = ([one.encoding for one in record] for record in records)
    assert up == down
    assert {(one.metric, one.direction) for one in records[1]} == {
        ("loss", "min")
    }
    with pytest.raises(UserError, match="candidate 0 .* has metric loss"):
        search(tmp_path / "least", Formula(), kind)


def test_the_callback_sees_every_candidate_and_whether_it_is_old(tmp_path):
    path, calls = tmp_path / "record.jsonl", []
    with pytest.raises(Killed):
        search(path, Formula(dies_after=8))
    search(
        path,
        Formula(),
        told={"on_candidate": lambda *call: calls.append(call)},
    )
    assert [one.i for one, _, _ in calls] == list(range(24))
    assert {size for _, size, _ in calls} == {6}
    assert [old for _, _, old in calls] == [True] * 8 + [False] * 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "candidate 0 of .* has encoding .*Give the options"),
        ({"top_k": 1}, "candidate .* has encoding"),
        ({"population": 5}, "candidate 5 .* has generation 0, .* proposes 1"),
        ({"generations": 3}, "ends after 18 evaluations; .* has 24"),
        ({"kind": RandomSearch}, "has encoding"),
    ],
)
def test_a_record_of_other_flags_is_refused(whole, tmp_path, changes, message):
    path = tmp_path / "record.jsonl"
    shutil.copy(whole[0], path)
    evaluator = Formula()
    with pytest.raises(UserError, match=message) as caught:
        search(path, evaluator, **changes)
    assert "\n" not in str(caught.value)
    assert evaluator.seen == []
    assert path.read_bytes() == whole[0].read_bytes()


def test_a_record_of_an_earlier_version_is_scored_anew(whole, tmp_path):
    path = tmp_path / "record.jsonl"
    lines = whole[0].read_text().splitlines()
    old = []
    for line in map(json.loads, lines):
        del line["halves"]
        old.append(json.dumps(line))
    # A resume that is killed in between leaves some of them.
    path.write_text("\n".join([*old, *lines[:7], ""]))
    evaluator = Formula()
    search(path, evaluator)
    assert len(evaluator.seen) == len(lines) - 7
    assert same_record(read_record(path), read_record(whole[0]))
    # It is still the record of one search alone.
    path.write_text("\n".join([*old, ""]))
    with pytest.raises(UserError, match="has encoding"):
        search(path, Formula(), kind=RandomSearch)


def test_a_record_with_other_costs_is_refused(whole, tmp_path):
    path = tmp_path / "record.jsonl"
    text = whole[0].read_text()
    macs = read_record(whole[0])[0].costs["macs"]
    path.write_text(text.replace(f'"macs": {macs},', '"macs": 7,'))
    message = rf"has costs .'macs': 7., this search proposes .'macs': {macs}."
    with pytest.raises(UserError, match=message):
        search(path, Formula())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([(0, 0.5)], ValueError, "left out 5 of 6"),
        ([(0, 0.5)] * 2, ValueError, "gave position 0"),
        ([(6, 0.5)], ValueError, "gave position 6"),
        ([(2, float("nan"))], UserError, "0 to 1; candidate 2 got nan"),
        ([(2, 1.5)], UserError, "0 to 1; candidate 2 got 1.5"),
    ],
)
def test_wrong_results_are_refused(tmp_path, given, error, message):
    class Wrong(Formula):
        def take(self):
            return [Score(*given.pop(0), 1.0)] if given else []

    given = [*given]
    with pytest.raises(error, match=message):
        search(tmp_path / "record.jsonl", Wrong())


def test_scores_that_are_no_accuracy_are_finite_numbers(tmp_path):
    told = {"metric": "loss", "direction": "min"}
    path = tmp_path / "record.jsonl"
    best = search(path, Formula(score=lambda one: 7.5 + sum(one)), told=told)
    assert best.score > 7 and best.accuracy is None
    with pytest.raises(UserError, match="loss are finite; candidate 0 got inf"):
        search(
            tmp_path / "other",
            Formula(score=lambda one: float("inf")),
            told=told,
        )


def test_the_algorithm_has_to_be_fresh(tmp_path):
    algorithm = Evolution(SPACE, [], SearchOptions(population=2))
    algorithm.tell(algorithm.ask(), [0, 1])
    with pytest.raises(ValueError, match="told nothing"):
        run_search(
            algorithm,
            Formula(),
            cost_functions=COSTS,
            record=Record.open(tmp_path / "record.jsonl"),
        )
