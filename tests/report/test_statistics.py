"""Figures of a record."""

import types

from spos_tf.report.scores import metric_of
from spos_tf.report.statistics import (
    best_so_far,
    option_shares,
    top_candidates,
)


def candidate(i, accuracy, **choices):
    return types.SimpleNamespace(
        i=i,
        score=accuracy,
        metric="accuracy",
        direction="max",
        choices=choices,
    )


RECORD = [
    candidate(0, 0.5, a="x", b=(1, 2)),
    candidate(1, 0.9, a="y", b=(1, 2)),
    candidate(2, 0.7, a="y", b=(2, 2)),
    candidate(3, 0.9, a="x", b=(1, 2)),
]


def test_top_candidates_in_order_of_accuracy_then_proposal():
    assert [one.i for one in top_candidates(RECORD)] == [1, 3, 2, 0]
    assert [one.i for one in top_candidates(RECORD, 2)] == [1, 3]


def test_best_so_far():
    assert best_so_far(RECORD) == [0.5, 0.9, 0.9, 0.9]


def test_of_scores_where_less_is_better_the_least_is_the_best():
    losses = [
        types.SimpleNamespace(
            i=i, accuracy=None, score=score, metric="loss", direction="min"
        )
        for i, score in enumerate([0.5, 2.0, 0.25])
    ]
    assert [one.i for one in top_candidates(losses)] == [2, 0, 1]
    assert best_so_far(losses) == [0.5, 0.5, 0.25]
    assert metric_of(losses).label == "supernet loss"
    assert metric_of(losses).axis == "supernet loss (less is better)"


def test_shares_add_up_and_the_chosen_is_marked():
    tables = option_shares(
        RECORD, {"a": "y", "b": [1, 2]}, {"a": ["x", "y", "z"]}
    )
    (a,), (b,) = tables
    assert [tuple(option) for option in a.options] == [
        ("x", 0.5, False),
        ("y", 0.5, True),
        ("z", 0.0, False),
    ]
    # JSON's list and the record's tuple are the same option.
    assert [tuple(option) for option in b.options] == [
        ("(1, 2)", 0.75, True),
        ("(2, 2)", 0.25, False),
    ]


def test_an_option_that_the_choice_should_not_have_is_shown():
    ((row,),) = option_shares(RECORD[:1], {"b": 7}, {"a": ["y"], "b": [7]})[:1]
    assert row.name == "b"
    assert ("(1, 2)", 1.0, False) in map(tuple, row.options)


def test_choices_with_the_same_options_share_a_table():
    one = candidate(0, 0.5, **{"s1.op": "x", "s2.op": "y", "s1.width": 1.0})
    tables = option_shares([one], {}, {})
    assert [[row.name for row in table] for table in tables] == [
        ["s1.op", "s2.op"],
        ["s1.width"],
    ]
    assert not any(o.chosen for table in tables for r in table for o in r[1])
