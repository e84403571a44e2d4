"""Exact counts: what the paper's own networks cost."""

import json

import pytest

from layer_count import count_layers
from spos_tf.blocks.shuffle import Head, ShuffleBlock, Stem
from spos_tf.cost.counts import block_cost, network_cost, segment_costs
from spos_tf.errors import UserError
from spos_tf.space.search_space import parse_encoding
from spos_tf.spaces import build_blueprint

README = "2,1,0,1,2,0,2,0,2,0,2,3,0,0,0,0,3,2,3,3"
OURS = "0,0,3,1,1,1,0,0,2,0,2,1,1,0,2,0,2,1,3,2"


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint("shufflenet_blocks")


@pytest.mark.parametrize(
    "encoding, macs",
    [
        (README, 322_918_720),
        (OURS, 318_729_024),
        (",".join("0" * 20), 295_842_496),
        (",".join("1" * 20), 313_654_976),
        (",".join("2" * 20), 340_373_696),
        (",".join("3" * 20), 358_825_920),
    ],
)
def test_macs_are_the_published_ones(blueprint, encoding, macs):
    assert network_cost(blueprint, parse_encoding(encoding)).macs == macs


def test_params_are_the_published_ones(blueprint):
    cost = network_cost(blueprint, parse_encoding(README))
    assert cost.params == 3_558_464
    assert cost.params_without_bn == 3_529_312
    assert cost.keras_count_params == 3_587_616


def test_the_built_network_has_the_published_counts(blueprint):
    from spos_tf.networks.subnet import build_subnet

    subnet = build_subnet(blueprint, parse_encoding(README))
    assert count_layers(subnet) == {
        "macs": 322_918_720,
        "params": 3_558_464,
        "params_without_bn": 3_529_312,
        # Its classifier has no bias.
        "flops_benchmark": 322_918_720,
    }
    assert subnet.count_params() == 3_587_616


def test_every_reference_architecture_agrees_block_by_block(
    blueprint, shared_dir
):
    path = shared_dir / "facts" / "reference_architectures.json"
    networks = [
        one
        for one in json.loads(path.read_text())["networks"].values()
        if one["family"] == "shufflenet_v2_choice_blocks"
        and set(one["mid_scales"]) == {1.0}
    ]
    assert len(networks) >= 6
    for network in networks:
        encoding = network["encoding"]
        cost = network_cost(blueprint, encoding)
        expected = network["expected"]
        assert cost.macs == expected["macs"], network["name"]
        assert cost.params == expected["params_with_bn"]
        assert cost.params_without_bn == expected["params_without_bn"]
        assert cost.keras_count_params == expected["keras_count_params"]
        blocks = segment_costs(blueprint, encoding)[1:-1]
        for ours, theirs in zip(blocks, network["blocks"], strict=True):
            assert ours.macs == theirs["macs"]
            assert ours.params_without_bn == theirs["weights"]
            assert 2 * ours.batch_norm_channels == theirs["bn_affine"]


def test_stem_and_head_are_those_of_the_official_table():
    assert block_cost(Stem(16, 2, "bgr"), (224, 224, 3)).macs == 5_419_008
    head = block_cost(Head(1024, 1000), (7, 7, 640))
    assert head.macs == 33_136_640
    assert head.params_without_bn == 640 * 1024 + 1024 * 1000


def test_a_dense_bias_is_a_weight_and_no_multiply_add():
    plain = block_cost(Head(8, 10), (4, 4, 16))
    biased = block_cost(Head(8, 10, use_bias=True), (4, 4, 16))
    assert biased.macs == plain.macs
    assert biased.params == plain.params + 10


def test_odd_sizes_round_up_at_stride_2():
    block = ShuffleBlock("3x3", 16, 8, strides=2, projects=True)
    assert (
        block_cost(block, (7, 7, 8)).macs
        == 16 * (9 * 8 + 8 * 8 + 9 * 8 + 8 * 8) + 49 * 8 * 8
    )


def test_the_supernet_has_the_official_number_of_weights(blueprint):
    total = sum(
        block_cost(branch, shape).params_without_bn
        for segment, shape in zip(
            blueprint.segments, blueprint.input_shapes, strict=True
        )
        for branch in segment.branches
    )
    assert total == 8_388_176


def test_a_foreign_encoding_is_refused(blueprint):
    with pytest.raises(UserError, match="20 integers"):
        network_cost(blueprint, [0] * 19)
