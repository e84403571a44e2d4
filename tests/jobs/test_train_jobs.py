"""The two training jobs, from Python and by their commands."""

import dataclasses
import json
import random
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as framework_config

import spos_tf
from source_tree import REPO
from spos_tf.data import inputs
from spos_tf.data.sources import DataSource, tfds
from spos_tf.jobs.trained import subnet_of

# One choice: what takes long is tracing.
SPACE = {
    "preset": "demo",
    "stem_width": 8,
    "stage_widths": [12],
    "stage_strides": [2],
    "stage_repeats": [1],
    "last_width": 16,
}
NUMBERS = {
    "steps": 6,
    "batch_size": 16,
    "checkpoint_every": 2,
    "validate_every": 3,
    "log_every": 2,
    "holdout_per_class": 5,
}


@pytest.fixture(scope="module")
def blueprint():
    return spos_tf.build_blueprint("shufflenet_blocks", **SPACE)


@pytest.fixture(scope="module")
def digits():
    source = DataSource("digits").load()
    return [
        (split.items, split.labels) for split in (source.train, source.test)
    ]


def options(**further):
    return spos_tf.TrainingOptions(**{**NUMBERS, **further})


@pytest.fixture(scope="module")
def supernet(blueprint, tmp_path_factory):
    """Trained from Python on a data set that a flag can name."""
    return spos_tf.train_supernet(
        blueprint,
        tfds("digits"),
        work_dir=tmp_path_factory.mktemp("python"),
        options=options(),
    )


def arrays(folder, step):
    with np.load(folder / f"checkpoints/step-{step:08d}.npz") as file:
        return {name: file[name].tobytes() for name in file.files}


