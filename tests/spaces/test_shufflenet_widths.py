"""Channel search and the joint space: exact counts, pins."""

import numpy as np
import pytest

from layer_count import count_layers
from spos_tf.cost.counts import network_cost
from spos_tf.cost.sums import reachable_sums
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.networks.subnet import build_subnet
from spos_tf.spaces import build_blueprint

OPS = [0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2]
SIZES = [6, 5, 3, 5, 2, 6, 3, 4, 2, 5, 7, 5, 4, 6, 7, 4, 4, 5, 4, 3]
RELEASED = np.stack([OPS, SIZES], axis=1).ravel()


@pytest.fixture(scope="module")
def joint():
    return build_blueprint("shufflenet_joint")


def test_the_released_network_has_its_published_counts(joint):
    cost = network_cost(joint, RELEASED)
    assert cost.macs == 327_857_920
    assert cost.params == 3_432_579
    assert count_layers(build_subnet(joint, RELEASED))["macs"] == cost.macs
    assert cost_table(joint, "macs")(RELEASED) == cost.macs


# One scale everywhere, all 3x3: paper-facts.md, section B.
@pytest.mark.parametrize(
    "option, millions",
    [*enumerate([101.9, 149.8, 198.9, 246.8, 295.8, 343.8, 391.8, 440.8])],
)
def test_equal_widths_have_the_counts_of_the_facts(option, millions):
    blueprint = build_blueprint("shufflenet_channels")
    macs = network_cost(blueprint, [option] * 20).macs
    assert round(macs / 1e6, 1) == millions


def test_a_stage_too_narrow_for_the_least_width_is_refused():
    with pytest.raises(UserError, match="at least 10"):
        build_blueprint(
            "shufflenet_channels", stage_widths=[4, 8, 12, 16], stem_width=2
        )


def test_a_pinned_space_is_smaller_and_keeps_the_encoding(joint):
    names = [choice.name for choice in joint.search_space.choices]
    pins = {
        name: joint.search_space.decode(RELEASED)[name]
        for name in names
        if name.endswith(".op")
    }
    pinned = joint.pinned(pins)
    space = pinned.search_space
    assert space.size == 8**20 and space.num_choices == 40
    drawn = space.sample(np.random.default_rng(0), 50)
    assert (drawn[:, ::2] == OPS).all()
    assert len(np.unique(drawn[:, 1])) > 1
    table = cost_table(pinned, "macs")
    assert (table(drawn) == cost_table(joint, "macs")(drawn)).all()
    assert table.minimum <= table(drawn).min()
    other = RELEASED.copy()
    other[0] = 1
    with pytest.raises(UserError, match="cannot be '5x5'.*Legal are: 3x3"):
        space.check(other)
    with pytest.raises(UserError, match="cannot be '5x5'"):
        space.pinned({names[0]: "5x5"})
    with pytest.raises(UserError, match="no choice 'stage9"):
        space.pinned({"stage9.block1.op": "3x3"})


def test_sums_over_slots_of_two_choices_are_exact():
    blueprint = build_blueprint(
        "shufflenet_joint",
        preset="demo",
        stem_width=8,
        stage_widths=[12, 16],
        stage_strides=[1, 2],
        stage_repeats=[1, 1],
    )
    space = blueprint.search_space
    macs = cost_table(blueprint, "macs")
    grid = np.indices(space.num_options).reshape(4, -1).T.astype(np.int32)
    values = macs(grid)
    sums = reachable_sums(macs)
    low, high = np.percentile(values, [20, 40]).astype(int)
    inside = (values >= low) & (values <= high)
    assert sums.count(low, high) == inside.sum()
    drawn = sums.draw(low, high, np.random.default_rng(0), 500)
    found = {tuple(row) for row in drawn.tolist()}
    assert found <= {tuple(row) for row in grid[inside].tolist()}
    assert len(found) > 100
