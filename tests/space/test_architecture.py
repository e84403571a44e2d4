"""Architecture files."""

import json

import hypothesis
import pytest
from hypothesis import strategies as st

from spos_tf.errors import UserError
from spos_tf.space import Architecture

VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(-(2**31), 2**31),
    st.floats(allow_nan=False, allow_infinity=False),
)
ARCHITECTURES = st.builds(
    Architecture,
    st.text(max_size=8),
    st.dictionaries(st.text(max_size=8), VALUES | st.lists(VALUES), max_size=4),
    st.dictionaries(
        st.text(max_size=8),
        VALUES | st.tuples(st.integers(), st.integers()),
        max_size=4,
    ),
)


@hypothesis.given(ARCHITECTURES)
@hypothesis.settings(max_examples=50)
def test_reading_undoes_writing(architecture):
    data = json.loads(architecture.to_json())
    assert Architecture.from_dict(data, source="test") == architecture
    assert Architecture.from_dict(data, source="test").to_json() == (
        architecture.to_json()
    )


def test_a_file_is_what_the_contract_says():
    architecture = Architecture(
        "shufflenet_blocks", {"preset": "cifar"}, {"stage1.block1.op": "7x7"}
    )
    assert json.loads(architecture.to_json()) == {
        "schema": 1,
        "search_space": "shufflenet_blocks",
        "space_arguments": {"preset": "cifar"},
        "choices": {"stage1.block1.op": "7x7"},
    }
    names = [
        line.split('"')[1]
        for line in architecture.to_json().split("\n")
        if line.startswith('  "')
    ]
    assert names == sorted(names)


def test_further_fields_such_as_those_of_best_json_are_passed_over(tmp_path):
    architecture = Architecture("toy", {}, {"a": "b"})
    path = tmp_path / "best.json"
    path.write_text(
        json.dumps(
            {**architecture.to_dict(), "costs": {"macs": 1}, "accuracy": 0.5}
        )
    )
    assert Architecture.read(path) == architecture


GOOD = Architecture("toy", {}, {"a": "b"}).to_dict()


@pytest.mark.parametrize(
    "data, message",
    [
        ([1], "holds a JSON object; F holds list"),
        ({}, "schema 1; F has schema None"),
        ({**GOOD, "schema": 2}, "schema 1; F has schema 2"),
        ({**GOOD, "search_space": 3}, "'search_space' .* is a string; F has 3"),
        ({**GOOD, "choices": None}, "'choices' .* is an object; F has None"),
        (
            {k: v for k, v in GOOD.items() if k != "space_arguments"},
            "'space_arguments' .* is an object; F has None",
        ),
    ],
)
def test_what_is_no_architecture_is_refused(data, message):
    with pytest.raises(UserError, match=message):
        Architecture.from_dict(data, source="F")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_file_that_is_not_json_is_named(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is JSON; '.*broken.json' is not"):
        Architecture.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no architecture file '.*none.json'"):
        Architecture.read(tmp_path / "none.json")
    with pytest.raises(UserError, match="Is a directory"):
        Architecture.read(tmp_path)
