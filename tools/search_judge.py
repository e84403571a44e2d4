"""What scores a search's candidates: this process, or workers."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from absl import flags

import ray_workers
import scoring
import shared_flags
import trained_supernet
from spos_tf.errors import UserError

if TYPE_CHECKING:
    from spos_tf.evaluation.memo import ScoreMemo
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.search.asynchronous import Stream
    from spos_tf.search.driver import Evaluate

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Judge:
    """What candidates are scored with, loaded once.

    Attributes:
        evaluator: See `scoring.make_evaluator`; or a `RayPool`.
        images: That a candidate sees.
        scored_with: Which weights and images, by fingerprints.
    """

    evaluator: Any
    images: int
    scored_with: Mapping[str, str]

    def scores(
        self,
        blueprint: "Blueprint",
        memo: "ScoreMemo",
        on_chunk: Callable[[float], None],
    ) -> "Evaluate":
        """What `run_search` evaluates with; see `scoring.scores`."""
        from spos_tf.evaluation.ray_pool import RayPool

        if isinstance(self.evaluator, RayPool):
            return functools.partial(
                ray_workers.scores, self.evaluator, blueprint, memo, on_chunk
            )
        return scoring.scores(self.evaluator, blueprint, memo, on_chunk)

    def stream(self, blueprint: "Blueprint", memo: "ScoreMemo") -> "Stream":
        """What `run_asynchronous` evaluates with."""
        from spos_tf.evaluation.ray_pool import RayPool
        from spos_tf.search.asynchronous import InTurn

        if isinstance(self.evaluator, RayPool):
            return ray_workers.PoolStream(self.evaluator, memo)
        return InTurn(self.scores(blueprint, memo, lambda share: None))


@contextlib.contextmanager
def open_judge(trained: trained_supernet.TrainedSupernet) -> Iterator[Judge]:
    """Loads weights and images, here or in the workers of the flags.

    Raises:
        UserError: The data cannot be had, or is not what training held out;
            or there are no workers to be had.
    """
    if FLAGS.workers == "local":
        yield load_judge(trained)
        return
    with ray_workers.open_workers(trained.step) as pool:
        described = pool.described
        ours = trained.fingerprint()
        if described["scored_with"]["supernet"] != ours:
            raise UserError(
                f"Step {trained.step} of the supernet has other weights for "
                "the workers than here. Give every machine of the cluster the "
                "same files."
            )
        yield Judge(pool, described["images"], described["scored_with"])


def load_judge(trained: trained_supernet.TrainedSupernet) -> Judge:
    """Loads weights and images.

    Raises:
        UserError: The data cannot be had, or is not what training held out.
    """
    import tensorflow as tf

    from spos_tf.data.splits import fingerprint

    shared_flags.set_threads()
    tf.config.experimental.enable_op_determinism()
    preprocessing = shared_flags.preprocessing(trained.blueprint)
    parts = shared_flags.splits(trained.blueprint, trained.words())
    check_split(trained, parts)
    recalibration = scoring.recalibration_split(parts)
    return Judge(
        scoring.make_evaluator(
            scoring.load_supernet(trained),
            recalibration,
            parts.search,
            preprocessing,
        ),
        len(recalibration) + len(parts.search),
        {
            "supernet": trained.fingerprint(),
            "recalibration": fingerprint(recalibration),
            "search_split": fingerprint(parts.search),
            "preprocessing": str(preprocessing),
        },
    )


def check_split(trained, parts) -> None:
    """Candidates are scored on what the supernet's training held out."""
    from spos_tf.data.splits import fingerprint

    if not len(parts.search):
        raise UserError(
            "Candidates are scored on held-out training images; "
            "--holdout_per_class=0 leaves none. Train a supernet with some."
        )
    if fingerprint(parts.search) != trained.description.get("search_split"):
        raise UserError(
            "Candidates are scored on the images that the supernet's training "
            "held out; these flags give others. Use its --dataset and "
            "--test_fraction, and --holdout_per_class="
            f"{trained.description.get('holdout_per_class')}."
        )
