import dataclasses
import json

import pytest

from spos_tf.errors import UserError
from spos_tf.space import Architecture
from spos_tf.space.candidate import Candidate, best_of, same_record
from spos_tf.space.record import Record, read_record, write_best


def candidate(i, **changes):
    fields = {
        "i": i,
        "generation": i // 2,
        "encoding": (i, 1),
        "choices": {"stage1.block1.op": "3x3", "stage1.block1.bits": (2, i)},
        "costs": {"macs": 1000 + i, "bit_ops": 0.1 + i},
        "score": 0.1 * (i % 3),
        "metric": "accuracy",
        "direction": "max",
        "seconds": 1.5,
        "worker": "local",
        "time": 1e9 + i,
        "halves": (0.25, 0.5),
    }
    return Candidate(**{**fields, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.jsonl"


def filled(path, order=(1, 0, 2)):
    record = Record.open(path)
    for i in order:
        record.append(candidate(i))
    return record


def test_a_line_has_the_fields_of_the_contract(path):
    filled(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["i"] for line in lines] == [1, 0, 2]
    assert " ".join(lines[0]) == (
        "i generation encoding choices costs score metric direction seconds "
        "worker time halves"
    )
    assert lines[0]["choices"]["stage1.block1.bits"] == [2, 1]


def test_what_is_appended_is_read_again(path):
    record = filled(path)
    expected = [candidate(i) for i in range(3)]
    assert record.candidates == expected
    assert read_record(path) == Record.open(path).candidates == expected
    assert len(record) == 3
    assert record.get(2) == expected[2]
    assert record.get(3) is None


def test_a_missing_file_is_an_empty_record_and_is_made_by_append(path):
    record = Record.open(path)
    assert len(record) == 0 and not path.exists()
    record.append(candidate(0))
    assert read_record(path) == [candidate(0)]
    with pytest.raises(UserError, match="Cannot read"):
        read_record(path.with_name("other"))


def test_a_last_line_cut_off_anywhere_is_dropped(path):
    filled(path, (0, 1))
    text = path.read_bytes()
    start = text.index(b"\n") + 1
    for end in range(start, len(text)):
        path.write_bytes(text[:end])
        assert read_record(path) == [candidate(0)]
        assert path.read_bytes() == text[:end]  # reading changes nothing
        record = Record.open(path)
        assert path.read_bytes() == text[:start]
        record.append(candidate(1))
        assert path.read_bytes() == text


def test_a_file_that_is_no_record_is_refused_and_kept(path):
    path.write_text("precious notes without a newline")
    with pytest.raises(UserError, match=r"record\.jsonl' ends with"):
        Record.open(path)
    assert path.read_text() == "precious notes without a newline"


def line_of(**changes):
    return json.dumps({**json.loads(candidate(1).to_json()), **changes})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "missing or unknown: choices, "),
        (line_of(extra=1), "missing or unknown: extra"),
        (line_of(i="1"), "'i' cannot be '1'"),
        (line_of(i=-1), "'i' cannot be -1"),
        (line_of(i=True), "'i' cannot be True"),
        (line_of(encoding=[0.5]), "'encoding' cannot be"),
        (line_of(choices={"a": None}), "'choices' cannot be"),
        (line_of(costs={"macs": "3"}), "'costs' cannot be"),
        (line_of(score=float("nan")), "NaN is no number"),
        (line_of(score=1.5), "'score' cannot be 1.5"),
        (line_of(score="1"), "'score' cannot be '1'"),
        (line_of(metric=None), "'metric' cannot be None"),
        (line_of(direction="up"), "'direction' cannot be 'up'"),
        (line_of(halves=None), "'halves' cannot be None"),
        (line_of(halves=[0.5]), r"'halves' cannot be [0.5]"),
        (line_of(halves=[0.5, 1.5]), r"'halves' cannot be [0.5, 1.5]"),
        (line_of(costs={"macs": 10**400}), "has over 64 bits"),
        (line_of(worker=3), "'worker' cannot be 3"),
        (line_of(i=0), "candidate 0 is there already"),
        ("\udcff", "codec can't decode"),
    ],
)
def test_a_broken_line_is_named(path, line, message):
    whole = [candidate(0).to_json(), line, candidate(2).to_json(), ""]
    text = "\n".join(whole).encode("utf-8", "surrogateescape")
    path.write_bytes(text)
    for read in (Record.open, read_record):
        with pytest.raises(UserError) as caught:
            read(path)
        assert f"line 2 of {str(path)!r}" in str(caught.value)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == text


