"""What runs in a worker process of `ray_pool`."""

import importlib
import os
import pickle
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spos_tf.evaluation.measured import Measured


class ChunkEvaluator(Protocol):
    """What a factory makes: scores architectures, its data loaded.

    Attributes:
        described: What scores depend on; JSON values. Workers have to agree.
    """

    described: Mapping[str, Any]

    def __call__(
        self, encodings: list[list[int]]
    ) -> Sequence[float | Measured]:
        """A score for each of a chunk of encodings."""

    def confirm(self, encodings: list[list[int]]) -> Sequence[float | Measured]:
        """The same on the images that a winner is confirmed on."""


class Worker:
    """An actor that makes an evaluator once and then asks it.

    Args:
        factory: `module:function`, which makes a `ChunkEvaluator` and is
            called in the worker.
        arguments: Keyword arguments of the factory, each pickled: reading
            them may import modules, which the next two have to come before.
        python_path: Folders that modules are looked for in besides the
            worker's own.
        environment: Environment variables that are set before the factory's
            module is imported.
    """

    def __init__(
        self,
        factory: str,
        arguments: Mapping[str, bytes],
        python_path: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        self._factory = factory
        self._arguments = arguments
        sys.path[:0] = [one for one in python_path if one not in sys.path]
        os.environ.update(environment)
        self._evaluator: ChunkEvaluator | None = None

    def load(self) -> tuple[str, Mapping[str, Any]]:
        """Makes the evaluator.

        Returns:
            Host and process of this worker, and what the evaluator is
            described with.
        """
        module, _, function = self._factory.partition(":")
        make = getattr(importlib.import_module(module), function)
        arguments = {
            name: pickle.loads(value) for name, value in self._arguments.items()
        }
        evaluator: ChunkEvaluator = make(**arguments)
        self._evaluator = evaluator
        worker = f"{os.uname().nodename}:{os.getpid()}"
        return worker, dict(evaluator.described)

    def evaluate(
        self, encodings: list[list[int]], confirms: bool = False
    ) -> tuple[list[Measured], float]:
        """Scores of a chunk, and the seconds that it took."""
        if self._evaluator is None:
            raise RuntimeError("evaluate() comes after load().")
        score = self._evaluator.confirm if confirms else self._evaluator
        start = time.perf_counter()
        scores = [Measured.of(one) for one in score(encodings)]
        return scores, time.perf_counter() - start
