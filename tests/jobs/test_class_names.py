"""Which output is which class: written down, and compared by later steps."""

import dataclasses
import json

import keras
import pytest

import spos_tf
from coloured_folders import NAMES as FRUITS
from coloured_folders import write_folder
from refusals import tree
from spos_tf.errors import UserError
from spos_tf.jobs.evaluate import evaluate_subnet
from spos_tf.jobs.found import read_found
from spos_tf.options import EvaluationOptions
from spos_tf.training.checkpoints import checkpoint_path, read_checkpoint

NAMES = [*FRUITS]
TRAINING = {
    "batch_size": 12,
    "validate_every": 0,
    "augmentation": "none",
    "checkpoint_every": 1000,
}


@pytest.fixture(scope="module")
def fruits(tmp_path_factory):
    return spos_tf.folder(write_folder(tmp_path_factory.mktemp("fruits")))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """The same pictures after a class was renamed: the order is another."""
    names = ["zz_green_apple", "pear", "plum"]
    root = write_folder(tmp_path_factory.mktemp("others"), names)
    return spos_tf.folder(root)


@pytest.fixture(scope="module")
def blueprint():
    return spos_tf.build_blueprint(
        "shufflenet_blocks",
        preset="demo",
        num_classes=3,
        stem_width=8,
        stage_widths=[16],
        stage_strides=[2],
        stage_repeats=[2],
        last_width=16,
    )


SUPERNET = spos_tf.SupernetOptions(
    steps=2,
    holdout_per_class=4,
    sampler="uniform",
    recalibration_images=10,
    **TRAINING,
)
SEARCH = spos_tf.SearchOptions(population=2, generations=1)
# 48 images in batches of 12: 40 steps.
SUBNET = spos_tf.SubnetOptions(epochs=10, learning_rate=0.1, **TRAINING)


@pytest.fixture(scope="module")
def job(fruits, blueprint, tmp_path_factory):
    """A supernet, what was found in it, a network and its export."""
    work_dir = tmp_path_factory.mktemp("work")
    spos_tf.train_supernet(
        blueprint, fruits, work_dir=work_dir, options=SUPERNET
    )
    supernet = spos_tf.load_supernet(work_dir)
    found = spos_tf.search_supernet(supernet, options=SEARCH)
    model = spos_tf.train_subnet(
        found.best, fruits, work_dir=work_dir, options=SUBNET
    )
    spos_tf.export_subnet(
        model,
        work_dir / "export" / "default",
        formats=["tflite"],
        compare_on=fruits,
    )
    return work_dir


@pytest.fixture(scope="module")
def model(job):
    return spos_tf.load_subnet(job / "subnet" / "default")


def test_every_folder_and_checkpoint_names_the_classes(job):
    for stage in ("supernet", "subnet", "export"):
        path = job / stage / "default" / "labels.json"
        assert json.loads(path.read_text()) == NAMES
    manifest = job / "export" / "default" / "manifest.json"
    assert json.loads(manifest.read_text())["labels"] == NAMES
    for stage, step in (("supernet", 2), ("subnet", 40)):
        folder = job / stage / "default" / "checkpoints"
        found = read_checkpoint(checkpoint_path(folder, step))
        assert found.description["class_names"] == NAMES
    assert spos_tf.load_supernet(job).class_names == tuple(NAMES)
    found = read_found(job)
    assert found.class_names == tuple(NAMES)
    assert found.source.dataset.startswith("folder:")


def test_a_search_recalibrates_on_as_many_images_as_the_training(job):
    run = json.loads((job / "search" / "default" / "run.json").read_text())
    assert run["options"]["recalibration_images"] == 10


def test_epochs_are_steps_of_the_images_there_are(job, fruits):
    folder = job / "subnet" / "default"
    assert json.loads((folder / "metrics.json").read_text())["steps"] == 40
    run = json.loads((folder / "run.json").read_text())
    options = run["options"]
    assert (options["epochs"], options["steps"]) == (10, None)
    # By which the report knows whether the training is over.
    assert run["recipe"]["steps"] == 40
    assert "--epochs=10" in (folder / "train_subnet.flags").read_text()
    # The same again is the same run; other epochs are another one.
    found = read_found(job)
    spos_tf.train_subnet(found, fruits, work_dir=job, options=SUBNET)
    assert json.loads((folder / "metrics.json").read_text())["steps"] == 40
    assert json.loads((folder / "run.json").read_text()) == run
    said = r"other values of `epochs` \(10 there, 2 here\)\."
    with pytest.raises(UserError, match=said):
        spos_tf.train_subnet(
            found,
            fruits,
            work_dir=job,
            options=dataclasses.replace(SUBNET, epochs=2),
        )
    with pytest.raises(UserError, match="Give `steps` or `epochs`, not both"):
        dataclasses.replace(SUBNET, steps=4)


