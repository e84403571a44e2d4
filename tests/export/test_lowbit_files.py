"""Low-bit networks as integers: each file in its own runtime."""

import numpy as np
import onnx
import pytest

from lowbit_networks import CASES, cached_network, lowbit_network
from spos_tf.errors import UserError
from spos_tf.export.formats import check_weight_bits, find_format
from spos_tf.export.onnx_model import save_onnx
from spos_tf.export.runtimes import predict
from spos_tf.export.tflite import write_lowbit_tflite
from spos_tf.export.tflite_operations import operations
from spos_tf.export.tflite_weights import (
    convolution_kernels,
    with_int8_matrix,
)
from spos_tf.lowbit.deploy_form import deploy_form
from spos_tf.lowbit.deployable_subnet import (
    build_deployable_subnet,
    place_grids,
)
from spos_tf.lowbit.integer_graph import integer_graph
from spos_tf.lowbit.onnx_deploy import onnx_deploy_model
from spos_tf.lowbit.onnx_qdq import onnx_qdq_model
from spos_tf.lowbit.weight_levels import most_levels, onnx_kernels
from spos_tf.networks.int8_subnet import copy_weights

WRITERS = {
    "tflite_lowbit": write_lowbit_tflite,
    "onnx_deploy": lambda graph, path: save_onnx(
        onnx_deploy_model(graph), path
    ),
    "onnx_qdq": lambda graph, path: save_onnx(onnx_qdq_model(graph), path),
}


@pytest.fixture(scope="module", params=[*CASES, "few_bits+sums"])
def files(request, tmp_path_factory):
    """The graph, paths by format, and the logits of network and form."""
    case, _, rounds = request.param.partition("+")
    blueprint, encoding, model, images = cached_network(case)
    if rounds:
        plain = model
        model = build_deployable_subnet(blueprint, encoding)
        copy_weights(plain, model)
        place_grids(model, blueprint, encoding)
    graph = integer_graph(model, blueprint, encoding)
    folder = tmp_path_factory.mktemp(request.param)
    paths = {name: folder / find_format(name).file_name for name in WRITERS}
    for name, write in WRITERS.items():
        write(graph, paths[name])
    logits = {
        "network": np.asarray(model(images, training=False)),
        "form": np.asarray(deploy_form(model, graph)(images)),
    }
    return graph, paths, logits, images


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("tflite_lowbit", "form"),
        ("onnx_deploy", "form"),
        ("onnx_qdq", "network"),
    ],
)
def test_a_file_computes_what_it_was_made_of(files, name, of):
    _, paths, logits, images = files
    found = predict(paths[name], name, images, batch_size=40)
    # Equal numbers; where a sum lies within float32's last place of the
    # middle between two levels, a feature and then a whole row differ.
    rows = np.abs(found - logits[of]).max(1) < 1e-4
    assert rows.mean() > 0.9


def test_tflite_computes_on_integers(files):
    _, paths, _, _ = files
    found = operations(paths["tflite_lowbit"].read_bytes())
    ends = ("QUANTIZE", "DEQUANTIZE", "DEQUANTIZE", "FULLY_CONNECTED")
    floats = [one.name for one in found if "float32" in one.outputs]
    assert floats == list(ends[1:])
    assert found[0].name == ends[0]
    assert all(
        one.inputs == ("int8", "int8", "int32")
        for one in found
        if one.name == "CONV_2D"
    )


def test_weights_are_few_in_every_file(files):
    graph, paths, _, _ = files
    content = paths["tflite_lowbit"].read_bytes()
    for kernels in (
        convolution_kernels(content),
        onnx_kernels(paths["onnx_deploy"]),
        onnx_kernels(paths["onnx_qdq"]),
    ):
        most = most_levels(graph, kernels)
        assert set(most) == {c.name for c in graph.convolutions if c.bits}
        for conv in graph.convolutions:
            if conv.bits:
                assert 1 < most[conv.name] <= 2**conv.bits


