"""ProxylessNAS: macros, options, and the released networks' exact counts."""

import json

import pytest

from reference_networks import assert_block_by_block, assert_counts
from spos_tf.blocks.mobile import Identity
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.spaces import build_blueprint

MACROS = {
    "proxyless_default": (32, 16, (24, 40, 80, 96, 192, 320), 1280),
    "proxyless_mobile": (32, 16, (32, 40, 80, 96, 192, 320), 1280),
    "proxyless_gpu": (40, 24, (32, 56, 112, 128, 256, 432), 1728),
    "proxyless_cpu": (40, 24, (32, 48, 88, 104, 216, 360), 1432),
}


@pytest.mark.parametrize("name", MACROS)
def test_the_macro_and_its_options(name):
    blueprint = build_blueprint(name)
    stem, first, widths, last = MACROS[name]
    shapes = blueprint.input_shapes
    assert shapes[:3] == (
        (224, 224, 3),
        (112, 112, stem),
        (112, 112, first),
    )
    assert [shapes[i] for i in (3, 7, 11, 15, 19, 23)] == [
        (size, size, width)
        for size, width in zip((56, 28, 14, 14, 7, 7), widths, strict=True)
    ]
    assert blueprint.segments[-1].branches[0].filters == last
    space = blueprint.search_space
    assert {choice.options for choice in space.choices} == {
        ("k3e3", "k5e3", "k7e3", "k3e6", "k5e6", "k7e6", "skip")
    }
    assert [choice.name for choice in space.choices] == [
        f"stage{stage}.block{block}.op"
        for stage, repeats in enumerate((4, 4, 4, 4, 4, 1), 1)
        for block in range(1, repeats + 1)
    ]
    # No skip where the image is halved or the width changes.
    assert space.size == 7**15 * 6**6
    for position, legal in enumerate(space.legal_options):
        can_skip = position % 4 != 0
        assert legal == (0, 1, 2, 3, 4, 5, 6)[: 7 if can_skip else 6]
        skip = blueprint.segments[position + 2].branches[6]
        assert skip == (Identity() if can_skip else None)


def test_relu6_and_epsilon_everywhere():
    import keras

    from spos_tf.networks.subnet import build_subnet

    blueprint = build_blueprint("proxyless_gpu", preset="demo")
    subnet = build_subnet(blueprint, [0, 6, 5, 1, 2])
    relus = [x for x in subnet.layers if isinstance(x, keras.layers.ReLU)]
    assert {layer.max_value for layer in relus} == {6.0}
    norms = [
        layer
        for layer in subnet.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {layer.epsilon for layer in norms} == {1e-3}
    assert subnet.layers[-1].use_bias


def test_an_illegal_skip_is_refused():
    space = build_blueprint("proxyless_default").search_space
    with pytest.raises(
        UserError,
        match=r"'stage1.block1.op' cannot be 'skip' \(index 6\) here",
    ):
        space.check([6] + [0] * 20)
    space.check([0, 6] + [0] * 19)


def test_a_skip_is_legal_where_given_widths_agree():
    blueprint = build_blueprint(
        "proxyless_default", preset="demo", first_width=8, stage_widths=[8, 8]
    )
    legal = blueprint.search_space.legal_options
    assert [6 in one for one in legal] == [True, True, False, True, True]


@pytest.mark.parametrize(
    "name, macs, params",
    [
        ("proxyless_mobile", 320_427_584, 4_080_512),
        ("proxyless_gpu", 465_260_160, 7_119_848),
    ],
)
def test_the_released_networks(name, macs, params):
    assert_counts(name, macs, params)


@pytest.mark.parametrize("name", ["proxyless_mobile", "proxyless_gpu"])
def test_block_by_block(name, shared_dir):
    assert_block_by_block(name, name, shared_dir)


def test_cheapest_and_dearest_networks(shared_dir):
    path = shared_dir / "facts" / "reference_architectures.json"
    table = json.loads(path.read_text())["tables"]["proxyless_search_space"]
    for name, key in [
        ("proxyless_default", "default_search"),
        ("proxyless_mobile", "mobile"),
        ("proxyless_gpu", "gpu"),
        ("proxyless_cpu", "cpu"),
    ]:
        macs = cost_table(build_blueprint(name), "macs")
        expected = table["macs_range"][key]
        assert (macs.minimum, macs.maximum) == tuple(expected.values())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"stage_widths": [16]}, "one value a stage"),
        ({"stage_widths": 16}, "list of one number a stage; got 16"),
        ({"stage_widths": [16, 0]}, "stage_widths takes positive .* got 0"),
        ({"stage_strides": [1, 3]}, "1 or 2; got 3"),
        ({"stem_stride": 0}, "1 or 2; got 0"),
        ({"stage_repeats": [2, 0]}, "stage_repeats takes positive"),
        ({"first_width": 0}, "first_width takes positive"),
        ({"last_width": True}, "last_width takes positive"),
        ({"dropout": 1.0}, r"\[0, 1\); got 1.0"),
        ({"input_kind": "rgb"}, "'bgr'.*got 'rgb'"),
    ],
)
def test_a_network_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        build_blueprint("proxyless_default", preset="demo", **arguments)
