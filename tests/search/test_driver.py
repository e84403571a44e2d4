import shutil

import numpy as np
import pytest

from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.search.driver import Evaluation, run_search
from spos_tf.search.evolution import (
    Evolution,
    EvolutionOptions,
    RandomSearch,
)
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


class Evaluator:
    """Scores by a formula, in an order of its own; dies when it is told to."""

    def __init__(self, dies_after=10**9, order=1):
        self.seen, self._dies_after, self._order = [], dies_after, order

    def __call__(self, encodings):
        positions = range(len(encodings))[:: self._order]
        for position in positions:
            if len(self.seen) == self._dies_after:
                raise Killed
            encoding = encodings[position]
            self.seen.append(tuple(encoding.tolist()))
            score = float(np.sin(encoding @ np.arange(1, 6)) ** 2)
            yield position, score, 0.01


def search(path, evaluate, kind=Evolution, on_candidate=None, **changes):
    algorithm = kind(SPACE, [LIMIT], EvolutionOptions(**{**OPTIONS, **changes}))
    return run_search(
        algorithm,
        evaluate,
        space=SPACE,
        cost_functions=COSTS,
        record=Record.open(path),
        on_candidate=on_candidate,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nobody interrupted: its record and its best."""
    path = tmp_path_factory.mktemp("whole") / "record.jsonl"
    return path, search(path, Evaluator())


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
        assert one.worker == "local" and one.time > 1e9
    assert best.accuracy == max(one.accuracy for one in record)
    assert best in record


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kill", range(25))
def test_a_killed_search_goes_on_as_if_nothing_had_been(
    whole, tmp_path, kill, order
):
    path = tmp_path / "record.jsonl"
    first = Evaluator(dies_after=kill, order=order)
    if kill < 24:
        with pytest.raises(Killed):
            search(path, first)
        with open(path, "ab") as file:
            file.write(b'{"i": 77, "gen'[: kill % 15])  # cut off by the kill
    else:
        search(path, first)
    second = Evaluator(order=order)
    best = search(path, second)
    assert same_record(read_record(path), read_record(whole[0]))
    assert same_record([best], [whole[1]])
    assert len(first.seen) == kill and len(second.seen) == 24 - kill
    assert not set(first.seen) & set(second.seen)


def test_results_enter_the_record_as_they_come(tmp_path):
    path = tmp_path / "record.jsonl"
    lines = []

    def evaluate(encodings):
        for result in Evaluator(order=-1)(encodings):
            lines.append(len(read_record(path)) if path.exists() else 0)
            yield Evaluation(*result, worker="gpu0")

    search(path, evaluate)
    assert lines == list(range(24))
    assert {one.worker for one in read_record(path)} == {"gpu0"}


def test_the_callback_sees_every_candidate_and_whether_it_is_old(tmp_path):
    path, calls = tmp_path / "record.jsonl", []
    with pytest.raises(Killed):
        search(path, Evaluator(dies_after=8))
    search(path, Evaluator(), on_candidate=lambda *call: calls.append(call))
    assert [one.i for one, _, _ in calls] == list(range(24))
    assert {size for _, size, _ in calls} == {6}
    assert [old for _, _, old in calls] == [True] * 8 + [False] * 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "candidate 0 of .* has encoding .*Give the flags"),
        ({"top_k": 1}, "candidate .* has encoding"),
        ({"population": 5}, "candidate 5 .* has generation 0, .* proposes 1"),
        ({"generations": 3}, "ends after 18 evaluations; .* has 24"),
        ({"kind": RandomSearch}, "has encoding"),
    ],
)
def test_a_record_of_other_flags_is_refused(whole, tmp_path, changes, message):
    path = tmp_path / "record.jsonl"
    shutil.copy(whole[0], path)
    evaluator = Evaluator()
    with pytest.raises(UserError, match=message) as caught:
        search(path, evaluator, **changes)
    assert "\n" not in str(caught.value)
    assert evaluator.seen == []
    assert path.read_bytes() == whole[0].read_bytes()


def test_a_record_with_other_costs_is_refused(whole, tmp_path):
    path = tmp_path / "record.jsonl"
    text = whole[0].read_text()
    macs = read_record(whole[0])[0].costs["macs"]
    path.write_text(text.replace(f'"macs": {macs},', '"macs": 7,'))
    message = rf"has costs .'macs': 7., this search proposes .'macs': {macs}."
    with pytest.raises(UserError, match=message):
        search(path, Evaluator())


@pytest.mark.parametrize(
    ("evaluate", "error", "message"),
    [
        (lambda xs: iter([(0, 0.5, 1)]), ValueError, "left out 5 of 6"),
        (lambda xs: iter([(0, 0.5, 1)] * 2), ValueError, "gave position 0"),
        (lambda xs: iter([(6, 0.5, 1)]), ValueError, "gave position 6"),
        (
            lambda xs: iter([(2, float("nan"), 1)]),
            UserError,
            "candidate 2 got nan",
        ),
    ],
)
def test_wrong_results_are_refused(tmp_path, evaluate, error, message):
    with pytest.raises(error, match=message):
        search(tmp_path / "record.jsonl", evaluate)


def test_the_algorithm_has_to_be_fresh(tmp_path):
    algorithm = Evolution(SPACE, [], EvolutionOptions(population=2))
    algorithm.tell(algorithm.ask(), [0, 1])
    with pytest.raises(ValueError, match="told nothing"):
        run_search(
            algorithm,
            Evaluator(),
            space=SPACE,
            cost_functions=COSTS,
            record=Record.open(tmp_path / "record.jsonl"),
        )
