"""What tools/correlate.py scores architectures with."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

import scoring
import search_judge
import shared_flags
from spos_tf.errors import UserError

if TYPE_CHECKING:
    import pathlib

    import numpy.typing as npt

    from spos_tf.networks.supernet import Supernet
    from trained_supernet import TrainedSupernet

FLAGS = flags.FLAGS


def define_judge() -> None:
    """Images, batches, statistics."""
    scoring.define_scoring()
    flags.DEFINE_integer(
        "scored_images",
        0,
        "Images of the search split that an architecture is scored on, as "
        "many of every class as can be, drawn with --seed; 0: all of them.",
        lower_bound=0,
    )
    flags.DEFINE_enum(
        "statistics",
        "recalibrated",
        ["recalibrated", "shared"],
        "What batch norm uses. recalibrated: statistics of each architecture "
        "by itself, as in the search. shared: one set for all, averaged over "
        "--shared_paths random paths, as moving averages of the training "
        "would be; this is scoring without recalibration.",
    )
    flags.DEFINE_integer(
        "shared_paths",
        200,
        "With --statistics=shared: random paths, a training batch each.",
        lower_bound=1,
    )
    shared_flags.define_threads()


@dataclasses.dataclass
class Judge:
    """Scores architectures with one checkpoint's weights at a time.

    Attributes:
        supernet: Whose weights are replaced.
        evaluator: See `scoring.make_evaluator`, or of shared statistics.
        scored_with: Which images, by fingerprints.
    """

    supernet: "Supernet"
    evaluator: Any
    scored_with: Mapping[str, str]

    def take(self, trained: "TrainedSupernet") -> None:
        """Takes the weights of another checkpoint; nothing is traced anew."""
        from spos_tf.evaluation.shared_statistics import SharedStatistics
        from spos_tf.networks.transfer import load_weights

        load_weights(self.supernet, trained.weights)
        if isinstance(self.evaluator, SharedStatistics):
            self.evaluator.forget()

    def scores(
        self,
        trained: "TrainedSupernet",
        encodings: "Sequence[npt.NDArray[np.int32]]",
        memo_file: "pathlib.Path",
    ) -> Iterator[tuple[int, float, float]]:
        """Of each its place, its score, and the seconds that it took.

        Args:
            trained: Whose weights the supernet has.
            encodings: Of the architectures.
            memo_file: Scores that runs share.
        """
        from spos_tf.evaluation.memo import ScoreMemo

        shared = ("shared", FLAGS.shared_paths, FLAGS.seed)
        memo = ScoreMemo(
            memo_file,
            trained.fingerprint(),
            *self.scored_with.values(),
            FLAGS.evaluation_batch_size,
            FLAGS.threads,
            FLAGS.width_mode,
            *(shared if FLAGS.statistics == "shared" else ()),
        )
        evaluate = scoring.scores(
            self.evaluator,
            trained.blueprint,
            memo,
            on_chunk=lambda computed_share: None,
        )
        yield from evaluate(list(encodings))


def load_judge(trained: "TrainedSupernet") -> Judge:
    """Loads weights and images.

    Raises:
        UserError: The data cannot be had, or is not what training held out.
    """
    import tensorflow as tf

    from spos_tf.data.splits import fingerprint

    if FLAGS.statistics == "shared" and FLAGS.scoring == "tree":
        raise UserError(
            "--scoring=tree shares recalibration, of which --statistics="
            "shared has none. Leave one of them out."
        )
    shared_flags.set_threads()
    tf.config.experimental.enable_op_determinism()
    preprocessing = shared_flags.preprocessing(trained.blueprint)
    parts = shared_flags.splits(trained.blueprint, trained.words())
    search_judge.check_split(trained, parts)
    scored = parts.scored(FLAGS.scored_images, FLAGS.seed)
    recalibration = scoring.recalibration_split(parts)
    supernet = scoring.load_supernet(trained)
    if FLAGS.statistics == "shared":
        from spos_tf.evaluation.shared_statistics import SharedStatistics

        evaluator: Any = SharedStatistics(
            supernet,
            scoring.evaluation_batches(recalibration, preprocessing),
            scoring.evaluation_batches(scored, preprocessing),
            trained.blueprint.search_space.sample(
                np.random.default_rng(FLAGS.seed), FLAGS.shared_paths
            ),
        )
    else:
        evaluator = scoring.make_evaluator(
            supernet, recalibration, scored, preprocessing
        )
    return Judge(
        supernet,
        evaluator,
        {
            "recalibration": fingerprint(recalibration),
            "scored_images": fingerprint(scored),
            "preprocessing": str(preprocessing),
        },
    )
