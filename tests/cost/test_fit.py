import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spos_tf.cost.counts import network_cost
from spos_tf.cost.fit import fit_stage_widths, scaled_widths
from spos_tf.errors import UserError
from spos_tf.spaces import build_blueprint

ALL_3X3 = np.zeros(20, np.int32)
PAPER = (64, 160, 320, 640)


def _build(widths):
    return build_blueprint("shufflenet_blocks", stage_widths=widths)


def test_widths_are_multiples_of_8_and_the_count_is_at_or_below():
    fitted = fit_stage_widths(_build, PAPER, ALL_3X3, 324e6)
    assert all(width % 8 == 0 for width in fitted.stage_widths)
    assert network_cost(fitted, ALL_3X3).macs <= 324e6


def test_a_limit_at_the_count_keeps_the_widths():
    macs = network_cost(_build(PAPER), ALL_3X3).macs
    fitted = fit_stage_widths(_build, PAPER, ALL_3X3, macs)
    assert fitted.stage_widths == PAPER


def _rounded(widths, factor):
    """In whole numbers, halves up."""
    return tuple(
        max(8, (math.floor(2 * width * factor) + 8) // 16 * 8)
        for width in widths
    )


@pytest.fixture(scope="module")
def brute_force():
    """MACs by widths, over a fine grid of factors and all that matter."""
    factors = {Fraction(k, 1000) for k in range(1, 2000)}
    for width in PAPER:
        edge = Fraction(4, width)
        factors.update(edge * k for k in range(1, 2 * width // 4))
    found = {}
    for factor in sorted(factors):
        widths = _rounded(PAPER, factor)
        if widths not in found:
            try:
                found[widths] = network_cost(_build(widths), ALL_3X3).macs
            except UserError:
                # Not wider from stage to stage.
                assert factor < 1
    return found


@given(st.integers(60_000_000, 1_000_000_000))
@example(324_000_000)
@settings(max_examples=15)
def test_no_factor_comes_nearer(brute_force, limit):
    fitted = fit_stage_widths(_build, PAPER, ALL_3X3, limit)
    got = network_cost(fitted, ALL_3X3).macs
    assert got == max(m for m in brute_force.values() if m <= limit)


def test_the_macs_of_every_factor_are_reached(brute_force):
    """A limit just below and at each of them."""
    macs = sorted(brute_force.values())
    assert len(macs) > 200
    for below, limit in itertools.pairwise(macs[::50]):
        assert below < limit
        for macs_limit in (limit, limit - 1):
            fitted = fit_stage_widths(_build, PAPER, ALL_3X3, macs_limit)
            assert network_cost(fitted, ALL_3X3).macs == max(
                m for m in macs if m <= macs_limit
            )


@pytest.mark.parametrize("widths", [PAPER, (12, 20), (8, 8, 72)])
def test_all_scaled_widths_are_given_once_and_rise(widths):
    found = list(scaled_widths(widths))
    assert len(set(found)) == len(found)
    for one, two in itertools.pairwise(found):
        assert all(a <= b for a, b in zip(one, two, strict=True))
    grid = (Fraction(k, 997) for k in range(1, 997 * 20))
    assert {_rounded(widths, factor) for factor in grid} <= set(found)


def test_what_is_wrong_with_all_widths_is_said():
    def build(widths):
        return build_blueprint(
            "shufflenet_blocks", stage_widths=widths, num_classes=0
        )

    with pytest.raises(UserError, match="num_classes"):
        fit_stage_widths(build, PAPER, ALL_3X3, 324e6)


def test_a_limit_below_the_narrowest_is_refused():
    with pytest.raises(UserError, match=r"the narrowest has [\d,]+"):
        fit_stage_widths(_build, PAPER, ALL_3X3, 1e6)
