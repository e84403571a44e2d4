"""Every format, from the network to its runtime and back."""

import collections
import dataclasses
import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.export.channel_split import with_channel_split
from spos_tf.export.exporting import export_model
from spos_tf.export.formats import (
    FORMATS,
    check_formats,
    find_format,
    formats_of,
)
from spos_tf.export.manifest import sha256
from spos_tf.export.onnx_model import check_onnx, write_onnx
from spos_tf.export.parity import ExportMismatch
from spos_tf.export.runtimes import load, predict
from spos_tf.export.saved_model import write_saved_model
from spos_tf.export.tflite import write_tflite
from spos_tf.export.tflite_operations import (
    check_builtin,
    check_integer,
    operations,
)
from spos_tf.spaces import build_blueprint

EXACT = [name for name, known in FORMATS.items() if known.is_exact]


def _operations(folder, name):
    content = (folder / FORMATS[name].file_name).read_bytes()
    return collections.Counter(one.name for one in operations(content))


def test_every_format_is_written_and_agrees(exported):
    folder, manifest, steps = exported
    assert tuple(manifest["files"]) == formats_of("float")
    for name, entry in manifest["files"].items():
        # Delegates of TFLite take four dimensions at most.
        assert ("most_dimensions" in entry) == name.startswith("tflite")
        assert set(entry) - {"most_dimensions"} == {
            "path",
            "bytes",
            "sha256",
            "max_abs_difference",
            "top1_agreement",
            "accuracy",
            "images",
            "near_ties",
        }
        assert entry["images"] == 60
        assert (folder / entry["path"]).exists()
        assert entry["near_ties"] == 0
        if FORMATS[name].is_exact:
            assert entry["top1_agreement"] == 1.0
            assert entry["accuracy"] == 0.9
    assert [step[:2] for step in steps[:3]] == [
        ("saved_model", "convert"),
        ("saved_model", "check"),
        ("saved_model", "done"),
    ]
    assert json.loads((folder / "manifest.json").read_text()) == manifest


def test_only_the_files_are_left(exported):
    folder, manifest, _ = exported
    paths = {entry["path"] for entry in manifest["files"].values()}
    assert {path.name for path in folder.iterdir()} == {
        *paths,
        "manifest.json",
    }


def test_manifest_names_network_input_and_versions(
    exported, architecture, blueprint
):
    _, manifest, _ = exported
    assert list(manifest) == [
        "architecture",
        "input",
        "labels",
        "files",
        "versions",
    ]
    # The fixture's classes have no names.
    assert manifest["labels"] is None
    assert manifest["architecture"] == architecture.to_dict()
    size = blueprint.image_size
    assert manifest["input"] == {
        "shape": [None, size, size, 3],
        "dtype": "float32",
        "range": [0, 255],
    }
    assert manifest["versions"]["tensorflow"] == tf.__version__
    assert set(manifest["versions"]) >= {"python", "keras", "tf2onnx", "onnx"}


def test_hashes_are_those_of_sha256sum(exported):
    folder, manifest, _ = exported
    entry = manifest["files"]["onnx"]
    content = (folder / entry["path"]).read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["bytes"] == len(content)
    listed = subprocess.run(
        "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum",
        shell=True,
        cwd=folder / "saved_model",
        capture_output=True,
        text=True,
        check=True,
    )
    expected = listed.stdout.split()[0]
    assert manifest["files"]["saved_model"]["sha256"] == expected


