"""Which weights of an ONNX deploy form are unsigned, on any CPU."""

import numpy as np
import onnx
import pytest

from lowbit_networks import CASES, cached_network
from spos_tf.lowbit.integer_arrays import classifier_arrays, conv_arrays
from spos_tf.lowbit.integer_graph import integer_graph
from spos_tf.lowbit.integer_nodes import Classifier
from spos_tf.lowbit.onnx_deploy import onnx_deploy_model, pairs_fit_int16
from spos_tf.lowbit.weight_levels import onnx_kernels


@pytest.mark.parametrize(
    ("most_weight", "most_feature", "expected"),
    [
        (127, 127, True),
        (127, 129, True),
        (127, 130, False),
        (64, 255, True),
        (65, 255, False),
        (127, 255, False),
    ],
)
def test_pairs_that_16_bits_hold(most_weight, most_feature, expected):
    kernel = np.float32([[1, -most_weight], [0, 3]])
    assert pairs_fit_int16(kernel, most_feature) is expected


@pytest.mark.parametrize("case", CASES)
def test_no_sum_of_two_products_of_int8_weights_saturates(case, tmp_path):
    blueprint, encoding, model, _ = cached_network(case)
    graph = integer_graph(model, blueprint, encoding)
    path = tmp_path / "model.onnx"
    onnx.save(onnx_deploy_model(graph), str(path))
    kinds = {
        tensor.name.removesuffix(".kernel.integers"): tensor.data_type
        for tensor in onnx.load(str(path)).graph.initializer
    }
    stored = onnx_kernels(path)
    unsigned = set()
    for conv in graph.convolutions:
        # Raw pixels, or the levels of the features' bits.
        most = 255 if conv.bits is None else conv.source.grid.top
        kernel = conv_arrays(conv).kernel
        np.testing.assert_array_equal(
            stored[conv.name], kernel.transpose(3, 2, 0, 1)
        )
        if 2 * most * np.abs(kernel).max() > 32767:
            unsigned.add(conv.name)
    (classifier,) = [n for n in graph.nodes if isinstance(n, Classifier)]
    kernel = classifier_arrays(classifier)[0]
    np.testing.assert_array_equal(stored["classifier"], kernel)
    # A mean takes all 256 levels, and its kernel all of int8.
    unsigned.add("classifier")
    assert {"stem.conv", "classifier"} <= unsigned
    assert {
        name for name in stored if kinds[name] == onnx.TensorProto.UINT8
    } == unsigned
