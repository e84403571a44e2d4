"""A candidate scored on JPEG files / on the same images as tensors.

2,000 files of 500 x 375 pixels at 224 px, half to recalibrate on and half to
score on; the paper's network, batch 50. `second`: files are decoded by then and
kept, in memory or in the cache folder. `first`: the time until a search's first
candidate is scored, with decoding, over a candidate on tensors; without the
network's traces, which both have. `memory`: the highest resident memory of a
process that scores two candidates on files, less the kept images, minus that
of one which does so on tensors, less the tensors.

Needs 3 GB of memory and 2 GB of disk for a while.
"""

import functools
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import numpy as np

import measuring
import subjects

IMAGES, PIXELS, BATCH = 2_000, 224, 50
_HEIGHT, _WIDTH = 375, 500
_PAIRS, _REPEATS = 5, 2
_WORKER = pathlib.Path(__file__).parent / "_evaluation_worker.py"
_PLACES = ("memory", "disk")
_MEGABYTE = 1e6


def write_files(folder: pathlib.Path) -> None:
    """Photograph-like JPEG files, and the tensors that they become."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        coarse = rng.uniform(0, 255, (24, 32, 3)).astype(np.float32)
        image = tf.image.resize(coarse, [_HEIGHT, _WIDTH], "bicubic")
        image += tf.random.stateless_normal(image.shape, [index, 1]) * 8
        pixels = tf.saturate_cast(tf.round(image), tf.uint8)
        data = tf.io.encode_jpeg(pixels, quality=90).numpy()
        (folder / f"{index:04}.jpg").write_bytes(data)
    with (folder / "tensors").open("wb") as file:
        for batches in subjects.file_batches(folder, "memory", PIXELS, BATCH):
            for images, _ in batches:
                file.write(images.numpy().tobytes())


def measure() -> Iterator[measuring.Case]:
    """Ratios of candidates' times, and differences in memory, as they come."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_files(folder)
        for place in _PLACES:
            yield from _times(folder, place)
        yield from _memory(folder)


def _times(folder: pathlib.Path, place: str) -> list[measuring.Case]:
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.networks.supernet import Supernet

    blueprint = subjects.blueprint_at(PIXELS)
    supernet = Supernet(blueprint)
    path = subjects.random_paths(blueprint, 1)[0]
    fed = Evaluator(
        supernet, *subjects.tensor_batches(folder / "tensors", PIXELS, BATCH)
    )
    # As late in a long search.
    fed.passes_by_branch = 0
    fed(path)
    kept = None

    def first() -> None:
        nonlocal kept
        # Traces are the supernet's, and so there already.
        kept = Evaluator(
            supernet, *subjects.file_batches(folder, place, PIXELS, BATCH)
        )
        kept.passes_by_branch = 0
        kept(path)

    seconds = measuring.seconds_of(first)
    times = measuring.alternating(
        functools.partial(kept, path), functools.partial(fed, path), _PAIRS
    )
    reference = [one for _, one in times]
    return [
        measuring.case_of(f"second_{place}", measuring.ratios(times), 1.05),
        measuring.case_of(
            f"first_{place}", [seconds / one for one in reference], None
        ),
    ]


def _memory(folder: pathlib.Path) -> Iterator[measuring.Case]:
    def megabytes(kind: str) -> float:
        done = subprocess.run(
            [sys.executable, str(_WORKER), kind, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout)
        return (found["peak"] - found["images"]) / _MEGABYTE

    on_tensors = [megabytes("tensors") for _ in range(_REPEATS)]
    for place in _PLACES:
        more = [megabytes(place) - tensors for tensors in on_tensors]
        yield measuring.case_of(
            f"more_memory_{place}",
            more,
            500,
            unit="MB",
            note="of files / tensors",
        )
