"""How a search's candidates are scored: flags, evaluators, known scores."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from absl import flags, logging

from spos_tf.errors import UserError, said_of
from trained_supernet import supernet_folder

if TYPE_CHECKING:
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.evaluation.memo import ScoreMemo
    from spos_tf.evaluation.tree_evaluator import TreeEvaluator
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.networks.supernet import Supernet
    from spos_tf.search.driver import Evaluate
    from spos_tf.search.generations import Encoding

FLAGS = flags.FLAGS

# Flags that cannot change a score.
FREE = ("scoring", "chunk_size")
# Batches of more bytes are read anew for every candidate, or chunk of them.
_CACHE_BYTES = 4 << 30


def define_scoring() -> None:
    """Images, batches, and what is scored together."""
    flags.DEFINE_integer(
        "recalibration_images",
        20_000,
        "Training images that batch norm is recalibrated on for every "
        "candidate.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "evaluation_batch_size", 200, "Images at once.", lower_bound=1
    )
    flags.DEFINE_enum(
        "scoring",
        "single",
        ["single", "tree"],
        "single: one candidate after the other. tree: those of a generation "
        "together, what their paths share computed once; scores are the same.",
    )
    flags.DEFINE_integer(
        "chunk_size",
        0,
        "With --scoring=tree: candidates that are scored together and then "
        "recorded. 0: a whole generation.",
        lower_bound=0,
    )


def recalibration_split(parts):
    """The training images that batch norm is recalibrated on."""
    wanted = FLAGS.recalibration_images
    if wanted > len(parts.train):
        raise UserError(
            f"--recalibration_images={wanted} is more than the "
            f"{len(parts.train)} training images. Lower it."
        )
    return parts.recalibration(wanted, FLAGS.seed)


def load_supernet(trained) -> "Supernet":
    """The network, with the trained weights."""
    from spos_tf.networks.supernet import Supernet
    from spos_tf.networks.transfer import load_weights

    supernet = Supernet(trained.blueprint, width_mode=FLAGS.width_mode)
    with said_of(supernet_folder(FLAGS.work_dir)):
        load_weights(supernet, trained.weights)
    return supernet


def make_evaluator(
    supernet: "Supernet", recalibration, search_split, preprocessing
) -> "Evaluator | TreeEvaluator":
    """The evaluator that --scoring asks for."""
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.evaluation.tree import can_share
    from spos_tf.evaluation.tree_evaluator import TreeEvaluator

    batches = [
        evaluation_batches(split, preprocessing)
        for split in (recalibration, search_split)
    ]
    if FLAGS.scoring == "tree":
        shares = can_share(supernet.blueprint.reads)
        if shares and supernet.blueprint.is_chain:
            return TreeEvaluator(supernet, *batches)
        logging.info(
            "Paths of %s %s: --scoring=single is used.",
            supernet.blueprint.search_space.name,
            "meet in sums and are no tree"
            if shares
            else "share nothing, since its first segment reads every choice",
        )
    return Evaluator(supernet, *batches)


def scores(
    evaluator: "Evaluator | TreeEvaluator",
    blueprint: "Blueprint",
    memo: "ScoreMemo",
    on_chunk: Callable[[float], None],
) -> "Evaluate":
    """What `run_search` evaluates with.

    Args:
        evaluator: From `make_evaluator`.
        blueprint: Of its supernet.
        memo: Asked first, and given what is new.
        on_chunk: Called before a chunk is scored with the share of its
            segments that has to be computed.
    """
    from spos_tf.evaluation.tree_evaluator import TreeEvaluator

    if isinstance(evaluator, TreeEvaluator):
        return functools.partial(
            _by_chunk, evaluator, blueprint, memo, on_chunk
        )
    return functools.partial(_one_by_one, evaluator, memo)


def _one_by_one(
    evaluator: "Evaluator", memo: "ScoreMemo", encodings: list["Encoding"]
) -> Iterator[tuple[int, float, float]]:
    for position, encoding in enumerate(encodings):
        start = time.perf_counter()
        accuracy = memo.get(encoding.tolist())
        if accuracy is None:
            accuracy = evaluator(encoding)
            memo.put(encoding.tolist(), accuracy)
        yield position, accuracy, time.perf_counter() - start


def _by_chunk(
    evaluator: "TreeEvaluator",
    blueprint: "Blueprint",
    memo: "ScoreMemo",
    on_chunk: Callable[[float], None],
    encodings: list["Encoding"],
) -> Iterator[tuple[int, float, float]]:
    from spos_tf.evaluation.tree import chunks, computed_share

    unknown = []
    for position, encoding in enumerate(encodings):
        accuracy = memo.get(encoding.tolist())
        if accuracy is None:
            unknown.append(position)
        else:
            yield position, accuracy, 0.0
    paths = [blueprint.settings(encodings[position]) for position in unknown]
    for chunk in chunks(paths, FLAGS.chunk_size):
        start = time.perf_counter()
        on_chunk(computed_share([paths[index] for index in chunk]))
        positions = [unknown[index] for index in chunk]
        accuracies = evaluator([encodings[position] for position in positions])
        results = list(zip(positions, accuracies, strict=True))
        # All before the first enters the record: a kill in between then costs
        # no evaluation.
        for position, accuracy in results:
            memo.put(encodings[position].tolist(), accuracy)
        seconds = (time.perf_counter() - start) / len(chunk)
        for position, accuracy in results:
            yield position, accuracy, seconds


def evaluation_batches(split, preprocessing):
    """The split's batches, in memory where they fit."""
    from spos_tf.data import pipeline

    batches = pipeline.evaluation_batches(
        split, preprocessing, batch_size=FLAGS.evaluation_batch_size
    )
    size = len(split) * 12 * preprocessing.image_size**2
    return list(batches) if size <= _CACHE_BYTES else batches
