"""The scores of many paths, what they share computed once."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.evaluation.evaluator import (
    PathEvaluator,
    all_finite,
    no_images,
    not_finite,
)
from spos_tf.evaluation.metric import Result
from spos_tf.evaluation.tree import Path, Prefix, prefixes, walk
from spos_tf.networks.supernet import PooledMoments

# Weights of a branch by "operation.weight"; by (segment, option).
_Weights = Mapping[tuple[int, int], Mapping[str, tf.Tensor]]


_all_finite = tf.function(all_finite, reduce_retracing=True, autograph=False)


class TreeEvaluator(PathEvaluator[Result]):
    """Recalibrates and scores paths together; scores are those of `Evaluator`.

    Bit for bit: each node of the prefix tree runs the function that a single
    path runs, on the same input. Nothing is kept between calls. While it
    walks, memory holds the activations of one path, and besides them the
    statistics of all nodes.

    Args:
        supernet: Trained supernet.
        recalibration: Batches (images, labels) of the training split; read
            anew for every call.
        scoring: Batches of the search split, likewise.
        metric: See `Evaluator`; every path gets a fresh one.
    """

    def __call__(self, encodings: Sequence[npt.ArrayLike]) -> list[Result]:
        """What the metric gives for the search split, of each.

        Args:
            encodings: int32 `[num_choices]` each; any number, also the same
                one again.

        Raises:
            UserError: An encoding is not one of the space, there are no
                images, or a moment or logit is not finite, which names the
                first candidate with one.
        """
        paths = self._paths(encodings)
        if not paths:
            return []
        nodes = prefixes(paths)
        weights = self._weights(nodes)
        statistics = self._recalibrated(nodes, weights)
        diverged = {
            node
            for node, values in statistics.items()
            if not np.isfinite(values).all()
        }
        # As if one came after the other: those before the first that fails
        # are scored, and one of them may fail there.
        sound = next(
            (
                position
                for position, path in enumerate(paths)
                if not diverged.isdisjoint(prefixes([path]))
            ),
            len(paths),
        )
        scores = self._scores(
            encodings[:sound], paths[:sound], statistics, weights
        )
        if sound < len(paths):
            raise not_finite(encodings[sound])
        return scores

    def recalibrate(
        self, encodings: Sequence[npt.ArrayLike]
    ) -> dict[Prefix, npt.NDArray[np.float32]]:
        """Population statistics of every node of the encodings' prefix tree.

        Args:
            encodings: int32 `[num_choices]` each.

        Returns:
            By prefix of a path, float32 `[2, channels]` of its last segment.

        Raises:
            UserError: An encoding is not one of the space, or there are no
                images.
        """
        nodes = prefixes(self._paths(encodings))
        return self._recalibrated(nodes, self._weights(nodes))

    def _paths(self, encodings: Sequence[npt.ArrayLike]) -> list[Path]:
        settings = self._supernet.blueprint.settings
        return [settings(encoding) for encoding in encodings]

    def _branch(self, node: Prefix) -> tuple[tuple[int, int], tuple[int, ...]]:
        """(segment, option) that a node adds to its parent, and its sizes."""
        segment = len(node) - 1
        described = self._supernet.blueprint.segments[segment]
        option, sizes = described.branch_of(node[-1])
        return (segment, option), sizes

    def _weights(self, nodes: Sequence[Prefix]) -> _Weights:
        branches = sorted({self._branch(node)[0] for node in nodes})
        read = self._supernet.branch_weights
        return {branch: read(*branch) for branch in branches}

    def _recalibrated(
        self, nodes: Sequence[Prefix], weights: _Weights
    ) -> dict[Prefix, npt.NDArray[np.float32]]:
        pools = {node: PooledMoments() for node in nodes}
        images_seen = 0
        for images, _ in self._recalibration:
            count = int(images.shape[0])
            images_seen += count
            moments = self._moments(images, nodes, weights)
            for node, moment in moments.items():
                pools[node].add(count, moment)
        if not images_seen:
            raise no_images("Recalibration")
        return {node: pool.statistics() for node, pool in pools.items()}

    def _moments(
        self, images: tf.Tensor, nodes: Sequence[Prefix], weights: _Weights
    ) -> dict[Prefix, tf.Tensor]:
        collect = self._supernet.collect_segment
        moments = {}

        def step(node: Prefix, x: tf.Tensor) -> tf.Tensor:
            branch, sizes = self._branch(node)
            y, moments[node] = collect(*branch, x, weights[branch], sizes)
            return y

        walk(nodes, images, step)
        return moments

    def _scores(
        self,
        encodings: Sequence[npt.ArrayLike],
        paths: Sequence[Path],
        statistics: Mapping[Prefix, npt.NDArray[np.float32]],
        weights: _Weights,
    ) -> list[Result]:
        if not paths:
            return []
        nodes = prefixes(paths)
        given = {node: tf.constant(statistics[node]) for node in nodes}
        metrics = {path: self._metric.fresh() for path in {*paths}}
        failed: set[Path] = set()
        total = 0
        for images, labels in self._scoring:
            total += int(images.shape[0])
            # All paths see these images, so the first is the one to name.
            if not bool(_all_finite(images)):
                raise not_finite(encodings[0])
            logits = self._leaf_logits(images, nodes, given, weights)
            for path, values in logits.items():
                if bool(_all_finite(values)):
                    metrics[path].update(labels, values)
                else:
                    failed.add(path)
        for encoding, path in zip(encodings, paths, strict=True):
            if path in failed:
                raise not_finite(encoding)
        if not total:
            raise no_images("Scoring")
        return [metrics[path].result() for path in paths]

    def _leaf_logits(
        self,
        images: tf.Tensor,
        nodes: Sequence[Prefix],
        statistics: Mapping[Prefix, tf.Tensor],
        weights: _Weights,
    ) -> dict[Path, tf.Tensor]:
        """By whole path float32 `[batch, classes]`."""
        infer = self._supernet.infer_segment
        depth = len(self._supernet.blueprint.segments)
        logits = {}

        def step(node: Prefix, x: tf.Tensor) -> tf.Tensor:
            branch, sizes = self._branch(node)
            y = infer(*branch, x, statistics[node], weights[branch], sizes)
            if len(node) == depth:
                logits[node] = tf.cast(y, tf.float32)
            return y

        walk(nodes, images, step)
        return logits
