"""What runs in a worker process of `ray_pool`."""

import importlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Judge(Protocol):
    """What a factory makes: scores architectures, its data loaded.

    Attributes:
        described: What scores depend on; JSON values. Workers have to agree.
    """

    described: Mapping[str, Any]

    def __call__(self, encodings: list[list[int]]) -> Sequence[float]:
        """An accuracy for each of a chunk of encodings."""


class Worker:
    """An actor that makes a judge once and then asks it.

    Args:
        factory: `module:function`, which makes a `Judge` and is called in
            the worker.
        arguments: Keyword arguments of the factory.
        python_path: Folders that modules are looked for in besides the
            worker's own.
        environment: Environment variables that are set before the factory's
            module is imported.
    """

    def __init__(
        self,
        factory: str,
        arguments: Mapping[str, Any],
        python_path: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        self._factory = factory
        self._arguments = arguments
        sys.path[:0] = [one for one in python_path if one not in sys.path]
        os.environ.update(environment)
        self._judge: Judge | None = None

    def load(self) -> tuple[str, Mapping[str, Any]]:
        """Makes the judge.

        Returns:
            Host and process of this worker, and what the judge is described
            with.
        """
        module, _, function = self._factory.partition(":")
        make = getattr(importlib.import_module(module), function)
        judge: Judge = make(**self._arguments)
        self._judge = judge
        return f"{os.uname().nodename}:{os.getpid()}", dict(judge.described)

    def evaluate(self, encodings: list[list[int]]) -> tuple[list[float], float]:
        """Accuracies of a chunk, and the seconds that it took."""
        if self._judge is None:
            raise RuntimeError("evaluate() comes after load().")
        start = time.perf_counter()
        accuracies = [float(one) for one in self._judge(encodings)]
        return accuracies, time.perf_counter() - start
