"""Reading with patience: what is wrong is said, the rest is there."""

import pytest

from spos_tf.report.files import (
    Fields,
    is_number,
    png_uri,
    read_object,
)


def fields(**values):
    problems = []
    return Fields(values, "a.json", problems), problems


def test_fields_of_the_right_type():
    data, problems = fields(a=1.5, b="x", c={"d": 2, "e": 3}, f=[{"g": 1}])
    assert data.number("a") == 1.5
    assert data.text("b") == "x"
    assert data.numbers("c") == {"d": 2, "e": 3}
    assert [one.number("g") for one in data.rows("f")] == [1]
    assert problems == []


def test_missing_and_null_fields_are_no_problem():
    data, problems = fields(a=None)
    for name in ("a", "z"):
        assert data.number(name) is data.text(name) is None
        assert data.values_of(name) == data.rows(name) == []
        assert not data.fields(name)
    assert problems == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", "0.5"),
        ("number", True),
        ("number", float("nan")),
        ("number", 10**400),
        ("text", 5),
        ("fields", []),
        ("values_of", {}),
        ("rows", "text"),
    ],
)
def test_a_field_of_another_type_is_named(kind, value):
    data, problems = fields(a=value)
    assert not getattr(data, kind)("a")
    (problem,) = problems
    assert problem.startswith("a.json: 'a' could not be read: it is ")
    assert len(problem) < 140


def test_entries_that_are_no_objects_are_counted():
    data, problems = fields(a=[{"b": 1}, 2, None])
    assert len(data.rows("a")) == 1
    assert problems == [
        "a.json: 2 of 3 entries could not be read: they are no objects."
    ]


def test_numbers():
    assert is_number(0) and is_number(-1.5)
    assert not any(map(is_number, (None, "1", False, float("inf"), 10**999)))


@pytest.mark.parametrize(
    "content", [b'{"a": ', b"\xff\xfe", b"[1]", b"[" * 100_000, b"5"]
)
def test_an_object_that_is_none(tmp_path, content):
    path = tmp_path / "best.json"
    path.write_bytes(content)
    problems = []
    assert not read_object(path, problems)
    (problem,) = problems
    assert problem.startswith("best.json could not be read: ")


def test_a_missing_file_is_no_problem_and_a_folder_is_one(tmp_path):
    problems = []
    assert not read_object(tmp_path / "no.json", problems)
    assert png_uri(tmp_path / "no.png", problems) is None
    assert problems == []
    assert not read_object(tmp_path, problems)
    assert "could not be read: Is a directory." in problems[0]


def test_only_a_png_is_embedded(tmp_path):
    path = tmp_path / "scatter.png"
    path.write_text("<svg onload=alert(1)>", "utf-8")
    problems = []
    assert png_uri(path, problems) is None
    assert problems == ["scatter.png could not be read: it is no PNG."]
