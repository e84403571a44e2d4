"""The description, and what is refused."""

import dataclasses

import pytest

from spos_tf.errors import UserError
from spos_tf.space import Architecture
from spos_tf.spaces import build_blueprint


@pytest.fixture
def blueprint():
    return build_blueprint(
        "shufflenet_blocks",
        preset="demo",
        stem_width=8,
        stage_widths=[12, 16],
        stage_strides=[1, 2],
        stage_repeats=[1, 2],
    )


def test_shapes_follow_the_strides(blueprint):
    assert blueprint.input_shapes == (
        (8, 8, 3),
        (8, 8, 8),
        (8, 8, 12),
        (4, 4, 16),
        (4, 4, 16),
    )


def test_a_path_names_a_branch_a_segment(blueprint):
    assert blueprint.settings([3, 0, 2]) == ((), (3,), (0,), (2,), ())
    with pytest.raises(UserError, match="3 integers"):
        blueprint.settings([3, 0])


def test_encoding_an_architecture_undoes_naming_it(blueprint):
    architecture = blueprint.architecture([3, 0, 2])
    assert architecture.choices["stage2.block2.op"] == "7x7"
    assert blueprint.encode(architecture).tolist() == [3, 0, 2]
    # As it comes back from a file: lists instead of tuples.
    again = Architecture.from_dict(architecture.to_dict(), source="test")
    assert blueprint.encode(again).tolist() == [3, 0, 2]


def test_an_architecture_of_another_network_is_refused(blueprint):
    architecture = blueprint.architecture([0, 0, 0])
    with pytest.raises(UserError, match=r"'shufflenet_blocks'.*'other'"):
        blueprint.encode(
            dataclasses.replace(architecture, search_space="other")
        )
    with pytest.raises(UserError, match=r"space arguments \{\}.*`preset`"):
        blueprint.encode(dataclasses.replace(architecture, space_arguments={}))
