"""The released ProxylessNAS and FBNet networks cost what is published."""

import pytest

from layer_count import count_layers
from spos_tf.cost.counts import network_cost
from spos_tf.networks.subnet import build_subnet
from spos_tf.spaces import named_network, network_names

# CONTRACTS.md, "Counts".
COUNTS = {
    "proxyless_mobile": (320_427_584, 4_080_512),
    "proxyless_gpu": (465_260_160, 7_119_848),
    "fbnet_a": (249_369_912, 4_318_648),
    "fbnet_b": (295_561_032, 4_812_088),
    "fbnet_c": (382_984_480, 5_567_880),
}


def test_all_of_them_are_known():
    assert {*COUNTS} <= {*network_names()}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_exact_by_the_table_and_by_the_layers(name):
    blueprint, encoding = named_network(name)
    cost = network_cost(blueprint, encoding)
    assert (cost.macs, cost.params) == COUNTS[name]
    counted = count_layers(build_subnet(blueprint, encoding))
    assert (counted["macs"], counted["params"]) == COUNTS[name]
