r"""Times a step or a score of two checkouts in turn, before and after a move.

Example:
  git worktree add ../before COMMIT
  python benchmarks/two_checkouts.py --before=../before --what=step

Each checkout has a process of its own that measures its own code through its
own benchmarks/subjects.py (any since version 0.1); this program lets one run
at a time, A B B A. It prints the ratio of the times (this checkout / the one
before) as `benchmarks/run.py` does. Nothing else may run meanwhile.
"""

import pathlib
import statistics
import subprocess
import sys
import time

from absl import app, flags

_HERE = pathlib.Path(__file__).resolve()

FLAGS = flags.FLAGS
flags.DEFINE_string("before", None, "Folder of the other checkout.")
flags.DEFINE_enum(
    "what", "step", ["step", "infer", "moments"], "What is timed."
)
flags.DEFINE_integer("image_size", 32, "Pixels; 32 or 224.")
flags.DEFINE_integer("batch_size", 64, "Images.")
flags.DEFINE_integer("threads", 1, "Threads of TensorFlow.")
flags.DEFINE_integer("rounds", 25, "Pairs of measurements.")
flags.DEFINE_string("serve", None, "For the processes this program starts.")


def _serve(checkout: str) -> None:
    """Answers each line of the input with the seconds of a pass over paths."""
    sys.path[:0] = [f"{checkout}/benchmarks", checkout]
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)

    import subjects
    from spos_tf.networks.supernet import Supernet, pooled_statistics

    blueprint = subjects.blueprint_at(FLAGS.image_size)
    supernet = Supernet(blueprint)
    batch = subjects.random_batch(FLAGS.image_size, FLAGS.batch_size)
    paths = subjects.random_paths(blueprint, 5)
    if FLAGS.what == "step":
        step = subjects.SupernetStep(supernet, FLAGS.batch_size)
        runs = [lambda path=path: step(batch, path) for path in paths]
    else:
        images, encodings = batch[0], [tf.constant(path) for path in paths]
        collect = tf.function(supernet.batch_moments, autograph=False)
        runs = [
            lambda path=path: collect(images, path)[-1].numpy()
            for path in encodings
        ]
        if FLAGS.what == "infer":
            score = tf.function(supernet, autograph=False)
            statistics_of = [
                pooled_statistics([(FLAGS.batch_size, collect(images, path))])
                for path in encodings
            ]
            runs = [
                lambda path=path, one=one: score(
                    images, path, statistics=one
                ).numpy()
                for path, one in zip(encodings, statistics_of, strict=True)
            ]
    for run in runs:
        run()
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        for run in runs:
            run()
        print((time.perf_counter() - started) / len(runs), flush=True)


class _Process:
    def __init__(self, checkout: pathlib.Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE), *sys.argv[1:], f"--serve={checkout}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.read()

    def read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise SystemExit("A checkout failed; its message stands above.")
        return line

    def seconds(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self.read())

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main(_: list[str]) -> None:
    """Measures, or serves a measurement."""
    if FLAGS.serve:
        _serve(FLAGS.serve)
        return
    if not FLAGS.before:
        raise SystemExit("--before=FOLDER names the checkout to compare with.")
    checkouts = (pathlib.Path(FLAGS.before).resolve(), _HERE.parents[1])
    processes = [_Process(checkout) for checkout in checkouts]
    times: list[list[float]] = [[], []]
    for turn in range(FLAGS.rounds):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            times[which].append(processes[which].seconds())
    for process in processes:
        process.end()
    ratios = [after / before for before, after in zip(*times, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    before, after = (1e3 * statistics.median(one) for one in times)
    print(
        f"{FLAGS.what} {FLAGS.image_size}px_b{FLAGS.batch_size}, "
        f"{FLAGS.threads} threads: {middle:.3f} ({low:.3f} to {high:.3f}); "
        f"{before:.1f} ms before, {after:.1f} ms now"
    )


if __name__ == "__main__":
    app.run(main)
