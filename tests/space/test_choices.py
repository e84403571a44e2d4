"""Choices and the encoding."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from spos_tf.errors import UserError
from spos_tf.space import Choice, SearchSpace
from spos_tf.space.search_space import format_encoding, parse_encoding

OPTIONS = st.one_of(
    st.text(max_size=5),
    st.integers(-9, 9).map(lambda i: i / 2),
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
)


@st.composite
def spaces(draw):
    lists = draw(
        st.lists(
            st.lists(OPTIONS, min_size=1, max_size=5, unique=True),
            min_size=1,
            max_size=6,
        )
    )
    return SearchSpace(
        "drawn",
        tuple(
            Choice(f"stage1.block{i}.op", tuple(options))
            for i, options in enumerate(lists, 1)
        ),
    )


@hypothesis.given(spaces(), st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=50)
def test_encode_undoes_decode(space, seed):
    for encoding in space.sample(np.random.default_rng(seed), 3):
        again = space.encode(space.decode(encoding))
        np.testing.assert_array_equal(again, encoding)
        assert again.dtype == encoding.dtype == np.int32


@hypothesis.given(st.lists(st.integers(0, 99), min_size=1, max_size=30))
@hypothesis.settings(max_examples=30)
def test_the_command_lines_form_reads_back(values):
    text = format_encoding(np.array(values))
    assert parse_encoding(text).tolist() == values


@pytest.mark.parametrize("text", ["", "1,,2", "1.0,2", "a", "99999999999"])
def test_a_bad_encoding_text_is_shown(text):
    with pytest.raises(UserError, match="comma-separated") as caught:
        parse_encoding(text)
    assert repr(text) in str(caught.value)


def test_an_unknown_option_is_answered_with_the_known_ones():
    choice = Choice("stage1.block1.op", ("3x3", "5x5", "7x7", "xception"))
    with pytest.raises(UserError) as caught:
        choice.index("9x9")
    assert str(caught.value) == (
        "Choice 'stage1.block1.op' has no option '9x9'. Its options are "
        "('3x3', '5x5', '7x7', 'xception')."
    )


def test_json_lists_are_tuples_and_truth_is_no_number():
    choice = Choice("stage1.block1.bits", (1, (1, 2), (4, 4)))
    assert choice.index([4, 4]) == 2
    with pytest.raises(UserError, match="no option True"):
        choice.index(True)


@pytest.fixture
def space():
    return SearchSpace(
        "toy",
        (
            Choice("stage1.block1.op", ("3x3", "5x5")),
            Choice("stage1.block2.op", ("3x3", "5x5", "7x7")),
        ),
    )


@pytest.mark.parametrize(
    "encoding, message",
    [
        ([0], r"'toy' has 2 integers, one a choice; got shape \(1,\)"),
        ([[0, 1]], r"got shape \(1, 2\)"),
        ([0.0, 1.0], "holds integers; got float64 values"),
        ([True, False], "holds integers; got bool values"),
        ([0, 3], r"'stage1.block2.op' has options 0 to 2 .*got index 3"),
        ([-1, 0], "'stage1.block1.op' has options 0 to 1 .*got index -1"),
    ],
)
def test_an_encoding_of_another_space_is_refused(space, encoding, message):
    with pytest.raises(UserError, match=message):
        space.check(encoding)


@pytest.mark.parametrize(
    "chosen, message",
    [
        ({"stage1.block1.op": "3x3"}, "missing: .*stage1.block2.op"),
        (
            {
                "stage1.block1.op": "3x3",
                "stage1.block2.op": "3x3",
                "stage9.block9.op": "3x3",
            },
            "missing: none, unknown: .*stage9.block9.op",
        ),
        (
            {"stage1.block1.op": "7x7", "stage1.block2.op": "3x3"},
            "'stage1.block1.op' has no option '7x7'",
        ),
    ],
)
def test_an_architecture_settles_every_choice(space, chosen, message):
    with pytest.raises(UserError, match=message):
        space.encode(chosen)


def test_size_is_exact_beyond_floats():
    choices = tuple(Choice(f"c{i}", (0, 1, 2)) for i in range(60))
    assert SearchSpace("big", choices).size == 3**60


def test_samples_are_uniform(space):
    samples = space.sample(np.random.default_rng(0), 6000)
    _, counts = np.unique(samples, axis=0, return_counts=True)
    assert len(counts) == 6
    # Five standard deviations of a count with p = 1 / 6.
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(6000 * 5 / 36)


def test_position_finds_a_choice(space):
    assert space.position("stage1.block2.op") == 1
    with pytest.raises(KeyError):
        space.position("stage1.block3.op")


A = Choice("a", (1, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice("a", ()), "'a' has no options"),
        (lambda: Choice("a", (1, 1)), r"repeats an option: \(1, 1\)"),
        (
            lambda: SearchSpace("s", (A, A)),
            "repeats a choice name; its choices are 'a', 'a'",
        ),
        (lambda: SearchSpace("s", (A,), ((),)), "at least one legal option"),
        (lambda: SearchSpace("s", (A,), ((2,),)), "legal option of 0 to 1"),
    ],
)
def test_what_is_no_space_is_one_line(make, message):
    with pytest.raises(UserError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)
