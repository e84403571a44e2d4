"""The file of scores is whole after every kill."""

import dataclasses

import pytest

from spos_tf.analysis.score_file import Scored, ScoreFile
from spos_tf.errors import UserError

ONE = Scored(100, (0, 1), "0,1", 0.25, 93.5, 0.1, (0.25, 0.5))
OTHER = dataclasses.replace(ONE, encoding=(1, 1), architecture="1,1")
LATER = dataclasses.replace(ONE, step=200, score=0.5)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "scores.jsonl"
    file = ScoreFile(path)
    assert not path.exists()
    for one in (ONE, OTHER, LATER):
        file.append(one)
    return path


def test_scores_are_read_back(path):
    file = ScoreFile(path)
    assert len(file) == 3
    assert file.get(100, (0, 1)) == ONE
    assert file.get(200, (0, 1)) == LATER
    assert file.get(200, (1, 1)) is None


def test_any_cut_loses_the_unfinished_line_alone(path):
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    for cut in (*range(0, len(content), 9), *ends[:-1]):
        path.write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends)
        file = ScoreFile(path)
        assert len(file) == whole
        assert path.read_bytes() == content[: [0, *ends][whole]]
    file.append(LATER)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"score": 0.25', b'"score": "x"', "line 1 of"),
        (b'"score"', b'"scores"', "its fields are not step, encoding"),
        (b'{"step": 200', b"[", "line 3 of"),
        (b"\n", b"\nhello\n", "line 2 of"),
        (b"[0.25, 0.5]", b"[0.25, 1.5]", r"'halves' cannot be \[0.25, 1.5\]"),
        (b"[0.25, 0.5]", b"null", "'halves' cannot be None"),
        (b'"step": 200', b'"step": null', "line 3 of"),
    ],
)
def test_a_line_that_is_none(path, old, new, message):
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(UserError, match=message):
        ScoreFile(path)


def test_lines_of_an_earlier_version_are_scored_anew(path):
    text = path.read_text()
    path.write_text(text.replace(', "halves": [0.25, 0.5]', "", 1))
    file = ScoreFile(path)
    assert file.outdated == 1
    assert file.get(100, (0, 1)) is None and file.get(100, (1, 1)) == OTHER
    file.append(ONE)
    again = ScoreFile(path)
    assert again.outdated == 0 and again.get(100, (0, 1)) == ONE
    again.append(ONE)
    with pytest.raises(UserError, match="it stands there before"):
        ScoreFile(path)


def test_another_file_is_left_alone(path):
    path.write_bytes(path.read_bytes() + b"my notes")
    content = path.read_bytes()
    with pytest.raises(UserError, match="the last of .* it has no end"):
        ScoreFile(path)
    assert path.read_bytes() == content


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(UserError, match="Cannot write scores"):
        ScoreFile(tmp_path / "no" / "scores.jsonl").append(ONE)