def test_other_weights_are_found_out(files):
    graph, paths, _, _ = files
    kernels = onnx_kernels(paths["onnx_deploy"])
    first = next(conv for conv in graph.convolutions if conv.bits)
    wrong = {**kernels, first.name: np.arange(200).reshape(1, -1)}
    with pytest.raises(UserError, match="200 different weights"):
        most_levels(graph, wrong)
    stored = convolution_kernels(paths["tflite_lowbit"].read_bytes())
    with pytest.raises(UserError, match="lacks the weights"):
        most_levels(graph, [kernel + 1 for kernel in stored])


def test_onnx_has_int4_where_it_fits(files):
    graph, paths, _, _ = files
    model = onnx.load(str(paths["onnx_qdq"]))
    types = {one.name: one.data_type for one in model.graph.initializer}
    for conv in graph.convolutions:
        found = {
            kind
            for name, kind in types.items()
            if name.startswith(f"{conv.name}.kernel")
            and name.endswith("integers")
        }
        if conv.bits is None:
            assert not found
        else:
            few = conv.bits <= 4
            assert found == {
                onnx.TensorProto.INT4 if few else onnx.TensorProto.INT8
            }


def test_onnx_has_int8_if_asked(files, tmp_path):
    graph, _, logits, images = files
    path = tmp_path / "model.onnx"
    save_onnx(onnx_qdq_model(graph, 8), path)
    types = {one.data_type for one in onnx.load(str(path)).graph.initializer}
    assert onnx.TensorProto.INT4 not in types
    found = predict(path, "onnx_qdq", images)
    rows = np.abs(found - logits["network"]).max(1) < 1e-4
    assert rows.mean() > 0.9


def test_a_classifier_of_another_network_is_refused(files):
    _, paths, _, _ = files
    content = paths["tflite_lowbit"].read_bytes()
    with pytest.raises(UserError, match="classifier"):
        with_int8_matrix(content, np.ones((10, 16), np.int8), 0.1)


@pytest.mark.parametrize("beta", [0.0, 1e-4, 0.3])
def test_channels_that_batch_norm_makes_constant(tmp_path, beta):
    blueprint, encoding, model, images = lowbit_network("few_bits")
    for name in ("stem.bn", "stage1.block1.bn1", "stage2.block1.bn2"):
        layer = model.get_layer(name)
        for variable, value in ((layer.gamma, 0.0), (layer.beta, beta)):
            values = variable.numpy()
            values[:2] = value
            variable.assign(values)
    graph = integer_graph(model, blueprint, encoding)
    expected = np.asarray(deploy_form(model, graph)(images))
    for name in ("tflite_lowbit", "onnx_deploy"):
        path = tmp_path / name
        WRITERS[name](graph, path)
        rows = np.abs(predict(path, name, images) - expected).max(1) < 1e-4
        assert rows.mean() > 0.9
    kernels = convolution_kernels((tmp_path / "tflite_lowbit").read_bytes())
    assert most_levels(graph, kernels)


@pytest.mark.parametrize(
    ("names", "bits", "expected"),
    [
        (["tflite_lowbit"], 3, "'tflite_lowbit' stores weights in 8 bits"),
        (["tflite_lowbit"], 4, "in 8 bits; got .*=4"),
        (["onnx_qdq"], 3, "in 4 or 8 bits; got .*=3"),
        (["tflite", "onnx"], 4, "none of them"),
    ],
)
def test_bits_that_a_format_does_not_store(names, bits, expected):
    with pytest.raises(UserError, match=expected):
        check_weight_bits([find_format(name) for name in names], bits)


def test_bits_that_a_format_stores():
    check_weight_bits([find_format("onnx_qdq")], 4)
    check_weight_bits([find_format("onnx_qdq"), find_format("onnx")], 8)
    check_weight_bits([find_format("tflite")], None)
