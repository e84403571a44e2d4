"""Search spaces by name."""

import json

import pytest

from spos_tf.errors import UserError
from spos_tf.space import Architecture
from spos_tf.spaces import (
    blueprint_of,
    build_blueprint,
    preset_names,
    space_names,
)


def test_every_space_builds_at_every_preset():
    assert "shufflenet_blocks" in space_names()
    for name in space_names():
        for preset in preset_names(name):
            blueprint = build_blueprint(name, preset=preset)
            assert blueprint.search_space.name == name
            assert blueprint.input_shapes[0] == blueprint.input_shape


def test_an_architecture_file_finds_its_network_again():
    for name in space_names():
        for preset in preset_names(name):
            blueprint = build_blueprint(name, preset=preset, num_classes=7)
            encoding = [0] * blueprint.search_space.num_choices
            text = blueprint.architecture(encoding).to_json()
            read = Architecture.from_dict(json.loads(text), source="test")
            assert blueprint_of(read) == blueprint


def test_only_what_differs_from_the_paper_is_written():
    build = build_blueprint
    assert build("shufflenet_blocks").space_arguments == {}
    same = build("shufflenet_blocks", preset="imagenet", image_size=224)
    assert same.space_arguments == {}
    small = build("shufflenet_blocks", preset="cifar", num_classes=100)
    assert small.space_arguments == {"preset": "cifar", "num_classes": 100}


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        (
            "shufle",
            {},
            "Unknown search space 'shufle'. The spaces are: .*shuff",
        ),
        ("shufflenet_blocks", {"width": 3}, "no argument 'width'.*image_size"),
        (
            "shufflenet_blocks",
            {"preset": "mnist"},
            "no preset 'mnist'. Its presets are: imagenet, cifar, demo",
        ),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(name, arguments, message):
    with pytest.raises(UserError, match=message):
        build_blueprint(name, **arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"stage_widths": [16, 30]}, "multiples of 4"),
        ({"stage_widths": [16, 16]}, "grow from the stem's 8"),
        ({"stage_widths": [8, 16]}, "grow from the stem's 8"),
        ({"stage_widths": [16]}, "one value a stage"),
        ({"stage_widths": 16}, "list of one number a stage; got 16"),
        ({"stage_widths": [16, 32.0]}, "multiples of 4"),
        ({"stage_strides": [1, 3]}, "1 or 2; got 3"),
        ({"stem_stride": 0}, "1 or 2; got 0"),
        ({"stage_repeats": [2, 0]}, "stage_repeats takes positive"),
        ({"image_size": 0}, "image_size takes positive whole numbers; got 0"),
        ({"num_classes": 1.5}, "num_classes takes positive"),
        ({"last_width": True}, "last_width takes positive"),
        ({"dropout": 1.0}, r"\[0, 1\); got 1.0"),
        ({"dropout": "x"}, r"\[0, 1\); got 'x'"),
        ({"input_kind": "rgb"}, "'bgr'.*got 'rgb'"),
    ],
)
def test_a_network_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        build_blueprint("shufflenet_blocks", preset="demo", **arguments)
