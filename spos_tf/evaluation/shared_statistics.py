"""The score of a path without recalibration, for comparison."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.evaluation.evaluator import Batches, Evaluator, no_images
from spos_tf.evaluation.metric import Accumulator, Result
from spos_tf.networks.supernet import Supernet

# (segment, options of the choices that it reads).
_Place = tuple[int, tuple[int, ...]]


class SharedStatistics(Evaluator[Result]):
    """Scores paths with statistics that all of them share.

    A network with moving averages, trained on random paths, holds for each
    branch the mean of its batches' means and of their variances over all the
    paths that ran through it. They are collected here with the weights as they
    are: path number i normalises with training batch number i, and what the
    batch norms of a branch see is averaged. A path is then scored with what its
    branches hold, which is of no path in particular. (The variance between the
    means of paths is not in it, as it is not in moving variances.)

    Args:
        supernet: Trained supernet.
        recalibration: Batches (images, labels) of the training split; taken
            again from the first where there are more paths.
        scoring: Batches of the search split.
        paths: int32 `[paths, num_choices]`, drawn at random.
        metric: See `Evaluator`.
    """

    def __init__(
        self,
        supernet: Supernet,
        recalibration: Batches,
        scoring: Batches,
        paths: Sequence[npt.ArrayLike] | npt.NDArray[np.int32],
        metric: Accumulator[Result] | None = None,
    ) -> None:
        super().__init__(supernet, recalibration, scoring, metric)
        self._paths = paths
        self._shared: dict[_Place, tf.Tensor] | None = None

    def forget(self) -> None:
        """Has the statistics collected anew: the weights have changed."""
        self._shared = None

    def _recalibrated(
        self, encodings: Sequence[npt.ArrayLike]
    ) -> list[list[tf.Tensor]]:
        """Those of the branches on every path, collected at the first call."""
        settings = self._supernet.blueprint.settings
        paths = [settings(encoding) for encoding in encodings]
        if self._shared is None:
            self._shared = self._collect()
        return [self._shared_by(path, self._shared) for path in paths]

    def _shared_by(
        self,
        settings: Sequence[tuple[int, ...]],
        shared: Mapping[_Place, tf.Tensor],
    ) -> list[tf.Tensor]:
        statistics = []
        for segment, options in enumerate(settings):
            if (segment, options) not in shared:
                name = self._supernet.blueprint.segments[segment].name
                raise UserError(
                    f"None of the {len(self._paths)} random paths set {name!r} "
                    f"to options {list(options)}, so there are no shared "
                    "statistics of it. Raise `shared_paths`."
                )
            statistics.append(shared[segment, options])
        return statistics

    def _collect(self) -> dict[_Place, tf.Tensor]:
        sums: dict[_Place, npt.NDArray[np.float64]] = {}
        counts: dict[_Place, int] = {}
        batches = iter(self._recalibration)
        for encoding in self._paths:
            pair = next(batches, None)
            if pair is None:
                batches = iter(self._recalibration)
                pair = next(batches, None)
            if pair is None:
                raise no_images("Collecting statistics")
            moments = self._moments(pair[0], self._path(encoding))
            settings = self._supernet.blueprint.settings(encoding)
            for place, moment in zip(enumerate(settings), moments, strict=True):
                value = np.asarray(moment, np.float64)
                sums[place] = sums.get(place, 0.0) + value
                counts[place] = counts.get(place, 0) + 1
        return {
            place: tf.constant((total / counts[place]).astype(np.float32))
            for place, total in sums.items()
        }
