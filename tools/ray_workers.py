"""Flags of workers that score candidates, and what runs in a worker."""

import collections
import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import program
from absl import flags, logging

from spos_tf.errors import UserError
from spos_tf.search.driver import Evaluation

if TYPE_CHECKING:
    from search_judge import Judge
    from spos_tf.evaluation.memo import ScoreMemo
    from spos_tf.evaluation.ray_pool import RayPool
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.search.generations import Encoding

FLAGS = flags.FLAGS

_OF_RAY = ("num_workers", "worker_gpus", "ray_address")
# Who scores does not change a score.
FREE = ("workers", *_OF_RAY)


def define_workers() -> None:
    """--workers and what belongs to it."""
    flags.DEFINE_enum(
        "workers",
        "local",
        ["local", "ray"],
        "Who scores candidates. local: this process. ray: processes of Ray's, "
        "here or on a cluster, with --threads CPU threads each (1 if unset); "
        "record and result are the same. Needs pip install 'spos_tf[ray]'.",
    )
    flags.DEFINE_integer(
        "num_workers",
        0,
        "With --workers=ray: processes; 0: as many as there is room for.",
        lower_bound=0,
    )
    flags.DEFINE_float(
        "worker_gpus",
        None,
        "With --workers=ray: GPUs of a process, 0.5 for two a GPU; one where "
        "there are GPUs if unset.",
        lower_bound=0.0,
    )
    flags.DEFINE_string(
        "ray_address",
        None,
        "With --workers=ray: of a cluster, HOST:PORT or auto; one is started "
        "on this machine if unset. Every machine needs this checkout, the "
        "data and --work_dir at the same paths.",
    )


def settle() -> None:
    """What follows from --workers for other flags, before they are kept.

    Raises:
        UserError: A flag of Ray's workers without them.
    """
    if FLAGS.workers == "ray":
        # The number decides last bits of scores, so it is part of the run.
        FLAGS.threads = FLAGS.threads or 1
        return
    for name in _OF_RAY:
        if FLAGS[name].value != FLAGS[name].default:
            raise UserError(
                f"--{name} is of --workers=ray; got it with --workers=local. "
                "Leave it out, or add --workers=ray."
            )


