"""Where things stand in a chart."""

import doctest
import re

import pytest

from spos_tf.report import charts, page, statistics
from spos_tf.report.charts import Mark, Series, chart

LABELS = {"title": "t", "x_label": "x", "y_label": "y"}


@pytest.mark.parametrize("module", [charts, page, statistics])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def test_no_points_no_chart():
    assert chart([], **LABELS) is None
    assert chart([Series("a", [])], **LABELS) is None


@pytest.mark.parametrize(
    "points",
    [
        [(0, 1), (10, 5), (3, -2)],
        [(5, 5)],
        [(0, 0)],
        [(1e12, 1e-12), (2e12, 3e-12)],
        [(-4, -4), (-4, -4)],
    ],
)
def test_everything_is_inside_and_in_order(points):
    drawn = chart([Series("a", points, "dots")], **LABELS)
    ((series),) = drawn["series"]
    starts = [
        tuple(map(float, re.match(r"M(\S+) ([^a]+)a", path).groups()))
        for path, _ in series["dots"]
    ]
    assert len(starts) == len(points)
    for x, y in starts:
        assert drawn["left"] - 4 <= x <= drawn["right"]
        assert drawn["top"] <= y <= drawn["bottom"]
    # Larger values are further right, and higher up.
    by_x = sorted(range(len(points)), key=lambda i: points[i][0])
    assert sorted(x for x, _ in starts) == [starts[i][0] for i in by_x]
    by_y = sorted(range(len(points)), key=lambda i: -points[i][1])
    assert sorted(y for _, y in starts) == [starts[i][1] for i in by_y]
    for name in ("x_ticks", "y_ticks"):
        labels = [label for _, label in drawn[name]]
        assert len(labels) == len(set(labels)) >= 2


def test_a_mark_widens_the_range():
    drawn = chart(
        [Series("a", [(1, 1), (2, 2)])], marks=[Mark(9, "limit")], **LABELS
    )
    (mark,) = drawn["marks"]
    assert drawn["left"] < mark["at"] <= drawn["right"]


def test_many_dots_are_one_path():
    points = [(i, i % 7) for i in range(5000)]
    (few,) = chart([Series("a", points[:9], "dots")], **LABELS)["series"]
    (many,) = chart([Series("a", points, "dots")], **LABELS)["series"]
    assert len(few["dots"]) == 9 and not few["cloud"]
    assert not many["dots"] and many["cloud"].count("M") == 5000


def test_a_long_line_keeps_its_ends():
    points = [(i, i) for i in range(10_000)]
    (line,) = chart([Series("a", points)], **LABELS)["series"]
    (short,) = chart([Series("a", [points[0], points[-1]])], **LABELS)["series"]
    assert line["line"].count("L") <= 501
    assert line["line"].split("L")[0] == short["line"].split("L")[0]
    assert line["line"].split("L")[-1] == short["line"].split("L")[-1]
