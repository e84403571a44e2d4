r"""The whole job on digits in one process: seconds of each step, and accuracy.

Example:
  python benchmarks/small_job.py --threads=1

The images, the limit and the options are those of `spos demo` (one search in
place of its two), by public functions apart from the images. Prints JSON. The
seconds count from the start of the interpreter, imports within. Nothing else
may run meanwhile.
"""

import json
import pathlib
import sys
import tempfile
import time

from absl import app, flags

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent)]

_LIMIT = 190_000

FLAGS = flags.FLAGS
flags.DEFINE_integer("threads", 1, "Threads of TensorFlow.")
flags.DEFINE_integer("seed", 0, "Seed of the network's training.")


class _Clock:
    """Seconds since the process began, step by step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        # /proc counts in hundredths since the machine started.
        fields = pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1]
        began = int(fields.split()[19]) / 100
        self._offset = time.clock_gettime(time.CLOCK_BOOTTIME) - began
        self._offset -= time.perf_counter()

    def total(self) -> float:
        return time.perf_counter() + self._offset

    def stop(self, name: str) -> None:
        self.steps[name] = self.total() - sum(self.steps.values())


def main(_: list[str]) -> None:
    """Arrays -> supernet -> search -> Keras model -> checked files."""
    clock = _Clock()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)

    import spos_tf
    from spos_tf.data.digits import load_digits_source

    source = load_digits_source()
    train = (source.train.items, source.train.labels)
    test = (source.test.items, source.test.labels)
    networks = spos_tf.build_blueprint(
        "shufflenet_blocks", preset="demo", dropout=0.3
    )
    clock.stop("imports and images")
    with tempfile.TemporaryDirectory() as folder:
        supernet = spos_tf.train_supernet(
            networks,
            train,
            work_dir=folder,
            options=spos_tf.SupernetOptions(
                sampler="uniform_constraint",
                initialization="aligned",
                augmentation="none",
                holdout_per_class=30,
                steps=1000,
                batch_size=16,
                learning_rate=0.1,
                label_smoothing=0.1,
                l2=4e-5,
                schedule="cosine",
                final_learning_rate=0.0,
                checkpoint_every=1000,
                validate_every=0,
            ),
        )
        clock.stop("supernet")
        found = spos_tf.search_supernet(
            supernet,
            options=spos_tf.SearchOptions(
                population=20,
                generations=10,
                top_k=8,
                recalibration_images=500,
            ),
            max_macs=_LIMIT,
        )
        clock.stop("search")
        model = spos_tf.train_subnet(
            found.best,
            train,
            test=test,
            work_dir=folder,
            options=spos_tf.SubnetOptions(
                seed=FLAGS.seed,
                augmentation="none",
                steps=800,
                batch_size=32,
                learning_rate=0.3,
                label_smoothing=0.1,
                l2=6e-3,
                schedule="cosine",
                final_learning_rate=0.0,
                validate_every=0,
            ),
        )
        clock.stop("training of what was found")
        manifest = spos_tf.export_subnet(
            model,
            pathlib.Path(folder) / "export",
            formats=("tflite", "onnx"),
            compare_on=test,
        )
        clock.stop("TFLite and ONNX, compared")
    said = {
        "encoding": [int(one) for one in found.best.encoding],
        "macs": found.best.costs["macs"],
        "accuracy of files": {
            name: entry["accuracy"] for name, entry in manifest["files"].items()
        },
        "seconds": {
            name: round(spent, 1) for name, spent in clock.steps.items()
        },
        "seconds in all": round(clock.total(), 1),
    }
    json.dump(said, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    app.run(main)
