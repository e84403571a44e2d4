"""What the images of a split are like, in one pass."""

import collections
import concurrent.futures
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spos_tf.data.decoding import decode
from spos_tf.data.examples import AnySplit, Split
from spos_tf.data.pictures import looks_of
from spos_tf.data.preprocessing import THIN
from spos_tf.data.reading import Fault, name_of, read_fault, reading_errors

# Images under way at once, a core: as many files are in memory.
_AHEAD = 16


class Sight(NamedTuple):
    """One image.

    Attributes:
        name: What messages call it.
        label: Its class.
        digest: SHA-256 of the file's bytes, or of the pixels where the image
            came as pixels.
        format: Of the file, as Pillow calls it; "pixels" where there is none.
        height: In pixels, as a viewer shows it.
        width: Likewise.
        turned: Whether metadata turn it.
        gray: Whether its colors are all gray.
        alpha: Whether it has transparency, which is not read.
    """

    name: str
    label: int
    digest: bytes
    format: str
    height: int
    width: int
    turned: bool
    gray: bool
    alpha: bool

    @property
    def thin(self) -> bool:
        """Whether most of it is cropped away."""
        sides = sorted((self.height, self.width))
        return sides[1] > THIN * sides[0]


def inspect_split(
    split: AnySplit, tick: Callable[[], object]
) -> tuple[list[Sight], list[Fault]]:
    """Looks at every image once, many at a time.

    Args:
        split: The images.
        tick: Called after each of them.

    Returns:
        What can be read, in the split's order, and what cannot.

    Raises:
        UserError: The records of a stream cannot be read.
    """
    sights: list[Sight] = []
    faults: list[Fault] = []
    workers = os.cpu_count() or 1
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()

    def take() -> None:
        found = waiting.popleft().result()
        (faults if isinstance(found, Fault) else sights).append(found)
        tick()

    with (
        reading_errors(split),
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        for number, (item, label) in enumerate(_items(split)):
            waiting.append(pool.submit(_look, split, number, item, label))
            if len(waiting) >= _AHEAD * workers:
                take()
        while waiting:
            take()
    return sights, faults


def _items(split: AnySplit) -> Iterator[tuple[np.ndarray | bytes, int]]:
    if isinstance(split, Split):
        yield from zip(split.items, split.labels, strict=True)
    else:
        yield from split.records().as_numpy_iterator()


def _look(
    split: AnySplit, index: int, item: np.ndarray | bytes, label: int
) -> Sight | Fault:
    name = (
        name_of(split, index)
        if isinstance(split, Split)
        else f"record {index} of split '{split.name}'"
    )
    if isinstance(item, np.ndarray):
        pixels, data = item, item.tobytes()
        kind, turned, alpha = "pixels", False, False
    else:
        try:
            data = item
            if isinstance(split, Split) and split.kind == "files":
                with open(item, "rb") as file:
                    data = file.read()
            pixels = decode(tf.constant(data)).numpy()
            looks = looks_of(data)
        except (tf.errors.OpError, OSError, ValueError) as error:
            return Fault(index, name, read_fault(error))
        kind, turned, alpha = looks.format, looks.turned, looks.alpha
    height, width = pixels.shape[:2]
    return Sight(
        name,
        int(label),
        hashlib.sha256(data).digest(),
        kind,
        height,
        width,
        turned,
        bool((pixels == pixels[..., :1]).all()),
        alpha,
    )