def test_folder_hash_depends_on_names(tmp_path):
    for name, inner in (("one", "a"), ("two", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / inner).write_bytes(b"same")
    assert sha256(tmp_path / "one") != sha256(tmp_path / "two")


@pytest.mark.parametrize("name", formats_of("float"))
def test_any_batch_size_gives_the_same_logits(
    exported, images, reference, name
):
    folder, manifest, _ = exported
    path = folder / FORMATS[name].file_name
    allowed = manifest["files"][name]["max_abs_difference"] + 1e-5
    predictor = load(path, name, threads=1)
    for size in (1, 5, 1):
        logits = predictor(images[:size])
        assert logits.dtype == np.float32
        assert np.abs(logits - reference[:size]).max() <= allowed
    logits = predict(path, name, images[:12], batch_size=5)
    assert logits.shape == (12, 10)
    assert np.abs(logits - reference[:12]).max() <= allowed


def test_saved_model_serves_logits(exported, images, reference):
    folder, _, _ = exported
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    served = loaded.serve(tf.constant(images[:3]))
    np.testing.assert_allclose(served, reference[:3], atol=1e-5)
    signature = loaded.signatures["serving_default"]
    assert list(signature.structured_outputs) == ["logits"]
    _, arguments = signature.structured_input_signature
    assert list(arguments) == ["image"]


def test_onnx_names_are_readable(exported):
    folder, _, _ = exported
    graph = onnx.load(folder / "model.onnx").graph
    for (value,), name in ((graph.input, "image"), (graph.output, "logits")):
        assert value.name == name
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert "unk__" not in str(graph)


def test_onnx_transposes_once(exported):
    """Only of the input, not at every channel split."""
    folder, _, _ = exported
    nodes = onnx.load(folder / "model.onnx").graph.node
    counts = collections.Counter(node.op_type for node in nodes)
    assert counts["Transpose"] == 1
    assert counts["Reshape"] == counts["Shape"] == 0


def test_tflite_computes_no_shapes_and_fuses_norms(exported, model):
    folder, _, _ = exported
    for name in ("tflite", "tflite_int8"):
        counts = _operations(folder, name)
        assert counts["SHAPE"] == counts["PACK"] == 0
        # Those of the input's normalisation; the batch norms are gone.
        assert counts["MUL"] == counts["ADD"] == 1
        layers = collections.Counter(type(one).__name__ for one in model.layers)
        assert counts["CONV_2D"] == layers["Conv2D"]
        assert counts["DEPTHWISE_CONV_2D"] == layers["DepthwiseConv2D"]


def test_int8_is_integer_between_its_ends(exported):
    folder, _, _ = exported
    found = operations((folder / "model_int8.tflite").read_bytes())
    floats = [o.name for o in found if "float32" in o.inputs + o.outputs]
    assert floats == ["QUANTIZE", "DEQUANTIZE"]
    with pytest.raises(UserError, match=r"left \d+ operations in float.*CONV"):
        check_integer((folder / "model.tflite").read_bytes())


def test_float16_weights_take_less_room(exported):
    _, manifest, _ = exported
    files = manifest["files"]
    assert files["tflite_float16"]["bytes"] < files["tflite"]["bytes"]
    assert files["tflite_float16"]["max_abs_difference"] > 1e-4


@pytest.mark.parametrize("form", ["strided", "transposed"])
def test_channel_split_forms_are_equal_to_the_bit(
    model, images, reference, form
):
    from spos_tf.export.runtimes import predict_reference

    clone = with_channel_split(model, form)
    np.testing.assert_array_equal(predict_reference(clone, images), reference)
    # The network itself is as it was, and no reshape into pairs is left.
    assert any("pairs" in layer.name for layer in model.layers)
    assert not any("pairs" in layer.name for layer in clone.layers)
    clone.layers[-1].kernel.assign(0 * clone.layers[-1].kernel)
    assert np.any(model.layers[-1].kernel)


def test_other_networks_are_left_alone():
    inputs = keras.Input((4, 4, 4))
    pairs = keras.layers.Reshape((4, 4, 2, 2))(inputs)
    x = keras.layers.Concatenate()([pairs[..., 0], pairs[..., 0]])
    other = keras.layers.Reshape((16, 4))(x)
    network = keras.Model(inputs, [other, pairs])
    values = np.arange(64, dtype=np.float32).reshape(1, 4, 4, 4)
    clone = with_channel_split(network, "transposed")
    for one, two in zip(network(values), clone(values), strict=True):
        np.testing.assert_array_equal(one, two)


def test_unknown_format():
    with pytest.raises(UserError, match=r"'coreml'.*saved_model, tflite"):
        find_format("coreml")
    with pytest.raises(UserError, match="at least one format"):
        check_formats([], space="toy", allowed=["onnx"])


def test_format_that_the_space_lacks():
    with pytest.raises(UserError, match=r"'toy'.*'tflite_int8'.*: onnx\."):
        check_formats(["tflite_int8"], space="toy", allowed=["onnx"])


@pytest.fixture(scope="module")
def unusual():
    """A network with an operation that neither TFLite nor ONNX has."""
    inputs = keras.Input((4, 4, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(Digamma()(inputs))
    return keras.Model(inputs, x)


class Digamma(keras.layers.Layer):
    def call(self, x):
        return tf.math.digamma(x)


def test_no_flex_operations(unusual, tmp_path):
    from spos_tf.export.tflite import write_tflite_source

    write_tflite_source(unusual, tmp_path / "source")
    path = tmp_path / "model.tflite"
    with pytest.raises(UserError, match=r"builtin operations.*Digamma"):
        write_tflite(tmp_path / "source", path, "float32")
    assert [child.name for child in tmp_path.iterdir()] == ["source"]
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(tmp_path / "source")
    )
    converter.allow_custom_ops = True
    with pytest.raises(UserError, match="needs Digamma"):
        check_builtin(converter.convert())


def test_onnx_refuses_what_tf2onnx_only_logs(unusual, tmp_path, capfd):
    with pytest.raises(UserError, match=r"standard ONNX operations.*Digamma"):
        write_onnx(unusual, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_onnx_checker_runs(exported):
    folder, _, _ = exported
    broken = onnx.load(folder / "model.onnx")
    del broken.graph.node[3]
    with pytest.raises(UserError, match="standard ONNX operations"):
        check_onnx(broken)
    foreign = onnx.load(folder / "model.onnx")
    foreign.graph.node[3].domain = "ai.onnx.contrib"
    with pytest.raises(UserError, match="non-standard operations ai.onnx.cont"):
        check_onnx(foreign)


def test_int8_needs_images(tmp_path, exported):
    folder, _, _ = exported
    with pytest.raises(UserError, match="takes representative images"):
        write_tflite(folder / "saved_model", tmp_path / "m.tflite", "int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tflite", "onnx", "saved_model"])
def test_corrupted_and_missing_files(exported, tmp_path, images, name, capfd):
    folder, _, _ = exported
    file_name = FORMATS[name].file_name
    source, target = folder / file_name, tmp_path / file_name
    damaged = target
    if name == "saved_model":
        target.mkdir()
        source, damaged = source / "saved_model.pb", target / "saved_model.pb"
    damaged.write_bytes(source.read_bytes()[:1000])
    with pytest.raises(UserError, match=f"not a readable '{name}' file"):
        predict(target, name, images[:2])
    with pytest.raises(UserError, match="there is nothing at"):
        predict(tmp_path / "nowhere", name, images[:2])
    assert capfd.readouterr() == ("", "")


def _export(model, blueprint, architecture, folder, images, labels, **changes):
    arguments = {
        "blueprint": blueprint,
        "architecture": architecture,
        "formats": ["onnx"],
        "folder": folder,
        "images": images,
        "labels": labels,
        **changes,
    }
    return export_model(model, **arguments)


def test_a_blueprint_that_no_registry_knows(
    blueprint, model, images, labels, tmp_path
):
    space = dataclasses.replace(blueprint.search_space, name="of_a_notebook")
    own = dataclasses.replace(blueprint, search_space=space)
    architecture = own.architecture([0, 1, 2, 3, 0])
    _export(model, own, architecture, tmp_path, images, labels)
    assert (tmp_path / "model.onnx").exists()


def test_an_architecture_of_another_blueprint_is_refused(
    blueprint, model, images, labels, tmp_path
):
    space = dataclasses.replace(blueprint.search_space, name="of_a_notebook")
    own = dataclasses.replace(blueprint, search_space=space)
    architecture = own.architecture([0, 1, 2, 3, 0])
    with pytest.raises(UserError, match="of space 'of_a_notebook'"):
        _export(model, blueprint, architecture, tmp_path, images, labels)


def test_failed_export_leaves_the_old_one(
    model, blueprint, architecture, images, labels, tmp_path, monkeypatch
):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / "of_a_killed_run").touch()
    _export(model, blueprint, architecture, tmp_path, images, labels)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert set(before) == {"model.onnx", "manifest.json"}

    def off_by_a_bit(*args):
        return predict(*args) + np.float32(0.01)

    monkeypatch.setattr("spos_tf.export.exporting.predict", off_by_a_bit)
    with pytest.raises(ExportMismatch, match=r"'onnx'.*the largest is 0\.01"):
        _export(model, blueprint, architecture, tmp_path, images, labels)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before

    def breaks(*args):
        raise RuntimeError("converter bug")

    monkeypatch.setattr("spos_tf.export.writing.write_onnx", breaks)
    with pytest.raises(RuntimeError, match="converter bug"):
        _export(model, blueprint, architecture, tmp_path, images, labels)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_files_of_other_formats_are_removed(
    model, blueprint, architecture, images, labels, tmp_path
):
    """The folder holds what the last export made, and what is not ours."""
    (tmp_path / "notes.txt").write_text("mine")
    for formats, files in (
        (["saved_model", "onnx"], {"saved_model", "model.onnx"}),
        (["onnx"], {"model.onnx"}),
    ):
        manifest = _export(
            model,
            blueprint,
            architecture,
            tmp_path,
            images,
            labels,
            formats=formats,
        )
        assert list(manifest["files"]) == formats
        assert {path.name for path in tmp_path.iterdir()} == {
            *files,
            "manifest.json",
            "notes.txt",
        }


def test_broken_weights_are_found(
    blueprint, architecture, images, labels, tmp_path
):
    from spos_tf.networks.subnet import build_subnet

    broken = build_subnet(blueprint, blueprint.encode(architecture))
    broken.layers[-1].kernel.assign(np.nan * broken.layers[-1].kernel)
    with pytest.raises(ExportMismatch, match="network gives NaN or infinity"):
        _export(
            broken,
            blueprint,
            architecture,
            tmp_path,
            images,
            labels,
            formats=["saved_model"],
        )
    assert not list(tmp_path.iterdir())


def test_mistakes_are_refused_before_any_work(
    model, blueprint, architecture, images, labels, tmp_path
):
    def refused(match, **changes):
        arguments = {
            "blueprint": blueprint,
            "architecture": architecture,
            "images": images,
            "labels": labels,
            **changes,
        }
        with pytest.raises(UserError, match=match):
            _export(model, folder=tmp_path, **arguments)

    refused("Unknown export format 'coreml'", formats=["onnx", "coreml"])
    refused(
        r"image \[16, 16, 3\]; got \[60, 4, 4, 3\]", images=images[:, :4, :4]
    )
    refused(r"one label each; got .*labels \[3\]", labels=labels[:3])
    other = build_blueprint("shufflenet_blocks", preset="demo", num_classes=7)
    refused(
        "give 7 logits",
        blueprint=other,
        architecture=other.architecture([0, 1, 2, 3, 0]),
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("part-0.tempstate8; No space left on device", UserError),
        ("variables; Read-only file system", UserError),
        ("OOM when allocating tensor", tf.errors.ResourceExhaustedError),
    ],
)
def test_what_a_disk_refuses_is_told_from_a_bug(
    tmp_path, monkeypatch, capfd, said, expected
):
    def save(module, folder, signatures):
        # As TensorFlow does: a part is there, and the rest has no room.
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part").write_bytes(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, said)

    monkeypatch.setattr(tf.saved_model, "save", save)
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Flatten()(image))
    with pytest.raises(expected, match=said.rpartition("; ")[2]) as caught:
        write_saved_model(model, tmp_path / "saved_model")
    if expected is UserError:
        assert str(tmp_path / "saved_model") in str(caught.value)
        assert capfd.readouterr().err == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("known", FORMATS.values(), ids=lambda one: one.name)
def test_every_format_has_a_writer_and_a_loader(known):
    assert callable(known.load_writer())
    assert callable(known.load_loader())
    assert known.kinds


def test_the_table_of_formats_loads_without_tensorflow():
    program = (
        "import sys, spos_tf.export.formats\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
