"""`export_subnet`: what it takes, and the names of the classes in files."""

import json

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

import spos_tf
from spos_tf.errors import UserError
from spos_tf.export.formats import FORMATS
from spos_tf.export.runtimes import predict
from spos_tf.jobs.evaluate import evaluate_subnet
from spos_tf.networks.subnet import build_subnet
from spos_tf.options import EvaluationOptions, Option

NAMES = [f"digit {number} é" for number in range(10)]


@pytest.fixture(scope="module")
def blueprint():
    return spos_tf.build_blueprint(
        "shufflenet_blocks",
        preset="demo",
        stage_widths=[32],
        stage_repeats=[2],
        stage_strides=[2],
        last_width=16,
    )


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 10
    images = rng.integers(0, 40, (200, 8, 8, 3), np.uint8)
    images[..., 0] += (20 * labels[:, None, None]).astype(np.uint8)
    return images, labels


@pytest.fixture(scope="module")
def model(blueprint, images):
    """Trained a little, so that no logits are ties."""
    keras.utils.set_random_seed(0)
    model = build_subnet(blueprint, [1, 0])
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(*images, epochs=10, verbose=0)
    return model


@pytest.fixture(scope="module")
def architecture(blueprint):
    return blueprint.architecture([1, 0])


@pytest.fixture(scope="module")
def exported(model, architecture, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "export" / "a"
    manifest = spos_tf.export_subnet(
        model,
        folder,
        formats=("tflite", "onnx"),
        compare_on=images,
        architecture=architecture,
        class_names=NAMES,
    )
    return folder, manifest


def test_names_of_the_classes_are_in_every_file(exported):
    folder, manifest = exported
    assert manifest == json.loads((folder / "manifest.json").read_text())
    assert manifest["labels"] == NAMES
    assert json.loads((folder / "labels.json").read_text()) == NAMES
    properties = onnx.load(folder / "model.onnx").metadata_props
    assert {one.key: json.loads(one.value) for one in properties} == {
        "labels": NAMES
    }
    content = (folder / "model.tflite").read_bytes()
    tflite = schema.Model.GetRootAs(content, 0)
    entries = {
        entry.Name(): bytes(tflite.Buffers(entry.Buffer()).DataAsNumpy())
        for entry in map(tflite.Metadata, range(tflite.MetadataLength()))
    }
    assert json.loads(entries[b"labels"]) == NAMES
    # What the converter left there stays.
    assert b"min_runtime_version" in entries


def test_files_with_names_run(exported, model, images):
    folder, _ = exported
    some = images[0][:20].astype(np.float32)
    expected = model.predict(some, verbose=0)
    for name in ("tflite", "onnx"):
        logits = predict(folder / FORMATS[name].file_name, name, some)
        np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def test_the_run_says_its_options(exported):
    folder, _ = exported
    run = json.loads((folder / "run.json").read_text())
    assert run["tool"] == "export"
    assert run["inputs"].keys() == {"compare_on"}
    assert run["options"]["formats"] == ["tflite", "onnx"]
    assert "--formats=tflite,onnx" in (folder / "export.flags").read_text()


def test_a_later_export_replaces_the_formats(
    exported, model, architecture, images
):
    folder, _ = exported
    spos_tf.export_subnet(
        model,
        folder,
        formats=["tflite"],
        compare_on=images,
        architecture=architecture,
    )
    assert not (folder / "model.onnx").exists()
    # Nobody says the names, so they are numbers.
    names = json.loads((folder / "labels.json").read_text())
    assert names == [str(number) for number in range(10)]


def test_a_model_from_elsewhere_needs_its_architecture(model, images, tmp_path):
    with pytest.raises(UserError, match="Give its `architecture`"):
        spos_tf.export_subnet(model, tmp_path / "a", compare_on=images)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"formats": ["tflite_int8"]}, "give some as `representative`"),
        ({"formats": ["gif"]}, "Unknown export format 'gif'"),
        (
            {"options": spos_tf.ExportOptions(min_agreement=("gif=1",))},
            "`min_agreement` is a share",
        ),
        ({"class_names": ["a"]}, "a name for each of the 10 classes"),
        ({"compare_on": "photos"}, "`compare_on` is"),
    ],
)
def test_refusals(model, architecture, images, tmp_path, changed, message):
    arguments = {
        "compare_on": images,
        "architecture": architecture,
        **changed,
    }
    with pytest.raises(UserError, match=message):
        spos_tf.export_subnet(model, tmp_path / "a", **arguments)
    assert not (tmp_path / "a").exists()


def test_the_formats_of_an_evaluation_are_those_of_an_export():
    (formats,) = (
        one.choices
        for one in EvaluationOptions.described()
        if isinstance(one, Option) and one.name == "format"
    )
    assert formats == ("keras", *FORMATS)


def test_accuracy_needs_a_known_network(model, images):
    with pytest.raises(UserError, match="not from `train_subnet`"):
        evaluate_subnet(model, images)