def test_a_number_is_appended_once(path):
    record = filled(path)
    with pytest.raises(ValueError, match="Candidate 1 is recorded already"):
        record.append(candidate(1))
    assert len(path.read_text().splitlines()) == 3


def test_lines_of_an_earlier_version_are_scored_anew(path):
    old = dataclasses.replace(candidate(1), halves=None)
    path.write_text(f"{candidate(0).to_json()}\n{old.to_json()}\n")
    assert "halves" not in json.loads(old.to_json())
    record = Record.open(path)
    assert record.outdated == 1 and len(record) == 2
    assert record.get(1) is None and record.recorded(1) == old
    assert read_record(path) == [candidate(0), old]
    record.append(candidate(1))
    for known in (record, Record.open(path)):
        assert known.outdated == 0
        assert known.candidates == [candidate(0), candidate(1)]
    # Nothing is renewed twice.
    with pytest.raises(ValueError, match="Candidate 1 is recorded already"):
        record.append(candidate(1))
    with path.open("a") as file:
        file.write(f"{old.to_json()}\n")
    with pytest.raises(UserError, match="candidate 1 is there already"):
        Record.open(path)


def test_a_folder_that_is_missing_is_named(tmp_path):
    record = Record.open(tmp_path / "no" / "record.jsonl")
    with pytest.raises(UserError, match="Cannot write .* No such file"):
        record.append(candidate(0))


def test_equality_ignores_order_and_who_and_when():
    a = [candidate(0), candidate(1)]
    b = [
        dataclasses.replace(one, seconds=9, worker="ray", time=3)
        for one in reversed(a)
    ]
    assert same_record(a, b)
    assert not same_record(a, a[:1])
    for name, value in (
        ("score", 0.3),
        ("metric", "loss"),
        ("direction", "min"),
        ("generation", 7),
        ("encoding", (0, 0)),
        ("costs", {}),
        ("choices", {}),
        ("halves", (0.5, 0.25)),
    ):
        changed = dataclasses.replace(a[1], **{name: value})
        assert not same_record(a, [a[0], changed]), name


def test_the_best_has_the_best_score_and_of_equals_is_the_first():
    assert best_of(candidate(i) for i in (5, 4, 3, 2)).i == 2
    losses = [
        candidate(i, metric="loss", direction="min") for i in (5, 4, 3, 0)
    ]
    assert best_of(losses).i == 0
    assert losses[0].accuracy is None


def test_a_score_of_another_metric_is_any_finite_number(path):
    loss = candidate(0, score=7.5, metric="loss", direction="min")
    Record.open(path).append(loss)
    assert read_record(path) == [loss]


def test_a_record_in_memory_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = Record.in_memory()
    record.append(candidate(1))
    assert record.candidates == [candidate(1)] and record.path is None
    assert not list(tmp_path.iterdir())


def test_best_json_is_an_architecture_file_too(tmp_path):
    architecture = Architecture(
        "shufflenet_blocks", {"preset": "demo"}, {"stage1.block1.op": "3x3"}
    )
    path = tmp_path / "best.json"
    path.write_text("old")
    write_best(path, architecture, candidate(2))
    assert Architecture.read(path) == architecture
    data = json.loads(path.read_text())
    assert data["costs"] == {"macs": 1002, "bit_ops": 2.1}
    assert data["score"] == data["accuracy"] == candidate(2).score
    assert (data["metric"], data["direction"]) == ("accuracy", "max")
    assert list(tmp_path.iterdir()) == [path]
    loss = candidate(2, score=7.5, metric="loss", direction="min")
    write_best(path, architecture, loss)
    data = json.loads(path.read_text())
    assert data["score"] == 7.5 and "accuracy" not in data
    with pytest.raises(UserError, match="Cannot write"):
        write_best(tmp_path / "no" / "best.json", architecture, candidate(2))