@contextlib.contextmanager
def open_workers(step: int) -> "Iterator[RayPool]":
    """Workers for the supernet and the data of the flags.

    Args:
        step: Of the checkpoint; a newer one may appear meanwhile.

    Raises:
        UserError: See `open_pool`.
    """
    from spos_tf.evaluation.ray_cluster import PoolOptions
    from spos_tf.evaluation.ray_pool import open_pool

    options = PoolOptions(
        workers=FLAGS.num_workers,
        threads=FLAGS.threads,
        gpus=FLAGS.worker_gpus,
        address=FLAGS.ray_address,
        python_path=(str(pathlib.Path(__file__).resolve().parent),),
        environment={"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    lines = [line for flag in program.own_flags() for line in _lines(flag)]
    arguments = {"folder": os.getcwd(), "lines": lines, "step": step}
    with open_pool(
        f"{__name__}:make_judge", arguments, options, logging.info
    ) as pool:
        logging.info("%s workers are loading network and data.", pool.workers)
        yield pool


def _lines(flag: flags.Flag) -> list[str]:
    # A worker works for whoever asks, not in a run's folder.
    return [] if flag.name in FREE else flag.serialize().splitlines()


def scores(
    pool: "RayPool",
    blueprint: "Blueprint",
    memo: "ScoreMemo",
    on_chunk: Callable[[float], None],
    encodings: "list[Encoding]",
) -> "Iterator[tuple[int, float, float, str]]":
    """Evaluates with workers, as they are done; see `scoring.scores`."""
    from spos_tf.evaluation.ray_pool import Chunk
    from spos_tf.evaluation.tree import computed_share

    unknown = []
    for position, encoding in enumerate(encodings):
        accuracy = memo.get(encoding.tolist())
        if accuracy is None:
            unknown.append(position)
        else:
            yield position, accuracy, 0.0, "memo"
    paths = [blueprint.settings(encodings[position]) for position in unknown]
    for indexes in _chunks(paths, pool.workers):
        keys = tuple(unknown[index] for index in indexes)
        pool.submit(Chunk(keys, [encodings[key].tolist() for key in keys]))
    while pool.outstanding:
        chunk, accuracies, seconds, worker = pool.take()
        results = list(zip(chunk.keys, accuracies, strict=True))
        # All before the first enters the record: a kill in between then costs
        # no evaluation.
        for key, accuracy in results:
            memo.put(encodings[key].tolist(), accuracy)
        if FLAGS.scoring == "tree":
            settings = [
                blueprint.settings(encodings[key]) for key, _ in results
            ]
            on_chunk(computed_share(settings))
        for key, accuracy in results:
            yield key, accuracy, seconds / len(results), worker


class PoolStream:
    """Evaluates candidates as they come, one a chunk."""

    def __init__(self, pool: "RayPool", memo: "ScoreMemo") -> None:
        self._pool = pool
        self._memo = memo
        self._known: collections.deque[Evaluation] = collections.deque()

    def submit(self, position: int, encoding: "Encoding") -> None:
        """Has a candidate evaluated, unless its score is known."""
        from spos_tf.evaluation.ray_pool import Chunk

        accuracy = self._memo.get(encoding.tolist())
        if accuracy is None:
            self._pool.submit(Chunk((position,), [encoding.tolist()]))
        else:
            self._known.append(Evaluation(position, accuracy, 0.0, "memo"))

    def take(self) -> "Evaluation":
        """Waits for one of those submitted; each is given once."""
        if self._known:
            return self._known.popleft()
        chunk, (accuracy,), seconds, worker = self._pool.take()
        self._memo.put(chunk.encodings[0], accuracy)
        return Evaluation(chunk.keys[0], accuracy, seconds, worker)


def _chunks(paths: list, workers: int) -> list[list[int]]:
    """What is scored in one go: a path, or a share of the tree a worker."""
    from spos_tf.evaluation.tree import chunks

    if FLAGS.scoring == "tree":
        share = -(-len(paths) // workers)
        return chunks(paths, FLAGS.chunk_size or share)
    size = FLAGS.chunk_size or 1
    indexes = range(len(paths))
    return [list(indexes[i : i + size]) for i in indexes[::size]]


def make_judge(folder: str, lines: list[str], step: int) -> "WorkerJudge":
    """Loads what the flags of a search say; called in a worker.

    Args:
        folder: That the flags' paths start from.
        lines: The flags, as in a flagfile.
        step: Of the supernet's checkpoint.

    Raises:
        UserError: This machine lacks the folder, or see `load_judge`.
    """
    import search_judge
    import search_run
    import trained_supernet

    try:
        os.chdir(folder)
    except OSError:
        raise UserError(
            f"Worker machine {os.uname().nodename} has no folder {folder!r}. "
            "Every machine of the cluster needs the same paths."
        ) from None
    search_run.define_search()
    FLAGS([f"{__name__}.py", *lines], known_only=True)
    trained = trained_supernet.read_supernet(FLAGS.work_dir, step)
    return WorkerJudge(search_judge.load_judge(trained))


class WorkerJudge:
    """A search's judge as `ray_worker.Worker` asks it."""

    def __init__(self, judge: "Judge") -> None:
        self._evaluator = judge.evaluator
        self.described: Mapping[str, Any] = {
            "images": judge.images,
            "scored_with": dict(judge.scored_with),
        }

    def __call__(self, encodings: list[list[int]]) -> list[float]:
        """An accuracy for each of a chunk of encodings."""
        from spos_tf.evaluation.tree_evaluator import TreeEvaluator

        arrays = [np.array(one, np.int32) for one in encodings]
        if isinstance(self._evaluator, TreeEvaluator):
            return list(self._evaluator(arrays))
        return [self._evaluator(one) for one in arrays]