def plain(folder):
    """What a run left, without times, and without where it is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name.startswith("events/"):
            continue
        if path.suffix == ".npz":
            found[name] = arrays(folder, int(path.stem.removeprefix("step-")))
        elif path.suffix in (".png", ".tflite"):
            found[name] = path.stat().st_size > 1000
        elif path.suffix == ".jsonl":
            lines = map(json.loads, path.read_text("utf-8").splitlines())
            found[name] = [{**one, "seconds": 0, "time": 0} for one in lines]
        elif path.suffix == ".keras":
            found[name] = [
                np.asarray(variable).tobytes()
                for variable in keras.saving.load_model(path).variables
            ]
        else:
            text = path.read_text("utf-8")
            found[name] = text.replace(str(folder.parent.parent), "WORK_DIR")
    if "manifest.json" in found:
        manifest = json.loads(found["manifest.json"])
        # What a converter calls things is a matter of the process.
        for one in manifest["files"].values():
            del one["sha256"], one["bytes"]
        found["manifest.json"] = manifest
    if "metrics.json" in found:
        metrics = json.loads(found["metrics.json"])
        assert metrics.pop("seconds") > 0
        found["metrics.json"] = metrics
    return found


def run(command, work_dir, *flags):
    numbers = NUMBERS if command.startswith("train") else {}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "spos_tf", command),
            *(f"--{key}={value}" for key, value in numbers.items()),
            f"--work_dir={work_dir}",
            "--dataset=digits",
            *flags,
        ],
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_python_and_the_command_leave_equal_files(
    supernet, blueprint, tmp_path
):
    run(
        "train_supernet",
        tmp_path,
        "--search_space=shufflenet_blocks",
        f"--space_arguments={json.dumps(SPACE)}",
    )
    ours = supernet.work_dir / "supernet" / "default"
    theirs = tmp_path / "supernet" / "default"
    assert plain(ours) == plain(theirs)
    assert {path.name for path in ours.iterdir()} == {
        ".lock",
        "checkpoints",
        "events",
        "labels.json",
        "run.json",
        "train_supernet.flags",
    }
    model = spos_tf.train_subnet(
        (blueprint, [1]),
        tfds("digits"),
        work_dir=supernet.work_dir,
        options=options(),
        inherit_from=supernet,
    )
    run(
        "train_subnet",
        tmp_path,
        "--search_space=shufflenet_blocks",
        f"--space_arguments={json.dumps(SPACE)}",
        "--encoding=1",
        f"--inherit_from={tmp_path}",
    )
    ours = supernet.work_dir / "subnet" / "default"
    assert plain(ours) == plain(tmp_path / "subnet" / "default")
    small = {"population": 2, "generations": 1, "recalibration_images": 50}
    found = spos_tf.search_supernet(
        supernet, options=spos_tf.SearchOptions(**small), max_macs=1e6
    )
    flags = [f"--{name}={value}" for name, value in small.items()]
    run("search", tmp_path, *flags, "--max_macs=1e6")
    assert plain(found.folder) == plain(tmp_path / "search" / "default")
    spos_tf.export_subnet(
        model,
        supernet.work_dir / "export" / "default",
        formats=("tflite",),
        compare_on=tfds("digits"),
    )
    run("export", tmp_path, "--formats=tflite")
    exports = [
        one / "export" / "default" for one in (supernet.work_dir, tmp_path)
    ]
    assert plain(exports[0]) == plain(exports[1])
    # Ready to be used, and loaded as the same network.
    images, labels = (
        DataSource("digits").load().test.items,
        DataSource("digits").load().test.labels,
    )
    loss, accuracy = model.evaluate(images, labels, verbose=0)
    metrics = json.loads((ours / "metrics.json").read_text("utf-8"))
    assert accuracy == pytest.approx(metrics["test_accuracy"])
    assert np.isfinite(loss)
    again = spos_tf.load_subnet(ours)
    known = subnet_of(again)
    assert known.encoding.tolist() == [1]
    assert known.class_names == tuple("0123456789")
    np.testing.assert_array_equal(
        again.predict(images, verbose=0), model.predict(images, verbose=0)
    )


def test_a_checkpoint_names_what_it_holds(supernet):
    names = arrays(supernet.folder, NUMBERS["steps"]).keys()
    kernel = next(
        one for one in supernet.weights if ".5x5." in one and "kernel" in one
    )
    assert {
        f"weights/{kernel}",
        f"average/{kernel}",
        f"optimizer/{kernel}/momentum",
        "optimizer/iterations",
        "description.json",
    } <= names
    for group in ("weights", "average", "optimizer"):
        trained = {
            name.removeprefix(f"{group}/").removesuffix("/momentum")
            for name in names
            if name.startswith(f"{group}/")
        }
        assert trained - {"iterations", "learning_rate"} == {*supernet.weights}


def test_a_supernet_is_loaded_as_it_was(supernet):
    loaded = spos_tf.load_supernet(supernet.work_dir)
    assert loaded.fingerprint() == supernet.fingerprint()
    assert loaded.step == NUMBERS["steps"]
    # A cell of a notebook that ends with it prints no weights.
    assert len(repr(supernet)) < 500 and "step=" in repr(loaded)
    assert loaded.holdout is None
    assert loaded.source == tfds("digits")
    assert len(supernet.holdout.validation) == 50
    assert supernet.holdout.class_names == tuple("0123456789")
    assert len(supernet.holdout.recalibration(100, 0)) == 100
    # 13 images of a class, a tenth of the smallest, are for a confirmation.
    assert len(supernet.holdout.confirmation) == 130
    # More than there are: all.
    assert len(supernet.holdout.recalibration(10**6, 0)) == 1437 - 50 - 130
    early = spos_tf.load_supernet(supernet.work_dir, step=2)
    assert early.fingerprint() != supernet.fingerprint()
    with pytest.raises(spos_tf.UserError, match="no supernet checkpoint"):
        spos_tf.load_supernet(supernet.work_dir, name="other")


def test_averaged_weights_are_kept_and_read(
    blueprint, digits, tmp_path, monkeypatch
):
    """By `load_supernet` and by a network that starts with them."""
    drawn = []
    plain_subset = inputs.random_subset
    monkeypatch.setattr(
        inputs,
        "random_subset",
        lambda split, count, seed: (
            drawn.append(count) or plain_subset(split, count, seed)
        ),
    )

    def train(name, every):
        return spos_tf.train_supernet(
            blueprint,
            digits[0],
            work_dir=tmp_path,
            name=name,
            options=spos_tf.SupernetOptions(
                **NUMBERS, average_every=every, recalibration_images=123
            ),
        )

    kept, plain_ = train("kept", 2), train("plain", 0)
    assert kept.chosen() == plain_.chosen() == "last"
    assert kept.fingerprint("last") == plain_.fingerprint()
    assert plain_.averages is None
    with pytest.raises(spos_tf.UserError, match="`average_every` above 0"):
        spos_tf.load_supernet(tmp_path, name="plain", weights="averaged")
    with pytest.raises(spos_tf.UserError, match="one of averaged, last"):
        spos_tf.load_supernet(tmp_path, name="kept", weights="both")
    asked = spos_tf.load_supernet(tmp_path, name="kept", weights="averaged")
    assert asked.chosen() == "averaged"
    option = blueprint.search_space.choices[0].options.index("5x5")
    found = {}
    drawn.clear()
    for name, given in {
        "last": {"inherit_from": tmp_path},
        "averaged": {"inherit_from": kept, "weights": "averaged"},
    }.items():
        model = spos_tf.train_subnet(
            (blueprint, [option]),
            digits[0],
            work_dir=tmp_path,
            name=name,
            supernet_name="kept",
            # Weights stay as they were.
            options=options(steps=1, learning_rate=0.0),
            **given,
        )
        run = json.loads((tmp_path / f"subnet/{name}/run.json").read_text())
        found[name] = (
            np.asarray(model.weights[0]),
            run["inputs"]["inherit_from"],
        )
    # As many as in the training, and so in a search.
    assert drawn == [123, 123]
    stem = next(name for name in kept.weights if name.startswith("stem"))
    for name, (kernel, fingerprint) in found.items():
        assert fingerprint == kept.fingerprint(name)
        np.testing.assert_array_equal(kernel, kept.arrays(name)[stem])
    assert not np.array_equal(found["last"][0], found["averaged"][0])
    with pytest.raises(spos_tf.UserError, match="`weights=last` says which"):
        spos_tf.train_subnet(
            (blueprint, [option]),
            digits[0],
            work_dir=tmp_path,
            name="new",
            weights="last",
        )


class Stop(keras.callbacks.Callback):
    """Ends the process's training as Ctrl-C does."""

    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def in_batches(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(7)


@pytest.mark.parametrize("form", ["arrays", "tf.data"])
def test_a_resumed_run_ends_in_the_same_bits(blueprint, digits, tmp_path, form):
    """A supernet on arrays, and a network on a stream."""
    images, labels = digits[0]
    given = in_batches(images, labels) if form == "tf.data" else digits[0]

    def train(name, *callbacks):
        numbers = {"work_dir": tmp_path, "name": name, "callbacks": callbacks}
        if form == "arrays":
            return spos_tf.train_supernet(
                blueprint, given, options=options(), **numbers
            )
        alone = options(holdout_per_class=None)
        return spos_tf.train_subnet(
            (blueprint, [3]), given, options=alone, **numbers
        )

    folder = tmp_path / ("supernet" if form == "arrays" else "subnet")
    train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("stopped", Stop())
    newest = max(
        path.name for path in (folder / "stopped/checkpoints").iterdir()
    )
    assert newest < "step-00000006"
    train("stopped")
    assert arrays(folder / "whole", 6) == arrays(folder / "stopped", 6)
    # Other images are another run.
    given = (images[::-1], labels[::-1])
    with pytest.raises(spos_tf.UserError, match="`train` has changed"):
        train("whole")


def test_a_supernet_is_trained_on_a_stream(blueprint, digits, tmp_path, caplog):
    caplog.set_level("INFO", "spos_tf")
    images, labels = digits[0]
    metric = keras.metrics.SparseTopKCategoricalAccuracy(3, name="top3")
    supernet = spos_tf.train_supernet(
        blueprint,
        in_batches(images[50:], labels[50:]),
        work_dir=tmp_path,
        options=options(holdout_per_class=None, steps=4, validate_every=2),
        validation=in_batches(images[:50], labels[:50]),
        class_names=[f"digit {label}" for label in range(10)],
        loss=keras.losses.CategoricalFocalCrossentropy(from_logits=True),
        metric=metric,
        callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")],
    )
    folder = tmp_path / "supernet" / "default"
    run_file = json.loads((folder / "run.json").read_text("utf-8"))
    assert set(run_file["inputs"]) == {"train", "validation"}
    assert run_file["options"]["label_smoothing"] == 0
    assert "Focal" in run_file["options"]["loss"]["class"]
    said = [one for one in caplog.messages if "is not augmented" in one]
    assert len(said) == 1 and "tf.data.Dataset" in said[0]
    names = json.loads((folder / "labels.json").read_text("utf-8"))
    assert names[3] == "digit 3"
    assert len(supernet.holdout.validation) == 50
    assert supernet.holdout.recalibration(9, 0).items.dtype == np.uint8
    header, *lines = (tmp_path / "log.csv").read_text("utf-8").splitlines()
    assert {"loss", "top3", "val_loss", "val_top3"} <= set(header.split(","))
    assert len(lines) == 2


def test_how_many_images_are_held_out_where_nobody_says(
    blueprint, digits, tmp_path, caplog
):
    """A fifth of the smallest class; what is resumed keeps its number."""
    caplog.set_level("INFO", "spos_tf")
    few = tuple(one[:150] for one in digits[0])
    expected = int(np.bincount(few[1]).min()) // 5
    assert expected < 50
    for name, given in (("unsaid", None), ("said", expected + 1)):
        for held_out in (given, None):
            spos_tf.train_supernet(
                blueprint,
                few,
                work_dir=tmp_path,
                name=name,
                options=options(
                    steps=2, validate_every=0, holdout_per_class=held_out
                ),
            )
        run = json.loads(
            (tmp_path / "supernet" / name / "run.json").read_text("utf-8")
        )
        assert run["options"]["holdout_per_class"] == (given or expected)
    # Said where it is picked, and only there.
    assert caplog.text.count(f"holdout_per_class={expected}: a fifth") == 1


def test_a_training_that_still_guesses_says_so(
    blueprint, digits, tmp_path, caplog
):
    caplog.set_level("INFO", "spos_tf")
    for name, every in (("validated", 2), ("unseen", 0)):
        caplog.clear()
        spos_tf.train_supernet(
            blueprint,
            digits[0],
            work_dir=tmp_path,
            name=name,
            options=options(steps=2, validate_every=every, learning_rate=0.0),
        )
        said = caplog.text.count("where chance is 10.00 %. The supernet is")
        assert said == (every > 0)


def state():
    """What a call of the library leaves as it found it."""
    settings = tf.config.threading
    return (
        keras.config.dtype_policy().name,
        random.getstate(),
        np.random.get_state()[1].tolist(),
        framework_config.is_op_determinism_enabled(),
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        settings.get_intra_op_parallelism_threads(),
        settings.get_inter_op_parallelism_threads(),
    )


def test_calls_leave_the_process_as_it_was(
    blueprint, digits, tmp_path, usual_ctrl_c
):
    tf.random.set_seed(1)
    expected = tf.random.uniform([3]).numpy()
    tf.random.set_seed(1)
    before = state()
    half = {"dtype_policy": "mixed_bfloat16"}
    numbers = {"steps": 2, "validate_every": 0, **half}
    supernet = spos_tf.train_supernet(
        blueprint, digits[0], work_dir=tmp_path, options=options(**numbers)
    )
    assert state() == before
    found = spos_tf.search_supernet(
        supernet,
        options=spos_tf.SearchOptions(population=2, generations=1, **half),
    )
    assert state() == before
    model = spos_tf.train_subnet(
        found.best,
        digits[0],
        work_dir=tmp_path,
        options=options(**numbers, holdout_per_class=None),
    )
    assert state() == before
    spos_tf.export_subnet(
        model,
        tmp_path / "export" / "a",
        formats=("saved_model",),
        compare_on=digits[1],
    )
    spos_tf.load_subnet(tmp_path / "subnet" / "default")
    assert state() == before
    np.testing.assert_array_equal(tf.random.uniform([3]).numpy(), expected)
    metrics = tmp_path / "subnet/default/metrics.json"
    assert json.loads(metrics.read_text("utf-8"))["test_score"] is None


def test_a_blueprint_of_ones_own_is_given_again(blueprint, digits, tmp_path):
    space = dataclasses.replace(blueprint.search_space, name="mine")
    mine = dataclasses.replace(blueprint, search_space=space)
    spos_tf.train_supernet(
        mine, digits[0], work_dir=tmp_path, options=options(steps=2)
    )
    with pytest.raises(spos_tf.UserError, match="give it as `blueprint`"):
        spos_tf.load_supernet(tmp_path)
    loaded = spos_tf.load_supernet(tmp_path, mine)
    assert loaded.blueprint.search_space.name == "mine"
    assert loaded.source is None
    other = dataclasses.replace(mine, space_arguments={"preset": "cifar"})
    with pytest.raises(spos_tf.UserError, match="Give the same `blueprint`"):
        spos_tf.load_supernet(tmp_path, other)
    fewer = dataclasses.replace(
        mine,
        search_space=dataclasses.replace(
            space,
            choices=(spos_tf.Choice(space.choices[0].name, ("a", "b")),),
        ),
    )
    with pytest.raises(spos_tf.UserError, match="with the choices"):
        spos_tf.load_supernet(tmp_path, fewer)
    pretended = dataclasses.replace(blueprint, num_classes=7)
    with pytest.raises(spos_tf.UserError, match="a name of its own"):
        spos_tf.load_supernet(tmp_path, pretended)


REFUSED = {
    "options of something else": (
        {"options": spos_tf.SearchOptions()},
        "SupernetOptions",
    ),
    "validation and holdout": (
        {"validation": tfds("digits")},
        "Leave one out",
    ),
    "the same images to validate": (
        {
            "train": tfds("digits"),
            "validation": tfds("digits"),
            "options": spos_tf.TrainingOptions(steps=2),
        },
        "data set of `train`",
    ),
    "smoothing of a loss": (
        {
            "loss": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            ),
            "options": options(label_smoothing=0.1),
        },
        "belongs to the default loss",
    ),
    "probabilities": (
        {"loss": keras.losses.SparseCategoricalCrossentropy()},
        "from_logits",
    ),
    "an unknown choice": ({"fix": {"stage9.op": "3x3"}}, "stage9.op"),
    "a limit that nothing keeps": ({"max_macs": 1.0}, "macs"),
}


