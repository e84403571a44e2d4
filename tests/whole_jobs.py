"""The whole job from Python as a user's script has it, by public names alone.

`tests/jobs/test_whole_jobs.py` runs each function from the checkout and
`tests/installed_package.py` runs them where only the wheel is installed.
Each takes an empty folder, and fails by an AssertionError.
"""

import csv
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

LIMIT = 190_000


def digits() -> tuple[Any, Any]:
    """Training and test images of scikit-learn's digits, and their labels."""
    import numpy as np
    from sklearn.datasets import load_digits

    found = load_digits()
    gray = np.rint(found.images * (255 / 16)).astype(np.uint8)
    images = np.repeat(gray[..., np.newaxis], 3, axis=-1)
    labels = found.target
    return (images[:1400], labels[:1400]), (images[1400:], labels[1400:])


def arrays_to_files(folder: pathlib.Path) -> None:
    """Arrays -> supernet -> search -> Keras model -> TFLite and ONNX."""
    import keras

    import spos_tf

    train, test = digits()
    logs = folder / "logs"
    watch = [
        keras.callbacks.TensorBoard(logs),
        keras.callbacks.CSVLogger(folder / "log.csv"),
        keras.callbacks.EarlyStopping("val_loss", patience=50),
    ]
    supernet = spos_tf.train_supernet(
        spos_tf.build_blueprint("shufflenet_blocks", preset="demo"),
        train,
        work_dir=folder,
        options=spos_tf.SupernetOptions(
            steps=40, batch_size=16, holdout_per_class=20, validate_every=20
        ),
        callbacks=watch,
    )
    with open(folder / "log.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2, rows
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(rows[0])
    assert any(logs.rglob("events.out.tfevents.*"))
    found = spos_tf.search_supernet(
        supernet,
        options=spos_tf.SearchOptions(population=6, generations=2, top_k=3),
        max_macs=LIMIT,
    )
    assert found.best.costs["macs"] <= LIMIT
    model = spos_tf.train_subnet(
        found.best,
        train,
        test=test,
        work_dir=folder,
        options=spos_tf.SubnetOptions(steps=60, batch_size=64),
    )
    loss, accuracy = model.evaluate(
        test[0].astype("float32"), test[1], verbose=0
    )
    assert loss > 0 and 0 <= accuracy <= 1
    manifest = spos_tf.export_subnet(
        model,
        folder / "export" / "a",
        formats=("tflite", "onnx"),
        compare_on=test,
    )
    for entry in manifest["files"].values():
        assert entry["top1_agreement"] == 1, entry
    assert spos_tf.write_report(folder).is_file()


def own_blueprint(folder: pathlib.Path) -> None:
    """The same with a blueprint that only this script knows."""
    import spos_tf

    train, test = digits()
    blueprint = small_blueprint()
    supernet = spos_tf.train_supernet(
        blueprint,
        train,
        work_dir=folder,
        options=spos_tf.SupernetOptions(
            steps=20, batch_size=16, holdout_per_class=20, sampler="uniform"
        ),
    )
    again = spos_tf.load_supernet(folder, blueprint)
    assert again.step == supernet.step == 20
    found = spos_tf.search_supernet(
        supernet, options=spos_tf.SearchOptions(population=3, generations=1)
    )
    model = spos_tf.train_subnet(
        found.best,
        train,
        test=test,
        work_dir=folder,
        options=spos_tf.SubnetOptions(steps=20, batch_size=64),
    )
    manifest = spos_tf.export_subnet(
        model, folder / "export" / "a", formats=("tflite",), compare_on=test
    )
    assert manifest["files"]["tflite"]["top1_agreement"] == 1


@dataclasses.dataclass(frozen=True)
class _Separable:
    """A depthwise and a 1x1 convolution, added to the input."""

    kernel_size: int

    def __call__(self, ops: Any, x: Any) -> Any:
        y = ops.depthwise(x, self.kernel_size, name="depthwise")
        y = ops.conv(y, ops.channels(x), name="pointwise")
        return ops.add(x, ops.relu(ops.batch_norm(y, name="norm")))


def small_blueprint() -> Any:
    """Two choices of two kernel sizes."""
    import spos_tf
    from spos_tf.blocks.shuffle import Head, Stem

    choices = tuple(
        spos_tf.Choice(f"block{i}.op", ("3x3", "5x5")) for i in (1, 2)
    )
    return spos_tf.Blueprint(
        search_space=spos_tf.SearchSpace("of_a_script", choices),
        space_arguments={},
        image_size=8,
        num_classes=10,
        segments=(
            spos_tf.Segment("stem", (Stem(16, 2, "standard"),)),
            *(
                spos_tf.Segment(
                    f"block{i}",
                    (_Separable(3), _Separable(5)),
                    choice.name,
                )
                for i, choice in enumerate(choices, 1)
            ),
            spos_tf.Segment("head", (Head(32, 10, dropout=0.0),)),
        ),
    )


def image_folders(folder: pathlib.Path) -> None:
    """`image_dataset_from_directory`, focal loss, and another metric."""
    import keras

    import spos_tf

    (images, labels), test = digits()
    photos = folder / "photos"
    for number, (image, label) in enumerate(
        zip(images[:300], labels[:300], strict=True)
    ):
        place = photos / f"digit{label}"
        place.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(place / f"{number}.png", image, scale=False)
    train, validation = keras.utils.image_dataset_from_directory(
        photos,
        image_size=(8, 8),
        batch_size=16,
        validation_split=0.3,
        subset="both",
        seed=0,
        verbose=False,
    )
    loss = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
    metric = keras.metrics.TopKCategoricalAccuracy(3, name="top3")
    supernet = spos_tf.train_supernet(
        spos_tf.build_blueprint("shufflenet_blocks", preset="demo"),
        train,
        validation=validation,
        work_dir=folder / "runs",
        options=spos_tf.SupernetOptions(
            steps=30, batch_size=16, validate_every=15
        ),
        loss=loss,
        metric=metric,
    )
    found = spos_tf.search_supernet(
        supernet,
        options=spos_tf.SearchOptions(population=4, generations=1),
        max_macs=LIMIT,
        metric=metric,
    )
    assert found.best.metric == "top3" and 0 <= found.best.score <= 1
    model = spos_tf.train_subnet(
        found.best,
        train,
        test=test,
        work_dir=folder / "runs",
        options=spos_tf.SubnetOptions(steps=30, batch_size=16),
        loss=loss,
        metric=metric,
    )
    manifest = spos_tf.export_subnet(
        model,
        folder / "runs" / "export" / "a",
        formats=("tflite",),
        compare_on=test,
    )
    assert manifest["labels"] == [f"digit{i}" for i in range(10)]


_INTERRUPTED = """
import os, pathlib, signal, sys
import keras, spos_tf
from whole_jobs import digits, small_blueprint

folder, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
# A shell that runs this in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if wanted and batch + 1 >= wanted:
            os.kill(os.getpid(), signal.SIGINT)

spos_tf.train_supernet(
    small_blueprint(), digits()[0], work_dir=folder,
    options=spos_tf.SupernetOptions(
        steps=20, batch_size=16, holdout_per_class=20, sampler="uniform",
        log_every=1, checkpoint_every=5, validate_every=0,
    ),
    callbacks=[Interrupt()],
)
"""


def interrupted(folder: pathlib.Path) -> None:
    """Ctrl-C in a script, and the same script again: equal weights."""
    import numpy as np

    import spos_tf

    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [
                str(pathlib.Path(__file__).resolve().parent),
                os.environ.get("PYTHONPATH", ""),
            ]
        ),
    }

    def run(work_dir: str, stop_after: int) -> int:
        return subprocess.run(
            [
                sys.executable,
                "-c",
                _INTERRUPTED,
                folder / work_dir,
                str(stop_after),
            ],
            env=environment,
            capture_output=True,
        ).returncode

    assert run("a", 12) in (1, 130, -signal.SIGINT)
    assert run("a", 0) == 0
    assert run("b", 0) == 0
    resumed, whole = (
        spos_tf.load_supernet(folder / name, small_blueprint())
        for name in ("a", "b")
    )
    assert resumed.step == whole.step == 20
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], value, name)


ALL = (arrays_to_files, own_blueprint, image_folders, interrupted)
