"""What a description of one's own may get wrong."""

import dataclasses

import pytest

from spos_tf.blocks.shuffle import Head, ShuffleBlock
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Segment, check_blueprint
from spos_tf.spaces import build_blueprint


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint("shufflenet_joint", preset="demo")


def _with(blueprint, index, **changes):
    segments = list(blueprint.segments)
    segments[index] = dataclasses.replace(segments[index], **changes)
    return dataclasses.replace(blueprint, segments=tuple(segments))


def test_an_option_without_a_block(blueprint):
    branches = blueprint.segments[1].branches
    for few in (branches[:3], (*branches[:3], None)):
        with pytest.raises(UserError, match="no block for option 3"):
            _with(blueprint, 1, branches=few)


def test_choices_that_are_shared_in_part(blueprint):
    with pytest.raises(UserError, match="same choices or none"):
        _with(blueprint, 2, elastic=blueprint.segments[1].elastic)


def test_branches_that_disagree(blueprint):
    block = ShuffleBlock("3x3", 24, 4, projects=True)
    branches = (block, *blueprint.segments[1].branches[1:])
    with pytest.raises(UserError, match="disagree"):
        _with(blueprint, 1, branches=branches)


def test_a_choice_that_the_space_has_not(blueprint):
    with pytest.raises(UserError, match="reads 'colour', which is none"):
        _with(blueprint, 1, choice="colour")


def test_segments_of_one_name(blueprint):
    with pytest.raises(UserError, match="name of its own; got 'stem', 'stem'"):
        _with(blueprint, 1, name="stem")
    with pytest.raises(UserError, match="at least one segment.*; got none"):
        dataclasses.replace(blueprint, segments=())


def test_an_output_that_is_no_number_a_class(blueprint):
    with pytest.raises(UserError, match=r"the 7 classes; 'head' .* \[10\]"):
        check_blueprint(dataclasses.replace(blueprint, num_classes=7))
    headless = dataclasses.replace(blueprint, segments=blueprint.segments[:-1])
    with pytest.raises(UserError, match="the 10 classes; 'stage"):
        check_blueprint(headless)
    check_blueprint(blueprint)


@dataclasses.dataclass(frozen=True)
class Twice:
    """Two layers of one name."""

    def __call__(self, ops, x):
        x = ops.conv(x, 4, name="conv")
        return Head(8, 10)(ops, ops.conv(x, 4, name="conv"))


def test_layers_of_one_name(blueprint):
    segments = (*blueprint.segments[:-1], Segment("head", (Twice(),)))
    with pytest.raises(UserError, match="have one name"):
        dataclasses.replace(blueprint, segments=segments)
