"""Many processes that score architectures, on this machine or a cluster.

Ray starts the processes, carries the chunks and notices who died; which chunk
goes where, and what happens when a worker is gone, is decided here.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from spos_tf.errors import UserError
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.ray_cluster import PoolOptions, connected, room
from spos_tf.evaluation.ray_worker import Worker

# Chunks a worker has at once: while it scores one the next is under way to
# it, so it waits for nobody.
_DEPTH = 2
# A chunk that so many workers died of is at fault itself.
_CHUNK_LIVES = 3
# Workers that may die one after the other before one has a result.
_DEATHS = 3
_WAIT_SECONDS = 30.0


class Chunk(NamedTuple):
    """Architectures that are scored in one go.

    Attributes:
        keys: The caller's name of each.
        encodings: One list of option indexes each.
        confirms: Whether they are scored on the images that a winner is
            confirmed on.
    """

    keys: tuple[int, ...]
    encodings: list[list[int]]
    confirms: bool = False


class ChunkResult(NamedTuple):
    """What became of a chunk.

    Attributes:
        chunk: What was asked.
        scores: One a key.
        seconds: The whole chunk, on the worker.
        worker: Host and process.
    """

    chunk: Chunk
    scores: Sequence[float | Measured]
    seconds: float
    worker: str


@dataclasses.dataclass(eq=False)
class _Member:
    actor: Any
    name: str = ""
    chunks: int = 0


class RayPool:
    """Scores chunks on actors that each load network and data once.

    Made by `open_pool`. Results come in whatever order; a worker that dies is
    replaced, and its chunks are scored again.
    """

    def __init__(
        self,
        ray: Any,
        factory: str,
        arguments: Mapping[str, Any],
        options: PoolOptions,
        inform: Callable[[str], None],
    ) -> None:
        self._ray = ray
        self._inform = inform
        self._options = options
        gpus, workers = room(ray.cluster_resources(), options)
        self.workers = workers
        self._actor = ray.remote(Worker).options(
            num_cpus=options.threads, num_gpus=gpus
        )
        self._arguments = (
            factory,
            _sent(ray, arguments),
            list(options.python_path),
            dict(options.environment),
        )
        self._described: Mapping[str, Any] | None = None
        self._ready: list[_Member] = []
        self._loading: dict[Any, _Member] = {}
        self._working: dict[Any, tuple[_Member, Chunk]] = {}
        self._waiting: collections.deque[Chunk] = collections.deque()
        self._lost: collections.Counter[tuple[int, ...]] = collections.Counter()
        self._deaths = 0
        for _ in range(workers):
            self._add_worker()

    @property
    def outstanding(self) -> int:
        """Chunks that were submitted and not taken."""
        return len(self._waiting) + len(self._working)

    @property
    def described(self) -> Mapping[str, Any]:
        """What scores depend on, as the first worker that loaded says.

        Raises:
            UserError: What loading ran into, or workers keep dying.
        """
        while self._described is None:
            self._wait()
        return self._described

    def submit(self, chunk: Chunk) -> None:
        """Has a chunk scored; `take` gives the result."""
        self._waiting.append(chunk)
        self._hand_out()

    def take(self) -> ChunkResult:
        """Waits for a chunk that is done.

        Raises:
            UserError: What a worker ran into, or workers keep dying.
            ValueError: Nothing is outstanding.
        """
        if not self.outstanding:
            raise ValueError("take() without a chunk that was submitted.")
        while True:
            result = self._wait()
            if result is not None:
                return result

    def close(self) -> None:
        """Ends the workers, whatever they are at."""
        for member in (*self._ready, *self._loading.values()):
            self._ray.kill(member.actor)

    def _add_worker(self) -> None:
        member = _Member(self._actor.remote(*self._arguments))
        self._loading[member.actor.load.remote()] = member

    def _hand_out(self) -> None:
        # The last chunks go to whoever is free first.
        while self._waiting and self._ready:
            ahead = len(self._waiting) > len(self._ready)
            least = min(self._ready, key=lambda one: one.chunks)
            if least.chunks >= (_DEPTH if ahead else 1):
                return
            chunk = self._waiting.popleft()
            least.chunks += 1
            reference = least.actor.evaluate.remote(
                chunk.encodings, chunk.confirms
            )
            self._working[reference] = (least, chunk)

    def _wait(self) -> ChunkResult | None:
        """Handles one thing that happened, if anything did."""
        references = [*self._working, *self._loading]
        done, _ = self._ray.wait(
            references, num_returns=1, timeout=_WAIT_SECONDS
        )
        if not done:
            if not self._ready:
                self._inform(
                    f"{len(self._loading)} workers are starting; Ray has "
                    f"{self._ray.available_resources()} free."
                )
            return None
        (reference,) = done
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise UserError(str(error.cause)) from None
            raise
        except self._ray.exceptions.RayError as error:
            self._bury(reference, error)
            return None
        if reference in self._loading:
            self._join(self._loading.pop(reference), *value)
            return None
        member, chunk = self._working.pop(reference)
        member.chunks -= 1
        self._deaths = 0
        self._lost.pop(chunk.keys, None)
        self._hand_out()
        scores, seconds = value
        return ChunkResult(chunk, scores, seconds, member.name)

    def _join(
        self, member: _Member, name: str, described: Mapping[str, Any]
    ) -> None:
        if self._described is None:
            self._described = described
        if described != self._described:
            odd = sorted(
                key
                for key in {*described, *self._described}
                if described.get(key) != self._described.get(key)
            )
            raise UserError(
                "All workers have the same weights and images; worker "
                f"{name} has another {', '.join(odd)}. Give every machine of "
                "the cluster the same files."
            )
        member.name = name
        self._ready.append(member)
        self._hand_out()

    def _bury(self, reference: Any, error: Exception) -> None:
        """A worker is gone: its chunks go to others, a new one is started."""
        if reference in self._loading:
            member = self._loading.pop(reference)
        else:
            member = self._working[reference][0]
            self._ready.remove(member)
        lost = [
            (one, chunk)
            for one, (owner, chunk) in self._working.items()
            if owner is member
        ]
        for one, _ in lost:
            del self._working[one]
        self._waiting.extendleft(chunk for _, chunk in reversed(lost))
        reason = " ".join(str(error).split())
        self._deaths += 1
        if lost:
            # What it worked on; what was queued behind is without fault.
            keys = lost[0][1].keys
            self._lost[keys] += 1
            if self._lost[keys] == _CHUNK_LIVES:
                raise UserError(
                    f"{_CHUNK_LIVES} workers died of architectures "
                    f"{lost[0][1].encodings}. The last: {reason}"
                )
        if self._deaths > _DEATHS + self.workers:
            raise UserError(
                f"{self._deaths} workers died without a result in between. "
                f"The last: {reason}"
            )
        self._inform(
            f"Worker {member.name or 'that was starting'} is gone and is "
            f"replaced; {len(lost)} chunks are scored again. {reason}"
        )
        self._add_worker()
        self._hand_out()


def _sent(ray: Any, arguments: Mapping[str, Any]) -> Any:
    """The arguments in the object store, once for all workers."""
    pickled = {}
    for name, value in arguments.items():
        try:
            pickled[name] = ray.cloudpickle.dumps(value)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"Workers get all that scores depend on; `{name}` cannot be "
                f"sent to another process: {reason} Define it in a module, or "
                "leave `workers=ray` out."
            ) from None
    # As bytes: a worker reads them after it has set its environment.
    return ray.put(pickled)


@contextlib.contextmanager
def open_pool(
    factory: str,
    arguments: Mapping[str, Any],
    options: PoolOptions,
    inform: Callable[[str], None],
) -> Iterator[RayPool]:
    """Starts the workers; they end with the block.

    Args:
        factory: Importable name `module:function` of what makes a
            `ray_worker.ChunkEvaluator` in every worker.
        arguments: Its keyword arguments; they travel once for all workers.
        options: How many workers, of what size, where.
        inform: Called with a line for people.

    Yields:
        The pool. Its workers load while the caller goes on.

    Raises:
        UserError: See `connected`; or no worker fits into the cluster.
    """
    with connected(options) as ray:
        yield RayPool(ray, factory, arguments, options, inform)
