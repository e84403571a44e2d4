import math

import numpy as np
import pytest

from spos_tf.cost.counting import counts
from spos_tf.spaces import build_blueprint


def test_blocks_are_those_that_are_not_skipped():
    found = counts(build_blueprint("nas_bench_macro"))
    codes = [[0] * 8, [0, 2, 0, 1, 2, 1, 0, 0], [2] * 8]
    assert {*found} == {"blocks"}
    assert found["blocks"](codes).tolist() == [0, 4, 8]


def test_every_space_with_a_skip_counts_blocks():
    skip = counts(build_blueprint("proxyless_gpu"))["blocks"]
    encoding = np.zeros(21, np.int32)
    encoding[[1, 2]] = 6
    assert skip([encoding]).tolist() == [19]


def test_widths_are_a_sum_of_logarithms():
    found = counts(build_blueprint("shufflenet_channels", preset="demo"))
    # Options 0.2, 0.4, ... 1.6.
    assert {*found} == {"log_widths"}
    values = found["log_widths"]([[0, 4, 4, 4, 4], [4, 4, 4, 4, 0]])
    assert values[0] == values[1] == pytest.approx(math.log(0.2))


def test_nothing_to_count_where_there_is_neither():
    assert counts(build_blueprint("shufflenet_blocks")) == {}
    assert counts(build_blueprint("nasbench201")) == {}
