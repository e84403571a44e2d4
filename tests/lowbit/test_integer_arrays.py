"""The numbers that writers of integer files take from a deploy form."""

import pytest

from spos_tf.lowbit.integer_arrays import same_padding


@pytest.mark.parametrize(
    ("length", "size", "strides", "expected"),
    [(32, 3, 1, (1, 1)), (32, 3, 2, (0, 1)), (15, 3, 2, (1, 1)),
     (30, 7, 2, (2, 3)), (8, 1, 2, (0, 0))],
)  # fmt: skip
def test_padding_is_tensorflow_s(length, size, strides, expected):
    assert same_padding(length, size, strides) == expected
