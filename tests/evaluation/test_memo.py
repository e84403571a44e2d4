import json
import os

import pytest

from spos_tf.errors import UserError
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.memo import ScoreMemo


def test_scores_are_shared_between_runs(tmp_path):
    path = tmp_path / "scores.jsonl"
    ScoreMemo(path, "accuracy", "weights", "images").put((1, 2), Measured(0.5))
    memo = ScoreMemo(path, "accuracy", "weights", "images")
    assert memo.get([1, 2]) == Measured(0.5)


def test_a_score_of_other_weights_or_images_is_not_used(tmp_path):
    path = tmp_path / "scores.jsonl"
    ScoreMemo(path, "accuracy", "weights", "images").put((1, 2), Measured(0.5))
    assert ScoreMemo(path, "accuracy", "other", "images").get((1, 2)) is None
    assert ScoreMemo(path, "accuracy", "weights", "images").get((2, 1)) is None


def test_parts_do_not_run_into_each_other(tmp_path):
    path = tmp_path / "scores.jsonl"
    ScoreMemo(path, "accuracy", "ab", "c").put((1,), Measured(0.5))
    assert ScoreMemo(path, "accuracy", "a", "bc").get((1,)) is None


def test_a_line_cut_off_by_a_kill_costs_that_line_only(tmp_path):
    path = tmp_path / "scores.jsonl"
    memo = ScoreMemo(path, "accuracy", "w")
    memo.put((1,), Measured(0.25))
    memo.put((2,), Measured(0.75))
    path.write_bytes(path.read_bytes()[:-10])
    ScoreMemo(path, "accuracy", "w").put((3,), Measured(1.0))
    again = ScoreMemo(path, "accuracy", "w")
    assert [again.get((i,)) for i in (1, 2, 3)] == [
        Measured(0.25),
        None,
        Measured(1.0),
    ]


def test_a_disk_that_is_full_is_named_and_nothing_is_lost(
    tmp_path, monkeypatch
):
    path = tmp_path / "scores.jsonl"
    memo = ScoreMemo(path, "accuracy", "w")
    memo.put((1,), Measured(0.25))
    write = os.write
    # What a disk with room for a few bytes does.
    monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:9]))
    with pytest.raises(UserError, match="disk is full") as caught:
        memo.put((2,), Measured(0.5))
    assert str(path) in str(caught.value)
    monkeypatch.undo()
    ScoreMemo(path, "accuracy", "w").put((3,), Measured(1.0))
    again = ScoreMemo(path, "accuracy", "w")
    assert [again.get((i,)) for i in (1, 2, 3)] == [
        Measured(0.25),
        None,
        Measured(1.0),
    ]
    with pytest.raises(UserError, match="Cannot write scores"):
        ScoreMemo(tmp_path / "new" / "scores.jsonl", "accuracy", "w").put(
            (1,), Measured(0.5)
        )


def test_halves_are_kept_and_scores_without_them_are_not_used(tmp_path):
    path = tmp_path / "scores.jsonl"
    known = Measured(0.5, (0.25, 0.75))
    memo = ScoreMemo(path, "accuracy", "w")
    memo.put((1,), known)
    memo.put((2,), Measured(0.25))
    again = ScoreMemo(path, "accuracy", "w")
    assert again.get((1,)) == known and again.get((2,)) == Measured(0.25)
    assert again.outdated == 0 and len(again) == 2
    text = path.read_text()
    # As earlier versions wrote lines, and as no version does.
    for halves in ("", ', "halves": [0.5]', ', "halves": [0.5, 1.5]'):
        path.write_text(text.replace(', "halves": [0.25, 0.75]', halves))
        other = ScoreMemo(path, "accuracy", "w")
        assert other.get((1,)) is None and len(other) == 1
        assert other.outdated == (halves == "")


def test_a_line_says_what_its_score_is(tmp_path):
    path = tmp_path / "scores.jsonl"
    memo = ScoreMemo(path, "loss", "w", direction="min")
    memo.put((1, 2), Measured(2.5, (2.0, 3.0)))
    line = json.loads(path.read_text())
    assert line.pop("key")
    assert line == {
        "encoding": [1, 2],
        "score": 2.5,
        "metric": "loss",
        "direction": "min",
        "halves": [2.0, 3.0],
    }
