"""Search spaces by name."""

import json

import pytest

from spos_tf.errors import UserError
from spos_tf.space import Architecture
from spos_tf.spaces import (
    at_its_place,
    blueprint_of,
    build_blueprint,
    named_network,
    network_names,
    preset_names,
    space_names,
)

ONE_SPACE = """
from spos_tf.blocks.shuffle import Head, Stem
from spos_tf.networks.blueprint import Blueprint, Segment
from spos_tf.space import Choice, SearchSpace

PRESETS = {"small": 8, "large": 16}

def space(*, preset="small", num_classes=10):
    given = {"preset": preset, "num_classes": num_classes}
    usual = {"preset": "small", "num_classes": 10}
    return Blueprint(
        SearchSpace("mine", (Choice("head.width", (4, 6)),)),
        {k: v for k, v in given.items() if v != usual[k]},
        PRESETS[preset],
        num_classes,
        (
            Segment("stem", (Stem(4, 1, "standard"),)),
            Segment(
                "head",
                tuple(Head(width, num_classes) for width in (4, 6)),
                "head.width",
            ),
        ),
    )
"""
LOADS = """
with open(__file__ + ".loads", "a") as file:
    file.write("x")
"""


@pytest.fixture
def space_file(tmp_path):
    """Writes a file of search spaces; gives its path."""
    count = 0

    def write(*lines):
        nonlocal count
        count += 1
        path = tmp_path / f"space{count}.py"
        path.write_text("\n".join(lines))
        return str(path)

    return write


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
            encoding = blueprint.search_space.legal_table[:, 0]
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
        ({"stage_widths": [16, 16]}, "grow from the stem's 16"),
        ({"stage_widths": [8, 16]}, "grow from the stem's 16"),
        ({"stage_widths": [16]}, "one value a stage"),
        ({"stage_widths": 16}, "list of one number a stage; got 16"),
        ({"stage_widths": [16, 32.0]}, "positive whole numbers; got 32.0"),
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


def test_networks_by_name():
    assert network_names() == (
        *("fbnet_a", "fbnet_b", "fbnet_c"),
        *("proxyless_gpu", "proxyless_mobile"),
        *("resnet18_2w2a", "resnet18_3w3a", "resnet18_4w4a"),
        *("resnet34_2w2a", "resnet34_3w3a", "resnet34_4w4a"),
    )
    blueprint, encoding = named_network("fbnet_a")
    assert blueprint.search_space.name == "fbnet"
    assert blueprint.space_arguments == {"last_width": 1504}
    assert encoding.dtype == "int32"
    # Arguments replace the network's own, None leaves them.
    blueprint, _ = named_network("fbnet_a", num_classes=10, image_size=None)
    assert blueprint.space_arguments == {"last_width": 1504, "num_classes": 10}
    blueprint, _ = named_network("fbnet_a", last_width=1984)
    assert blueprint.space_arguments == {}
    # Another size has widths of its own.
    blueprint, again = named_network("fbnet_a", preset="cifar")
    assert blueprint.space_arguments == {"preset": "cifar"}
    assert again.tolist() == encoding.tolist()
    # What makes it this network holds at every size.
    blueprint, encoding = named_network("resnet18_3w3a", preset="demo")
    assert blueprint.space_arguments["precisions"] == ([3, 3],)
    assert encoding.tolist() == [0] * 6


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("fbnet", {}, "Unknown network 'fbnet'. The networks are: fbnet_a, "),
        ("fbnet_a", {"preset": "demo"}, "22 blocks .* its space has 5"),
        ("fbnet_a", {"width": 1}, "Space 'fbnet' has no argument 'width'"),
        ("fbnet_a", {"stem_width": 8}, "'stage1.block1.op' cannot be 'skip'"),
    ],
)
def test_a_network_that_is_not_there_is_refused(name, arguments, message):
    with pytest.raises(UserError, match=message):
        named_network(name, **arguments)