@pytest.mark.parametrize(("change", "expected"), REFUSED.values(), ids=REFUSED)
def test_refused(blueprint, digits, tmp_path, change, expected):
    arguments = {"train": digits[0], "options": options(), **change}
    with pytest.raises(spos_tf.UserError) as refused:
        spos_tf.train_supernet(
            blueprint, work_dir=tmp_path / "runs", **arguments
        )
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "runs").exists()


def test_a_stream_needs_images_to_validate_on(blueprint, digits, tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices(digits[0]).batch(8)
    with pytest.raises(spos_tf.UserError, match="validation_split"):
        spos_tf.train_supernet(
            blueprint, dataset, work_dir=tmp_path, options=options()
        )


def test_a_loaded_supernet_is_searched_on_the_arrays_of_its_training(
    blueprint, digits, tmp_path
):
    (images, labels), _ = digits
    train, validation, other = (
        (images[some], labels[some])
        for some in (slice(200), slice(200, 300), slice(300, 400))
    )
    spos_tf.train_supernet(
        blueprint,
        train,
        validation=validation,
        work_dir=tmp_path,
        options=options(steps=2, validate_every=0, holdout_per_class=None),
    )
    given = {"validation": validation, "recalibration": train}

    def search(**changed):
        return spos_tf.search_supernet(
            spos_tf.load_supernet(tmp_path),
            options=spos_tf.SearchOptions(population=2, generations=1),
            **{**given, **changed},
        )

    assert len(search().candidates) == 2
    for name in given:
        with pytest.raises(spos_tf.UserError, match=f"others.*`{name}`"):
            search(**{name: other}, name="other")


def test_a_search_on_a_stream_is_resumed(blueprint, digits, tmp_path):
    """The script is started again, and the stream shuffles otherwise."""
    images, labels = digits[0]

    def stream(some):
        pairs = tf.data.Dataset.from_tensor_slices((images[some], labels[some]))
        return pairs.shuffle(200, seed=3).batch(16)

    def script():
        supernet = spos_tf.train_supernet(
            blueprint,
            stream(slice(200)),
            validation=stream(slice(200, 300)),
            work_dir=tmp_path,
            options=options(steps=2, validate_every=0, holdout_per_class=None),
        )
        small = spos_tf.SearchOptions(population=2, generations=1)
        return spos_tf.search_supernet(supernet, options=small).candidates

    first = script()
    assert script() == first