def test_another_order_of_the_same_names_is_put_right(job, fruits, model):
    right = evaluate_subnet(model, fruits)["accuracy"]
    assert right > 0.9
    photos = fruits.dataset.removeprefix("folder:")
    turned = keras.utils.image_dataset_from_directory(
        f"{photos}/test",
        class_names=NAMES[::-1],
        image_size=(8, 8),
        batch_size=4,
        verbose=False,
    )
    assert evaluate_subnet(model, turned)["accuracy"] == right
    manifest = spos_tf.export_subnet(
        model, job / "export" / "turned", formats=["onnx"], compare_on=turned
    )
    assert manifest["labels"] == NAMES
    assert manifest["files"]["onnx"]["accuracy"] == right


def _steps(work_dir, others, blueprint, model):
    """Every later step on images of other classes."""
    supernet = spos_tf.load_supernet(work_dir)
    found = read_found(work_dir)
    short = dataclasses.replace(SUBNET, epochs=0.1)
    export = work_dir / "export" / "default"
    tflite = EvaluationOptions(format="tflite")
    return {
        "resume": lambda: spos_tf.train_supernet(
            blueprint, others, work_dir=work_dir, options=SUPERNET
        ),
        "search": lambda: spos_tf.search_supernet(
            supernet, train=others, name="other", options=SEARCH
        ),
        "correlate": lambda: spos_tf.correlate_supernet(
            supernet,
            _table(work_dir),
            accuracy_column="accuracy",
            train=others,
            options=spos_tf.CorrelationOptions(
                num_architectures=0, top_k=("1",)
            ),
        ),
        "train what was found": lambda: spos_tf.train_subnet(
            found, others, work_dir=work_dir, name="other", options=short
        ),
        "inherit": lambda: spos_tf.train_subnet(
            (found.blueprint, found.encoding),
            others,
            work_dir=work_dir,
            name="other",
            options=short,
            inherit_from=work_dir,
        ),
        "start from": lambda: spos_tf.train_subnet(
            (found.blueprint, found.encoding),
            others,
            work_dir=work_dir,
            name="other",
            options=short,
            start_from="default",
        ),
        "evaluate": lambda: evaluate_subnet(model, others),
        "evaluate a file": lambda: evaluate_subnet(
            model, others, export_folder=export, options=tflite
        ),
        "export": lambda: spos_tf.export_subnet(
            model, export, formats=["tflite"], compare_on=others
        ),
    }


def _table(work_dir):
    path = work_dir.parent / "table.csv"
    path.write_text('arch_str,accuracy\n"0,0",0.5\n"1,0",0.6\n"1,2",0.7\n')
    return path


def test_other_names_are_refused_by_every_step(job, others, blueprint, model):
    before = {
        name: data for name, data in tree(job).items() if ".lock" not in name
    }
    for name, step in _steps(job, others, blueprint, model).items():
        with pytest.raises(UserError) as caught:
            step()
        said = str(caught.value)
        assert "['apple', 'pear', 'plum']" in said, (name, said)
        assert "['pear', 'plum', 'zz_green_apple']" in said, name
        assert "\n" not in said
    after = {
        name: data for name, data in tree(job).items() if ".lock" not in name
    }
    assert after == before


def test_test_images_have_the_classes_of_the_training_images(
    job, fruits, others
):
    found = read_found(job)
    with pytest.raises(UserError, match="'zz_green_apple'"):
        spos_tf.train_subnet(
            found,
            fruits,
            test=others,
            work_dir=job,
            name="other",
            options=SUBNET,
        )


def test_an_architecture_may_be_trained_on_other_classes(job, others):
    found = read_found(job)
    model = spos_tf.train_subnet(
        (found.blueprint, found.encoding),
        others,
        work_dir=job,
        name="alone",
        options=dataclasses.replace(SUBNET, epochs=0.1),
    )
    names = json.loads((job / "subnet" / "alone" / "labels.json").read_text())
    assert names == ["pear", "plum", "zz_green_apple"]
    with pytest.raises(UserError, match="trained with the classes"):
        spos_tf.export_subnet(
            model,
            job / "export" / "alone",
            formats=["tflite"],
            compare_on=others,
            class_names=["zz_green_apple", "pear", "plum"],
        )
