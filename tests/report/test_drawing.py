"""Charts as SVG: all series, labelled axes, text that can be found."""

import doctest
import re
import warnings
import xml.etree.ElementTree as ET

import pytest

from spos_tf.report import drawing, scores, statistics
from spos_tf.report.drawing import MANY, draw_svg
from spos_tf.report.plots import draw_front, draw_latency, draw_search
from spos_tf.report.training_curves import draw_curves
from spos_tf.space.candidate import Candidate
from spos_tf.space.front import front_of


def record(count, slope=1.0, macs=1_000_000):
    return [
        Candidate(
            i=i,
            generation=i // 10,
            encoding=(i,),
            choices={"op": "x"},
            costs={"macs": macs * (1 + i % 7)},
            metric="accuracy",
            direction="max",
            score=0.25 + slope * (i * 37 % count) / count / 2,
            seconds=1.0,
            worker="",
            time=0.0,
        )
        for i in range(count)
    ]


def search(figure):
    draw_search(figure, {"evolution": record(40), "random": record(40, 0.5)})


def front(figure):
    some = record(40)
    draw_front(figure, some, front_of(some, "macs"), "macs", {"max_macs": 5e6})


def latency(figure):
    draw_latency(figure, {"spread": [(1, 1.5), (2, 2.5)], "uniform": [(1, 1)]})


def curves(figure):
    draw_curves(
        figure, {"training": [(1, 2.0), (9, 1.0)], "validation": []}, "loss"
    )


TEXTS = {
    search: [
        *("evaluations", "generations", "supernet accuracy [%]"),
        *("evolution: best so far, 73.75 %", "random: best so far, 49.38 %"),
        *("evolution: candidates", "random: mean of the 10 best"),
    ],
    front: [
        *("multiply-adds", "supernet accuracy [%]", "40 candidates"),
        *(
            f"front, {len(front_of(record(40), 'macs'))}",
            "best, 73.75 %",
            "max_macs",
            "6 M",
        ),
    ],
    latency: [
        *("predicted [ms]", "measured [ms]"),
        *("spread, 2", "uniform, 1", "equal"),
    ],
    curves: ["training steps", "loss", "training", "validation"],
}


def texts(svg):
    return [one.text for one in ET.fromstring(svg).iter("text")]


@pytest.mark.parametrize("module", [drawing, scores, statistics])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


@pytest.mark.parametrize("draw", TEXTS)
def test_every_series_and_axis_is_named_in_text(draw):
    svg = draw_svg(draw, title="what it shows")
    assert set(TEXTS[draw]) <= set(texts(svg))
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == root.find("title").text
    assert root.find("title").text == "what it shows"


@pytest.mark.parametrize("draw", TEXTS)
def test_a_chart_is_the_same_again_and_stands_alone(draw):
    svg = draw_svg(draw, title="a")
    assert svg == draw_svg(draw, title="a")
    other = draw_svg(draw, title="b")
    ids = re.compile(r' id="([^"]+)"')
    ours, theirs = ids.findall(svg), ids.findall(other)
    assert ours and len(set(ours)) == len(ours)
    # Both may stand on one page.
    assert not set(ours) & set(theirs)
    assert set(re.findall(r"#([a-z][0-9a-f]{10})", svg)) == set(ours)
    for word in ("http", "<style", "metadata", "DOCTYPE"):
        assert word not in svg


def test_every_series_is_drawn_in_its_colour():
    svg = draw_svg(search, title="a").lower()
    for color, _, _ in drawing.STYLES[:2]:
        # A line for the best, one for the mean, and a dot a candidate.
        assert svg.count(f"stroke: {color.lower()}") >= 2
        assert svg.count(f"fill: {color.lower()}") >= 40


@pytest.mark.parametrize(
    "name", ["_a", "a$b$c", "a<b>&", "\ud800\x00", "\u4e2d"]
)
def test_any_name_is_shown_as_it_is(name):
    def draw(figure):
        draw_curves(figure, {name: [(1, 1.0)]}, name)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = texts(draw_svg(draw, title=name))
    shown = name if name.isprintable() else "??"
    assert [one.strip() for one in found].count(shown) == 2


def test_very_many_dots_are_one_bitmap():
    some = record(MANY + 1)
    svg = draw_svg(lambda figure: draw_search(figure, {"a": some}), title="a")
    (image,) = ET.fromstring(svg).iter("image")
    assert image.attrib["href"].startswith("data:image/png;base64,")
    assert len(svg) < 200_000


def test_more_searches_than_can_be_told_apart_show_their_best():
    records = {f"search{n}": record(20, n / 9) for n in range(9)}
    found = texts(
        draw_svg(lambda figure: draw_search(figure, records), title="a")
    )
    assert sum("best so far" in one for one in found) == 9
    assert not any("candidates" in one for one in found)


@pytest.mark.parametrize("macs", [1e307, -1e307, 2**60, 5e-324, 0])
def test_costs_of_any_size_are_drawn(macs):
    some = record(12, macs=macs)

    def draw(figure):
        draw_front(figure, some, front_of(some, "macs"), "macs", {"max": 1e308})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "12 candidates" in texts(draw_svg(draw, title="a"))