def test_a_space_of_a_file(space_file):
    path = space_file(LOADS, ONE_SPACE, "SPACES = {'mine': space}")
    for name in (path, f"{path}:mine"):
        assert preset_names(name) == ("small", "large")
        blueprint = build_blueprint(name, preset="large", num_classes=None)
        assert blueprint.search_space.name == f"{path}:mine"
        assert blueprint.image_size == 16
        text = blueprint.architecture([1]).to_json()
        read = Architecture.from_dict(json.loads(text), source="test")
        assert blueprint_of(read) == blueprint
        assert blueprint.encode(read).tolist() == [1]
    # It was run once.
    with open(f"{path}.loads") as file:
        assert file.read() == "x"
    assert path not in space_names()


def test_a_space_of_a_file_becomes_a_network(space_file):
    """Keras takes no slash in a name."""
    from spos_tf.networks.subnet import build_subnet

    path = space_file(ONE_SPACE, "SPACES = {'mine': space}")
    assert build_subnet(build_blueprint(path), [0]).name == "mine"


def test_a_file_of_several_spaces(space_file):
    path = space_file(ONE_SPACE, "SPACES = {'one': space, 'two': space}")
    blueprint = build_blueprint(f"{path}:two")
    assert blueprint.search_space.name == f"{path}:two"
    for name in (path, f"{path}:three"):
        with pytest.raises(UserError, match="spaces one, two. Name one"):
            build_blueprint(name)


def test_a_file_that_has_moved(space_file):
    lines = (ONE_SPACE, "SPACES = {'one': space, 'two': space}")
    old, new = space_file(*lines), space_file(*lines)
    assert at_its_place(f"{old}:one", f"{new}:one") == f"{new}:one"
    assert at_its_place(f"{old}:one", f"{new}:two") == f"{old}:one"
    assert at_its_place("fbnet", f"{new}:one") == "fbnet"
    assert at_its_place(f"{old}:one", "fbnet") == f"{old}:one"
    only = space_file(ONE_SPACE, "SPACES = {'one': space}")
    assert at_its_place(f"{old}:one", only) == f"{only}:one"
    assert at_its_place(f"{old}:two", only) == f"{old}:two"


@pytest.mark.parametrize(
    "lines, message",
    [
        (["x = 1"], "defines SPACES, .* has None. See docs/custom_space.md"),
        (["SPACES = {}"], "defines SPACES, .* not empty.* has {}"),
        (["SPACES = {'a': 1}"], "defines PRESETS, "),
        (["SPACES = {'a/b': 1}", "PRESETS = {'x': 1}"], "has 'a/b'"),
        (["x = 1", "1 / 0"], r"run: ZeroDivisionError: .*zero \(line 2\)\.$"),
        (["x = 1", "def"], r"does not run: SyntaxError: .* \(line 2\)\.$"),
        (
            [
                "def a():",
                "  raise KeyError('k')",
                "PRESETS = {'x': 1}",
                "SPACES = {'a': a}",
            ],
            r"'a' .* cannot be built: KeyError: 'k' \(line 2\)\.$",
        ),
        (
            ["PRESETS = {'x': 1}", "SPACES = {'a': 1}"],
            "functions that return a Blueprint; 'a' is 1",
        ),
        (
            ["PRESETS = {'x': 1}", "SPACES = {'a': lambda: {}}"],
            "returns a Blueprint; 'a' of file .* returns dict",
        ),
        (
            [
                "from spos_tf.errors import UserError",
                "def a(): raise UserError('Widths are even.')",
                "PRESETS = {'x': 1}",
                "SPACES = {'a': a}",
            ],
            "^Widths are even.$",
        ),
        (
            [
                ONE_SPACE.replace("Head(width, num", "Head(4, width + num"),
                "SPACES = {'a': space}",
            ],
            "^All branches .* those of 'head' disagree",
        ),
    ],
)
def test_a_file_that_is_no_space_is_refused(space_file, lines, message):
    path = space_file(*lines)
    with pytest.raises(UserError, match=message) as refusal:
        build_blueprint(path)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_missing_is_refused():
    with pytest.raises(UserError, match="no file 'a/b.py' .* has moved"):
        build_blueprint("a/b.py:one")
    with pytest.raises(UserError, match="your own is path/to/file.py"):
        build_blueprint("my_space")
