"""Who scores the candidates of a search: this process, a tree, or workers.

A search hands candidates to a `Scorer` and takes scores as they come. A score
depends on the weights, the images and the candidate alone, so neither the
order nor the kind of scorer changes it.
"""

import abc
import collections
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.memo import ScoreMemo
from spos_tf.evaluation.ray_pool import Chunk, RayPool
from spos_tf.evaluation.tree import Path, chunks, computed_share

# One option index a choice: hashable, and as records hold it.
Encoding = tuple[int, ...]
# What every segment of a candidate is set to; `Blueprint.settings`.
Settings = Callable[[Encoding], Path]


class Score(NamedTuple):
    """What a candidate scored.

    Attributes:
        position: As `Scorer.submit` gave it.
        score: The metric's value.
        seconds: What the candidate took, or its share of a chunk.
        worker: Who scored it.
        computed: The share of its chunk's segments that had to be computed;
            1 where nothing was shared.
        halves: The values on both halves of the images; see `Measured`.
        parts: The values on many parts of the images, likewise.
    """

    position: int
    score: float
    seconds: float
    worker: str = "local"
    computed: float = 1.0
    halves: tuple[float, ...] = ()
    parts: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, position: int, value: float | Measured, seconds: float, **more: Any
    ) -> "Score":
        """What an evaluator gave for a candidate.

        Args:
            position: Of the candidate.
            value: A plain number has no halves.
            seconds: That it took.
            **more: Further fields.
        """
        score, halves, parts = Measured.of(value)
        return cls(position, score, seconds, halves=halves, parts=parts, **more)

    @property
    def measured(self) -> Measured:
        """The values without who and when."""
        return Measured(self.score, self.halves, self.parts)


class Scorer(abc.ABC):
    """Takes candidates and gives their scores, in whatever order.

    Attributes:
        computed: That of the latest score that was not known before.
        confirming: Makes a scorer of the same networks on the images that a
            winner is confirmed on, whose scores have `parts`; None where
            there are no such images.
    """

    def __init__(self) -> None:
        self.computed = 1.0
        self.confirming: Callable[[], Scorer] | None = None
        self._next = itertools.count()
        self._known: collections.deque[Score] = collections.deque()

    def submit(self, candidates: Sequence[Encoding]) -> list[int]:
        """Has candidates scored.

        Args:
            candidates: Encodings; those that come together may be computed
                together.

        Returns:
            A position for each, by which its `Score` is told.
        """
        positions = list(itertools.islice(self._next, len(candidates)))
        self._queue(positions, list(candidates))
        return positions

    def results(self) -> Iterator[Score]:
        """Scores as they come, each once, until none is outstanding.

        More can be submitted in between. An iterator that is left early loses
        nothing: another one goes on.
        """
        while True:
            if not self._known:
                self._known.extend(self.take())
                if self._known:
                    self.computed = self._known[-1].computed
            if not self._known:
                return
            yield self._known.popleft()

    @abc.abstractmethod
    def _queue(
        self, positions: Sequence[int], candidates: Sequence[Encoding]
    ) -> None:
        """Puts candidates behind those that are waiting."""

    @abc.abstractmethod
    def take(self) -> list[Score]:
        """Waits for the next scores; none when nothing is outstanding.

        Scores that become known together are given together, so that all of
        them can be kept before one is used.
        """


class ChunkScorer(Scorer):
    """Scores candidates that come together in chunks.

    Args:
        evaluate: Gives the scores of several; a `TreeEvaluator`, or
            `Evaluator.together`.
        settings: Of a candidate, where a chunk is scored as a tree of
            prefixes; None where candidates share nothing but the images.
        chunk_size: Most candidates at once; 0: all that come together.
    """

    def __init__(
        self,
        evaluate: Callable[[Sequence[Encoding]], Sequence[float | Measured]],
        settings: Settings | None = None,
        chunk_size: int = 0,
    ) -> None:
        super().__init__()
        self._evaluate = evaluate
        self._settings = settings
        self._chunk_size = chunk_size
        self._waiting: collections.deque[list[tuple[int, Encoding]]] = (
            collections.deque()
        )

    def _queue(
        self, positions: Sequence[int], candidates: Sequence[Encoding]
    ) -> None:
        for indexes in _cut(candidates, self._settings, self._chunk_size):
            self._waiting.append(
                [(positions[index], candidates[index]) for index in indexes]
            )

    def take(self) -> list[Score]:
        """Scores the next chunk."""
        if not self._waiting:
            return []
        chunk = self._waiting.popleft()
        start = time.perf_counter()
        scores = self._evaluate([candidate for _, candidate in chunk])
        seconds = (time.perf_counter() - start) / len(chunk)
        share = _computed([one for _, one in chunk], self._settings)
        return [
            Score.of(position, score, seconds, computed=share)
            for (position, _), score in zip(chunk, scores, strict=True)
        ]


