import numpy as np
import pytest

from spos_tf.cost.counts import network_cost
from spos_tf.cost.fit import fit_stage_widths
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


def test_no_factor_comes_nearer():
    fitted = fit_stage_widths(_build, PAPER, ALL_3X3, 324e6)
    got = network_cost(fitted, ALL_3X3).macs
    for factor in np.linspace(0.9, 1.2, 301):
        widths = tuple(round(w * factor / 8) * 8 for w in PAPER)
        macs = network_cost(_build(widths), ALL_3X3).macs
        assert not got < macs <= 324e6


def test_a_limit_below_the_narrowest_is_refused():
    with pytest.raises(UserError, match=r"the narrowest has [\d,]+"):
        fit_stage_widths(_build, PAPER, ALL_3X3, 1e6)
