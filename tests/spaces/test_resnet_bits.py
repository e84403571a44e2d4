"""The paper's counts of Table 6 and the space they are of."""

import numpy as np
import pytest

from spos_tf.cost.counts import network_cost
from spos_tf.cost.table import cost_names, cost_table
from spos_tf.errors import UserError
from spos_tf.networks.subnet import build_subnet
from spos_tf.quantization import QuantizedKernel
from spos_tf.spaces import build_blueprint, named_network, uniform_network

# Table 6 to four digits; ../shared/facts/paper-facts.md, section D.
TABLE = {
    ("resnet18", 2): 6.3164,
    ("resnet18", 3): 14.2119,
    ("resnet18", 4): 25.2656,
    ("resnet34", 2): 13.2070,
    ("resnet34", 3): 29.7158,
    ("resnet34", 4): 52.8281,
}


@pytest.mark.parametrize(("name", "bits"), TABLE)
def test_uniform_bits_have_the_published_bit_ops(name, bits):
    for blueprint, encoding in (
        uniform_network(f"{name}_bits", bits),
        named_network(f"{name}_{bits}w{bits}a"),
    ):
        cost = network_cost(blueprint, encoding)
        assert cost.bit_ops == pytest.approx(TABLE[name, bits], abs=5e-5)
        (table,) = cost_table(blueprint, "bit_ops")([encoding])
        assert table == cost.bit_ops


@pytest.mark.parametrize(
    ("name", "size", "least", "most"),
    [
        ("resnet18_bits", 18**8, 1.597, 37.755),
        ("resnet34_bits", 18**16, 3.320, 79.099),
    ],
)
def test_the_range_of_the_space(name, size, least, most):
    blueprint = build_blueprint(name)
    assert blueprint.search_space.size == size
    table = cost_table(blueprint, "bit_ops")
    assert table.minimum == pytest.approx(least, abs=5e-4)
    assert table.maximum == pytest.approx(most, abs=5e-4)


def test_the_network_is_the_usual_one():
    """torchvision's resnet18 and resnet34 have these many weights."""
    for name, params in (("resnet18", 11_689_512), ("resnet34", 21_797_672)):
        blueprint, encoding = named_network(f"{name}_4w4a")
        assert network_cost(blueprint, encoding).params == params


def test_a_width_is_that_of_the_first_convolution_only():
    blueprint = build_blueprint("resnet18_bits", preset="demo")
    encoding = [0, 0, 2, 3, 1, 5]
    subnet = build_subnet(blueprint, encoding)
    kernels = {
        layer.name: (layer.kernel.shape, layer.quantizer.bits)
        for layer in subnet.layers
        if isinstance(layer, QuantizedKernel)
    }
    assert kernels == {
        "stage1.block1.conv1": ((3, 3, 8, 4), 1),
        "stage1.block1.conv2": ((3, 3, 4, 8), 1),
        "stage2.block1.conv1": ((3, 3, 8, 24), 2),
        "stage2.block1.conv2": ((3, 3, 24, 16), 2),
        "stage2.block1.shortcut": ((1, 1, 8, 16), 2),
        "stage2.block2.conv1": ((3, 3, 16, 16), 4),
        "stage2.block2.conv2": ((3, 3, 16, 16), 4),
    }
    bits = {
        layer.name: layer.quantizer.bits
        for layer in subnet.layers
        if "clip" in layer.name
    }
    assert list(bits.values()) == [2, 2, 4, 4, 4, 4]


def test_a_network_in_float_has_no_bit_ops():
    blueprint = build_blueprint("resnet18_bits", preset="demo", precisions=[])
    assert cost_names(blueprint) == ("macs", "params")
    assert blueprint.search_space.num_choices == 3
    assert network_cost(blueprint, [0, 1, 2]).bit_ops is None
    with pytest.raises(UserError, match="have no bit_ops"):
        cost_table(blueprint, "bit_ops")
    assert build_subnet(blueprint, [0, 1, 2])(np.zeros((1, 8, 8, 3))).shape == (
        1,
        10,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precisions": [[0, 2]]}, "from 1 to 8; got 0"),
        ({"precisions": [[2, 9]]}, "from 1 to 8; got 9"),
        ({"precisions": [[2, 2.5]]}, "got 2.5"),
        ({"precisions": [2]}, "list of pairs"),
        ({"precisions": [[2, 2], [2, 2]]}, "repeats a pair"),
        ({"widths": [0.5, -1]}, "shares above 0"),
        ({"widths": []}, "shares above 0"),
        ({"widths": [1.0, 1.0]}, "repeats a share"),
        ({"clip": "none"}, "clip is one of"),
        ({"last_width": 10}, "no argument 'last_width'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError, match=message):
        build_blueprint("resnet18_bits", preset="demo", **arguments)


def test_uniform_bits_are_of_spaces_with_bits():
    with pytest.raises(UserError, match="'fbnet' has none"):
        uniform_network("fbnet", 2)
    with pytest.raises(UserError, match="got 9"):
        uniform_network("resnet18_bits", 9)