class LocalScorer(ChunkScorer):
    """Scores one candidate after the other in this process.

    Args:
        evaluate: Gives a candidate's score; an `Evaluator`, for example.
    """

    def __init__(
        self, evaluate: Callable[[Encoding], float | Measured]
    ) -> None:
        super().__init__(
            lambda chunk: [evaluate(one) for one in chunk], chunk_size=1
        )


def _cut(
    candidates: Sequence[Encoding], settings: Settings | None, size: int
) -> list[list[int]]:
    """Positions of the candidates of every chunk; 0 does not cut."""
    if settings is not None:
        return chunks([settings(one) for one in candidates], size)
    indexes, size = range(len(candidates)), size or max(1, len(candidates))
    return [list(indexes[i : i + size]) for i in indexes[::size]]


def _computed(
    candidates: Sequence[Encoding], settings: Settings | None
) -> float:
    """The share of a chunk's segments that had to be computed."""
    if settings is None:
        return 1.0
    return computed_share([settings(one) for one in candidates])


class RayScorer(Scorer):
    """Has workers score candidates, in chunks.

    Args:
        pool: The workers.
        settings: Of a candidate, where workers score chunks as trees; None
            where they score one by one.
        chunk_size: Candidates of a chunk; 0: one, or with `settings` or
            `together` what gives every worker one chunk.
        together: Most candidates of a chunk where scoring several together
            saves work without a tree; 0: it does not.
        confirms: Whether they are scored on the images that a winner is
            confirmed on.
    """

    def __init__(
        self,
        pool: RayPool,
        settings: Settings | None = None,
        chunk_size: int = 0,
        *,
        together: int = 0,
        confirms: bool = False,
    ) -> None:
        super().__init__()
        self._together = together
        self._confirms = confirms
        self._pool = pool
        self._settings = settings
        self._chunk_size = chunk_size

    def _queue(
        self, positions: Sequence[int], candidates: Sequence[Encoding]
    ) -> None:
        for indexes in self._chunks(candidates):
            self._pool.submit(
                Chunk(
                    tuple(positions[index] for index in indexes),
                    [list(candidates[index]) for index in indexes],
                    self._confirms,
                )
            )

    def _chunks(self, candidates: Sequence[Encoding]) -> list[list[int]]:
        size = -(-len(candidates) // self._pool.workers)
        if self._settings is None:
            size = min(size, self._together) or 1
        return _cut(candidates, self._settings, self._chunk_size or size)

    def take(self) -> list[Score]:
        """Waits for a chunk that is done."""
        if not self._pool.outstanding:
            return []
        chunk, scores, seconds, worker = self._pool.take()
        share = _computed(
            [tuple(one) for one in chunk.encodings], self._settings
        )
        return [
            Score.of(
                key, score, seconds / len(scores), worker=worker, computed=share
            )
            for key, score in zip(chunk.keys, scores, strict=True)
        ]


class Remembered(Scorer):
    """Asks a memo first, and puts into it what another scorer finds.

    Args:
        scorer: Scores what is not known; nobody else submits to it.
        memo: Of this scorer's weights, images and metric.
    """

    def __init__(self, scorer: Scorer, memo: ScoreMemo) -> None:
        super().__init__()
        self._scorer = scorer
        self._memo = memo
        # By the scorer's position: ours, and the candidate.
        self._asked: dict[int, tuple[int, Encoding]] = {}

    def _queue(
        self, positions: Sequence[int], candidates: Sequence[Encoding]
    ) -> None:
        unknown = []
        for position, candidate in zip(positions, candidates, strict=True):
            known = self._memo.get(candidate)
            if known is None:
                unknown.append((position, candidate))
            else:
                self._known.append(
                    Score.of(position, known, 0.0, worker="memo")
                )
        theirs = self._scorer.submit([candidate for _, candidate in unknown])
        self._asked.update(zip(theirs, unknown, strict=True))

    def take(self) -> list[Score]:
        """Waits for the scorer."""
        found = []
        # All before the first is used: a kill in between then costs nothing.
        for score in self._scorer.take():
            position, candidate = self._asked.pop(score.position)
            self._memo.put(candidate, score.measured)
            found.append(score._replace(position=position))
        return found
