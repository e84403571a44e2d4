"""Metrics that also score parts of the images, in the same pass.

Two halves say how far a score repeats on other images: the scores of many
networks on one half are correlated with those on the other
(`analysis.reliability`).
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from spos_tf.evaluation.measured import Measured, finite_halves
from spos_tf.evaluation.metric import Labels, ScoreMetric
from spos_tf.randomness import Purpose, derive_seed

# Parts of the images, where an image has no score by itself.
_GROUPS = 20
# Constants of SplitMix64 (Steele, Lea and Flood, 2014).
_GOLDEN = 0x9E3779B97F4A7C15
_MIXES = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


class HalvedMetric:
    """Accumulates a score over all images, and over each half of them.

    The score of all images is that of the metric alone, to the last bit.

    Args:
        metric: What is scored.
        seed: Of the run; decides the halves.
    """

    def __init__(self, metric: ScoreMetric, seed: int) -> None:
        self._seed = seed
        self._halving = Halving(seed, metric.num_classes)
        self._whole = metric.fresh()
        self._halves = (metric.fresh(), metric.fresh())
        self._counts = [0, 0]

    def fresh(self) -> "HalvedMetric":
        """The same metric with a state of its own, which is empty."""
        return HalvedMetric(self._whole, self._seed)

    def reset(self) -> None:
        """Empties the state."""
        self._halving.reset()
        self._counts = [0, 0]
        for metric in (self._whole, *self._halves):
            metric.reset()

    def update(self, labels: Labels, logits: tf.Tensor) -> None:
        """Takes a batch in; batches come in the order of the images.

        Args:
            labels: int32 `[n]`.
            logits: float32 `[n, classes]`.
        """
        first = self._halving.take(np.asarray(labels))
        parts = (first, ~first)
        self._counts = [
            count + int(part.sum())
            for count, part in zip(self._counts, parts, strict=True)
        ]
        if self._whole.counts_hits:
            hits = self._whole.hits(labels, logits)
            self._whole.count(hits)
            for half, part in zip(self._halves, parts, strict=True):
                half.count(hits[part])
            return
        self._whole.update(labels, logits)
        for half, part in zip(self._halves, parts, strict=True):
            # A user's metric need not know what to do with no images.
            if part.any():
                places = np.flatnonzero(part)
                half.update(
                    tf.gather(labels, places), tf.gather(logits, places)
                )

    def result(self) -> Measured:
        """The scores of all batches since the last `reset`."""
        score = self._whole.result()
        if not all(self._counts):
            return Measured(score)
        halves = [half.result() for half in self._halves]
        return Measured(score, finite_halves(halves))


class PartedMetric:
    """Accumulates a score over all images, and over many parts of them.

    Where hits are counted, every image is a part by itself. Other metrics are
    computed on 20 groups of images: image number i is in group i mod 20.

    Args:
        metric: What is scored.
    """

    def __init__(self, metric: ScoreMetric) -> None:
        self._whole = metric.fresh()
        self._hits: list[npt.NDArray[np.bool_]] = []
        self._groups: dict[int, ScoreMetric] = {}
        self._images = 0

    def fresh(self) -> "PartedMetric":
        """The same metric with a state of its own, which is empty."""
        return PartedMetric(self._whole)

    def reset(self) -> None:
        """Empties the state."""
        self._whole.reset()
        self._hits, self._groups, self._images = [], {}, 0

    def update(self, labels: Labels, logits: tf.Tensor) -> None:
        """Takes a batch in; see `HalvedMetric.update`."""
        if self._whole.counts_hits:
            hits = self._whole.hits(labels, logits)
            self._whole.count(hits)
            self._hits.append(hits)
            return
        self._whole.update(labels, logits)
        count = int(logits.shape[0])
        group = (self._images + np.arange(count)) % _GROUPS
        self._images += count
        for number in np.unique(group).tolist():
            own = np.flatnonzero(group == number)
            if number not in self._groups:
                self._groups[number] = self._whole.fresh()
            self._groups[number].update(
                tf.gather(labels, own), tf.gather(logits, own)
            )

    def result(self) -> Measured:
        """The scores of all batches since the last `reset`."""
        score = self._whole.result()
        if self._whole.counts_hits:
            hits = np.concatenate(self._hits) if self._hits else np.zeros(0)
            return Measured(score, parts=(*hits.astype(float).tolist(),))
        groups = (self._groups[number] for number in sorted(self._groups))
        return Measured(score, parts=tuple(one.result() for one in groups))


class Halving:
    """Says which half an image is in.

    Where two images of a class follow each other, one is in the first half
    and the other in the second; a coin decides which. Both halves so have
    as many images of every class, but for one. The coin is a function of the
    seed, the class and the pair, so that the size of batches does not matter.

    Args:
        seed: Any integer.
        num_classes: Of the labels.
    """

    def __init__(self, seed: int, num_classes: int) -> None:
        self._num_classes = num_classes
        self._key = derive_seed(seed, Purpose.HALVES)
        self._seen = np.zeros(num_classes, np.int64)

    def reset(self) -> None:
        """Begins with the first image again."""
        self._seen[:] = 0

    def take(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Whether the next images are in the first half.

        Args:
            labels: Of these images, integers `[n]`.

        Returns:
            bool `[n]`.

        >>> first = Halving(0, 2).take(np.array([0, 1, 0, 1, 1]))
        >>> int(first[[0, 2]].sum()), int(first[[1, 3]].sum())
        (1, 1)
        """
        order = np.argsort(labels, kind="stable")
        ordered = labels[order]
        place = np.empty(len(labels), np.int64)
        place[order] = np.arange(len(labels)) - np.searchsorted(
            ordered, ordered
        )
        place += self._seen[labels]
        self._seen += np.bincount(labels, minlength=self._num_classes)
        pairs = (labels.astype(np.uint64) << np.uint64(32)) + (
            place.astype(np.uint64) >> np.uint64(1)
        )
        coins = _mixed(pairs * np.uint64(_GOLDEN) + np.uint64(self._key))
        first: npt.NDArray[np.bool_] = (
            (place.astype(np.uint64) ^ coins) & np.uint64(1)
        ) == 0
        return first


def _mixed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Each word's bits mixed: SplitMix64's output function."""
    for shift, factor in _MIXES:
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words
