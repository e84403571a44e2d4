"""Candidates scored by two workers of one thread / by one such worker.

Full space at 32 px, 256 images to recalibrate on and 256 to score on. `machine`
is what two processes can do here without a scheduler: the same work handed out
in one chunk each. `overhead` is the time of one worker from the first chunk to
the last result over the seconds that it spent scoring.
"""

import contextlib
import pathlib
import time
from typing import TYPE_CHECKING

import numpy as np

import measuring
import subjects

if TYPE_CHECKING:
    from spos_tf.evaluation.ray_cluster import PoolOptions
    from spos_tf.evaluation.ray_pool import RayPool

_PIXELS, _IMAGES = 32, 256
_CANDIDATES, _PAIRS = 24, 5
_HERE = pathlib.Path(__file__).resolve().parent
_PATH = (str(_HERE), str(_HERE.parent), str(_HERE.parents[1]))


def measure() -> list[measuring.Case]:
    """Ratios of times; each pool is asked in turn while the other waits.

    Raises:
        LookupError: Ray is not installed.
    """
    single = _measure(together=False)
    tree = _measure(together=True)
    one, two, apart = (
        [times[name] for times in single] for name in ("one", "two", "apart")
    )
    busy = [times["one"] / times["busy"] for times in single]
    trees = [(times["one"], times["two"]) for times in tree]
    return [
        measuring.case_of(
            "two_over_one_single", _over(one, two), 1.8, better="higher"
        ),
        measuring.case_of(
            "machine",
            _over(one, apart),
            None,
            better="higher",
            note="the same without scheduling",
        ),
        measuring.case_of("overhead_single", busy, 1.02),
        measuring.case_of(
            "two_over_one_tree",
            measuring.ratios(trees),
            None,
            better="higher",
            note="a generation in one tree each",
        ),
        measuring.case_of(
            "tree_over_single",
            _over(two, [two_trees for _, two_trees in trees]),
            None,
            better="higher",
            note="both on two workers, random candidates",
        ),
    ]


def _over(a: list[float], b: list[float]) -> list[float]:
    return [x / y for x, y in zip(a, b, strict=True)]


def _measure(*, together: bool) -> list[dict[str, float]]:
    from spos_tf.errors import UserError
    from spos_tf.evaluation.ray_cluster import connected
    from spos_tf.evaluation.ray_pool import RayPool
    from spos_tf.evaluation.tree import chunks

    arguments = {
        "pixels": _PIXELS,
        "images": _IMAGES,
        "threads": 1,
        "together": together,
    }
    blueprint = subjects.blueprint_at(_PIXELS)
    candidates = [
        one.tolist() for one in subjects.random_paths(blueprint, _CANDIDATES)
    ]
    settings = [blueprint.settings(np.array(one)) for one in candidates]
    halves = [
        [candidates[index] for index in half]
        for half in chunks(settings, _CANDIDATES // 2)
    ]
    each = [[one] for one in candidates]
    with contextlib.ExitStack() as stack:
        try:
            ray = stack.enter_context(connected(_options(3)))
        except UserError as error:
            raise LookupError(str(error)) from None
        alone, pair = (
            RayPool(ray, "_worker_judge:make", arguments, _options(n), print)
            for n in (1, 2)
        )
        for pool in (alone, pair):
            # Until all have loaded.
            _seconds(pool, halves * 4)
        times = []
        for _ in range(_PAIRS):
            one, busy = _seconds(alone, [candidates] if together else each)
            two, _ = _seconds(pair, halves if together else each)
            apart, _ = _seconds(pair, halves)
            times.append({"one": one, "busy": busy, "two": two, "apart": apart})
        return times


def _options(workers: int) -> "PoolOptions":
    from spos_tf.evaluation.ray_cluster import PoolOptions

    return PoolOptions(
        workers=workers,
        python_path=_PATH,
        environment={"TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def _seconds(
    pool: "RayPool", parts: list[list[list[int]]]
) -> tuple[float, float]:
    """Until all parts are scored, and how long workers say they scored."""
    from spos_tf.evaluation.ray_pool import Chunk

    start, busy = time.perf_counter(), 0.0
    for number, part in enumerate(parts):
        pool.submit(Chunk((number,), part))
    while pool.outstanding:
        busy += pool.take().seconds
    return time.perf_counter() - start, busy
