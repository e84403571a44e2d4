"""NAS-Bench-Macro: the structure, the table's counts, equal networks."""

import itertools

import numpy as np
import pytest

from layer_count import count_layers
from spos_tf.blocks.mobile import Identity, InvertedResidual, Projection
from spos_tf.cost.table import cost_table
from spos_tf.networks.subnet import build_subnet
from spos_tf.spaces import build_blueprint

# Code: (params, multiply-adds), as the benchmark has them.
COUNTS = {
    "00000000": (387_882, 7_713_280),
    "11111111": (1_588_874, 53_246_464),
    "22222222": (2_932_586, 105_660_928),
    "02012100": (890_666, 47_327_744),
    "11111221": (2_181_386, 65_012_224),
    "20210212": (2_109_674, 62_714_368),
}
ALL = np.array(list(itertools.product(range(3), repeat=8)), np.int32)


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint("nas_bench_macro")


def test_the_layers(blueprint):
    sizes = [(32, 32), *[(16, 64)] * 2, *[(8, 128)] * 3, *[(4, 256)] * 3]
    assert blueprint.output_shapes == (
        *((size, size, width) for size, width in sizes),
        (10,),
    )
    space = blueprint.search_space
    assert [choice.name for choice in space.choices] == [
        f"stage{stage}.block{block}.op"
        for stage, repeats in enumerate((2, 3, 3), 1)
        for block in range(1, repeats + 1)
    ]
    assert space.size == 6_561
    for layer, segment in enumerate(blueprint.segments[1:-1], 1):
        first = layer in (1, 3, 6)
        skip, small, large = segment.branches
        assert isinstance(skip, Projection if first else Identity)
        for block, kernel, times in ((small, 3, 3), (large, 5, 6)):
            assert isinstance(block, InvertedResidual)
            assert (block.kernel_size, block.expansion) == (kernel, times)
            assert block.strides == (2 if first else 1)


@pytest.mark.parametrize("code", COUNTS)
def test_the_printed_codes(blueprint, code):
    encoding = [int(digit) for digit in code]
    for name, expected in zip(("params", "macs"), COUNTS[code], strict=True):
        assert cost_table(blueprint, name)([encoding]).tolist() == [expected]


def test_the_built_network_has_the_same_counts(blueprint):
    counted = count_layers(build_subnet(blueprint, [0, 2, 0, 1, 2, 1, 0, 0]))
    assert (counted["params"], counted["macs"]) == COUNTS["02012100"]


def test_every_row_of_the_table(blueprint, shared_dir):
    with np.load(shared_dir / "data" / "nas_bench_macro.npz") as table:
        encodings = table["encodings"]
        assert len(encodings) == 6_561
        for name in ("params", "macs"):
            counted = cost_table(blueprint, name)(encodings)
            assert np.array_equal(counted, table[name])


def test_the_proxy_takes_a_quarter():
    proxy = build_blueprint("nas_bench_macro", stem_stride=2)
    assert proxy.space_arguments == {"stem_stride": 2}
    assert proxy.output_shapes[0] == (16, 16, 32)
    mean = cost_table(proxy, "macs")(ALL).mean()
    assert mean == pytest.approx(13.9e6, rel=0.005)


def test_equal_networks_have_one_canonical_code(blueprint):
    canonical = blueprint.canonical(ALL)
    assert canonical.shape == ALL.shape and canonical.dtype == np.int32
    assert len(np.unique(canonical, axis=0)) == 3_969
    assert np.array_equal(blueprint.canonical(canonical), canonical)
    # The first layer of a stage stays, the order of the others too.
    moved = blueprint.canonical([0, 0, 1, 0, 2, 0, 0, 1])
    assert moved.tolist() == [0, 0, 1, 2, 0, 0, 1, 0]


def test_the_table_has_equal_accuracy_for_equal_networks(blueprint, shared_dir):
    with np.load(shared_dir / "data" / "nas_bench_macro.npz") as table:
        accuracy = {
            tuple(encoding): row.tolist()
            for encoding, row in zip(
                table["encodings"].tolist(), table["test_acc"], strict=True
            )
        }
    for encoding in ALL:
        other = blueprint.canonical(encoding)
        assert accuracy[tuple(encoding)] == accuracy[tuple(other)]
