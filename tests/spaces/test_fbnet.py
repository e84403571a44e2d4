"""FBNet: options, and the released networks' exact counts."""

import pytest

from reference_networks import assert_block_by_block, assert_counts
from spos_tf.errors import UserError
from spos_tf.export.tflite import write_tflite, write_tflite_source
from spos_tf.export.tflite_operations import most_dimensions
from spos_tf.networks.subnet import build_subnet
from spos_tf.spaces import build_blueprint

OPTIONS = (
    *("k3e1", "k3e1g2", "k3e3", "k3e6"),
    *("k5e1", "k5e1g2", "k5e3", "k5e6", "skip", "k33e6"),
)


def test_the_macro_and_its_options():
    blueprint = build_blueprint("fbnet")
    shapes = blueprint.input_shapes
    widths = (16, 24, 32, 64, 112, 184, 352)
    assert shapes[:2] == ((224, 224, 3), (112, 112, 16))
    assert [shapes[i] for i in (2, 3, 7, 11, 15, 19, 23)] == [
        (size, size, width)
        for size, width in zip((112, 56, 28, 14, 14, 7, 7), widths, strict=True)
    ]
    assert blueprint.segments[-1].branches[0].filters == 1984
    space = blueprint.search_space
    assert {choice.options for choice in space.choices} == {OPTIONS}
    assert [choice.name for choice in space.choices] == [
        f"stage{stage}.block{block}.op"
        for stage, repeats in enumerate((1, 4, 4, 4, 4, 4, 1), 1)
        for block in range(1, repeats + 1)
    ]
    # No skip where the image is halved or the width changes.
    changing = [1, 5, 9, 13, 17, 21]
    assert [
        position
        for position, legal in enumerate(space.legal_options)
        if 8 not in legal
    ] == changing
    assert space.size == 10**16 * 9**6


def test_relu_and_epsilon_everywhere():
    import keras

    from spos_tf.networks.subnet import build_subnet

    blueprint = build_blueprint("fbnet", preset="demo")
    subnet = build_subnet(blueprint, [1, 8, 9, 5, 0])
    relus = [x for x in subnet.layers if isinstance(x, keras.layers.ReLU)]
    assert {layer.max_value for layer in relus} == {None}
    norms = [
        layer
        for layer in subnet.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {layer.epsilon for layer in norms} == {1e-5}
    assert subnet.layers[-1].use_bias


@pytest.mark.parametrize(
    "name, macs, params",
    [
        ("fbnet_a", 249_369_912, 4_318_648),
        ("fbnet_b", 295_561_032, 4_812_088),
        ("fbnet_c", 382_984_480, 5_567_880),
    ],
)
def test_the_released_networks(name, macs, params):
    assert_counts(name, macs, params)


@pytest.mark.parametrize("name", ["fbnet_a", "fbnet_b", "fbnet_c"])
def test_block_by_block(name, shared_dir):
    assert_block_by_block(name, f"{name}_2019", shared_dir)


def test_an_illegal_skip_and_odd_widths_are_refused():
    blueprint = build_blueprint("fbnet", preset="demo")
    with pytest.raises(UserError, match="'stage2.block1.op' cannot be 'skip'"):
        blueprint.search_space.check([0, 0, 8, 0, 0])
    with pytest.raises(UserError, match="need even .* got 8 and .8, 15."):
        build_blueprint("fbnet", preset="demo", stage_widths=[8, 15])
    with pytest.raises(UserError, match="no argument 'first_width'"):
        build_blueprint("fbnet", first_width=8)


def test_grouped_blocks_keep_four_dimensions_in_tflite(tmp_path):
    """Delegates of GPUs and NPUs leave what has more to the CPU."""
    blueprint = build_blueprint(
        "fbnet",
        preset="demo",
        stage_widths=[12],
        stage_repeats=[2],
        stage_strides=[2],
        last_width=16,
    )
    options = blueprint.search_space.choices[0].options
    encoding = [options.index("k3e1g2"), options.index("k5e1g2")]
    source, file = tmp_path / "source", tmp_path / "model.tflite"
    write_tflite_source(build_subnet(blueprint, encoding), source)
    write_tflite(source, file, "float32")
    assert most_dimensions(file.read_bytes()) == 4
