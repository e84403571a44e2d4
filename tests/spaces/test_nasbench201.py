"""NAS-Bench-201: published counts, strings, skeleton, smaller spaces."""

import json

import numpy as np
import pytest

from spos_tf.cost.counts import network_cost
from spos_tf.cost.description import describe
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.networks.shared_choices import untied, untied_encoding
from spos_tf.spaces import (
    build_blueprint,
    parse_architecture,
)
from spos_tf.spaces.nasbench201 import EDGES, OPS

# Of the benchmark's data file: index 1, and the largest and smallest network.
INDEX_1 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+"
    "|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
)
INDEX_11472 = (
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+"
    "|skip_connect~0|none~1|skip_connect~2|"
)
LARGEST = [OPS.index("nor_conv_3x3")] * 6
SMALLEST = [OPS.index("none")] * 6
CIFAR100 = {"num_classes": 100}
IMAGENET16 = {"num_classes": 120, "image_size": 16}


def _encoding(network):
    if isinstance(network, str):
        return parse_architecture("nasbench201", network)
    return network


@pytest.mark.parametrize(
    ("network", "arguments", "flops", "params"),
    [
        (LARGEST, {}, 220_119_690, 1_531_546),
        (LARGEST, CIFAR100, 220_125_540, 1_537_396),
        (LARGEST, IMAGENET16, 55_037_560, 1_538_696),
        (SMALLEST, {}, 7_783_050, 73_306),
        (SMALLEST, CIFAR100, 7_788_900, 79_156),
        (SMALLEST, IMAGENET16, 1_953_400, 80_456),
        (INDEX_1, {}, 113_951_370, 802_426),
        (INDEX_1, CIFAR100, 113_957_220, 808_276),
        (INDEX_1, IMAGENET16, 28_495_480, 809_576),
        (INDEX_11472, {}, 78_561_930, 559_386),
    ],
)
def test_counts_are_the_benchmarks(network, arguments, flops, params):
    blueprint = build_blueprint("nasbench201", **arguments)
    encoding = _encoding(network)
    cost = network_cost(blueprint, encoding)
    assert (cost.flops_benchmark, cost.params) == (flops, params)
    # Without the additions of the classifier's bias.
    assert cost.macs == flops - blueprint.num_classes
    for name in ("macs", "params", "flops_benchmark"):
        assert cost_table(blueprint, name)(encoding) == getattr(cost, name)
    assert describe(blueprint, encoding)["flops_benchmark"] == flops


def test_other_spaces_have_no_benchmark_figure():
    blueprint = build_blueprint("shufflenet_blocks")
    with pytest.raises(UserError, match=r"have no flops_benchmark.*macs"):
        cost_table(blueprint, "flops_benchmark")


@pytest.mark.parametrize(
    ("number", "size", "missing"),
    [
        (1, 4096, {"nor_conv_1x1"}),
        (2, 4096, {"avg_pool_3x3"}),
        (3, 729, {"nor_conv_1x1", "avg_pool_3x3"}),
    ],
)
def test_smaller_spaces_keep_the_encoding(number, size, missing):
    space = build_blueprint(f"nasbench201_reduce{number}").search_space
    whole = build_blueprint("nasbench201").search_space
    assert (whole.size, space.size) == (15_625, size)
    assert space.choices == whole.choices
    drawn = space.sample(np.random.default_rng(0), 500)
    assert {OPS[i] for i in drawn.ravel()} == set(OPS) - missing
    for op in missing:
        with pytest.raises(UserError, match=f"cannot be '{op}'"):
            space.check([OPS.index(op)] * 6)


def test_strings_are_read_in_the_order_of_the_edges():
    space = build_blueprint("nasbench201").search_space
    for encoding in space.sample(np.random.default_rng(1), 50):
        # Operations stand in the order of the edges.
        names = [OPS[option] for option in encoding]
        text = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*names)
        again = parse_architecture("nasbench201", text)
        assert np.array_equal(again, encoding)
        assert again.dtype == np.int32
    first = parse_architecture("nasbench201", INDEX_1)
    assert first.tolist() == [3, 3, 4, 1, 3, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is written \|op~0\|"),
        (INDEX_1 + "x", r"is written \|op~0\|"),
        (INDEX_1.replace("~2", "~1"), r"is written \|op~0\|"),
        (
            INDEX_1.replace("skip_connect", "sep_conv"),
            "no operation 'sep_conv'",
        ),
    ],
)
def test_other_strings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_architecture("nasbench201", text)


def test_spaces_without_strings_have_encodings():
    assert parse_architecture("shufflenet_blocks", "0,3").tolist() == [0, 3]


def test_the_skeleton_is_the_benchmarks():
    blueprint = build_blueprint("nasbench201")
    names = [segment.name for segment in blueprint.segments]
    cells = [name for name in names if "cell" in name]
    assert len(cells) == 15 * len(EDGES)
    others = [name for name in names if "cell" not in name]
    assert others == ["stem", "stage2.reduction", "stage3.reduction", "head"]
    # Edges take the sums of their node: of the fourth cell those of the third.
    at = {name: i for i, name in enumerate(names)}
    named = {
        edge: tuple(names[source] for source in blueprint.sources[at[edge]])
        for edge in names
    }
    third, fourth = "stage1.cell3.edge", "stage1.cell4.edge"
    output = (third + "03", third + "13", third + "23")
    assert named[fourth + "01"] == output
    assert named[fourth + "03"] == output
    assert named[fourth + "12"] == (fourth + "01",)
    assert named[fourth + "23"] == (fourth + "02", fourth + "12")
    assert blueprint.output_shapes[at["stage3.cell5.edge23"]] == (8, 8, 64)


def test_untied_cells_have_choices_and_the_same_costs():
    tied = build_blueprint("nasbench201_reduce3")
    own = untied(tied)
    space = own.search_space
    assert space.num_choices == 90
    assert space.size == tied.search_space.size**15
    assert space.choices[7].name == "stage1.cell2.edge02"
    encoding = tied.search_space.sample(np.random.default_rng(2), 1)[0]
    spread = untied_encoding(tied, encoding)
    assert space.check(spread).tolist() == [*encoding.tolist()] * 15
    assert network_cost(own, spread) == network_cost(tied, encoding)


def test_what_shares_no_choice_cannot_be_untied():
    with pytest.raises(UserError, match="nothing to untie"):
        untied(build_blueprint("shufflenet_blocks"))
    with pytest.raises(UserError, match="nothing to untie"):
        untied(build_blueprint("resnet18_bits"))


def test_a_description_is_json_with_all_edges():
    blueprint = build_blueprint("nasbench201", preset="demo")
    text = json.dumps(describe(blueprint, SMALLEST))
    slots = json.loads(text)["slots"]
    assert len(slots) == 12
    assert slots[6]["name"] == "stage2.cell1.edge01"
    assert slots[6]["input_shape"] == slots[6]["output_shape"] == [4, 4, 16]
    assert slots[6]["choices"]["edge01"]["chosen"] == "none"
