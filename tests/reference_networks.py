"""The published networks beside the counts of `shared/facts`."""

import json

from layer_count import count_layers
from spos_tf.cost.counts import network_cost, segment_costs
from spos_tf.networks.subnet import build_subnet
from spos_tf.spaces import named_network


def assert_counts(name, macs, params):
    """By the description, and by the layers of the built Keras network."""
    blueprint, encoding = named_network(name)
    cost = network_cost(blueprint, encoding)
    assert (cost.macs, cost.params) == (macs, params)
    subnet = build_subnet(blueprint, encoding)
    counted = count_layers(subnet)
    assert (counted["macs"], counted["params"]) == (macs, params)
    assert counted["params_without_bn"] == cost.params_without_bn
    assert subnet.count_params() == cost.keras_count_params


def assert_block_by_block(name, reference_name, shared_dir):
    """Totals and every block; the reference's name may have a year."""
    path = shared_dir / "facts" / "reference_architectures.json"
    reference = json.loads(path.read_text())["networks"][reference_name]
    blueprint, encoding = named_network(name)
    cost = network_cost(blueprint, encoding)
    expected = reference["expected"]
    assert cost.macs == expected["macs"]
    assert cost.params == expected["params_with_bn"]
    assert cost.params_without_bn == expected["params_without_bn"]
    assert cost.keras_count_params == expected["keras_count_params"]
    costs = segment_costs(blueprint, encoding)[1:-1]
    shapes = blueprint.input_shapes[1:]
    chosen = [
        str(option)
        for option in blueprint.search_space.decode(encoding).values()
    ]
    # The fixed first block of ProxylessNAS is one of the reference's.
    chosen = ["k3e1"] * (len(costs) - len(chosen)) + chosen
    blocks = reference["blocks"]
    assert len(blocks) == len(costs)
    for index, (ours, theirs) in enumerate(zip(costs, blocks, strict=True)):
        assert chosen[index] == theirs["op"]
        assert shapes[index] == (*theirs["in_hw"], theirs["in_channels"])
        assert shapes[index + 1] == (*theirs["out_hw"], theirs["out_channels"])
        assert ours.macs == theirs["macs"]
        assert ours.params_without_bn == theirs["weights"]
        assert 2 * ours.batch_norm_channels == theirs["bn_affine"]
