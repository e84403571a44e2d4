"""Turns errors of a running pipeline into messages about the data."""

import concurrent.futures
import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spos_tf.data.decoding import decode
from spos_tf.data.examples import AnySplit, Split
from spos_tf.data.pictures import FORMAT_WORDS, HEAD_BYTES, head_fault
from spos_tf.errors import UserError

_READ_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
)
# What the image readers of TensorFlow, and our check of labels, write; the
# rest of a message is about nodes of the graph.
_DATA_FAULT = re.compile(
    r"(Labels are in|Unknown image|Input image|Got \d+ frames|ValueError: |"
    r"Invalid (JPEG|PNG|GIF|BMP))[^{]*"
)
# How long one looks for other images like the one that could not be read.
_SEARCH_SECONDS = 60.0
_SEARCHED_AT_ONCE = 512
_HEADS_AT_ONCE = 16
_HEADS_A_TASK = 256
_MOST_NAMED = 20


@contextlib.contextmanager
def reading_errors(split: AnySplit) -> Iterator[None]:
    """Inside, an image that cannot be read raises a UserError.

    TensorFlow's own message does not say which image it was, so a split with
    random access is searched for it, and for others like it, once the error
    is there. Errors that are not the data's pass through.

    Raises:
        UserError: naming the files, or the images' indices in the split.
    """
    try:
        yield
    except _READ_ERRORS as error:
        fault = _fault(split, error)
        if fault is None:
            raise
        raise UserError(fault) from error


class ReadBatches:
    """Batches of a split, whose iteration raises its errors as UserErrors.

    May be iterated any number of times, and reads anew each time. Errors of
    whoever iterates are not touched.

    Args:
        split: what the batches are of.
        batches: all of them, each (uint8 images, labels).
        length: their number.
    """

    def __init__(
        self, split: AnySplit, batches: tf.data.Dataset, length: int
    ) -> None:
        self._split = split
        self._batches = batches
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """(float32 images, int32 labels), batch by batch."""
        for images, labels in self.pixels():
            # Cast where the network is: bytes go there.
            yield tf.cast(images, tf.float32), labels

    def pixels(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """The same with uint8 images, a quarter of the bytes."""
        with reading_errors(self._split):
            yield from self._batches

    def as_numpy_iterator(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(float32 images, int32 labels) as arrays."""
        with reading_errors(self._split):
            for images, labels in self._batches.as_numpy_iterator():
                yield images.astype(np.float32), labels


def _fault(split: AnySplit, error: tf.errors.OpError) -> str | None:
    if isinstance(split, Split):
        faults, _ = looked_at(split, seconds=_SEARCH_SECONDS, until_found=True)
        return unreadable_words(faults) if faults else None
    if (
        not isinstance(error, tf.errors.DataLossError)
        and _DATA_FAULT.search(error.message) is None
    ):
        return None
    return (
        f"Records of '{split.identity}' are labelled images; one cannot be "
        f"read ({read_fault(error)}). Prepare the data set again."
    )


class Fault(NamedTuple):
    """An image that cannot be read.

    Attributes:
        place: Its index in the split.
        name: What messages call it.
        reason: What is wrong, a part of a sentence.
    """

    place: int
    name: str
    reason: str


def looked_at(
    split: Split, *, seconds: float, until_found: bool = False
) -> tuple[list[Fault], int]:
    """Images that cannot be decoded, among as many as there is time for.

    Args:
        split: The images.
        seconds: After so long it ends.
        until_found: Whether it goes on where nothing was found by then.

    Returns:
        Those images, and the number that were looked at.
    """
    found: list[Fault] = []
    if split.kind == "pixels":
        return found, len(split)
    started = time.monotonic()
    stop = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(split), _SEARCHED_AT_ONCE):
            stop = min(start + _SEARCHED_AT_ONCE, len(split))
            indices = range(start, stop)
            looked = pool.map(lambda index: _fault_at(split, index), indices)
            found += [one for one in looked if one is not None]
            late = time.monotonic() - started > seconds
            if late and (found or not until_found):
                break
    return found, stop


def bad_heads(split: AnySplit) -> list[Fault]:
    """All image files that are missing, empty or of no format that is read.

    Only their first bytes are read: a file that was cut off passes.
    """
    if not isinstance(split, Split) or split.kind != "files":
        return []

    def fault(index: int) -> Fault | None:
        try:
            with open(split.items[index], "rb") as file:
                reason = head_fault(file.read(HEAD_BYTES))
        except OSError as error:
            reason = str(error.strerror)
        if reason is None:
            return None
        return Fault(index, name_of(split, index), reason)

    with concurrent.futures.ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
        # The chunks are large: a task costs more than a file.
        chunks = np.array_split(
            np.arange(len(split)), max(1, -(-len(split) // _HEADS_A_TASK))
        )
        found = pool.map(lambda chunk: [*map(fault, chunk)], chunks)
        return [one for some in found for one in some if one is not None]


def unreadable_words(faults: Sequence[Fault]) -> str:
    """One line that names the images."""
    named = images_named(faults, " (`spos check_data` names all)")
    return (
        f"Images are {FORMAT_WORDS}; {len(faults)} cannot be decoded: {named}. "
        "Replace or remove them."
    )


def images_named(faults: Sequence[Fault], rest: str = "") -> str:
    """The first of the images with what is wrong.

    Args:
        faults: At least one.
        rest: What is said after the number of those that are not named.
    """
    named = [f"{one.name} ({one.reason})" for one in faults[:_MOST_NAMED]]
    more = len(faults) - len(named)
    return ", ".join([*named, *([f"{more} more{rest}"] if more else [])])


def name_of(split: Split, index: int) -> str:
    """What messages call an image."""
    if split.kind == "files":
        file_name = split.items[index].decode("utf-8", "backslashreplace")
        return f"'{file_name}'"
    return f"image {index} of split '{split.name}'"


def _fault_at(split: Split, index: int) -> Fault | None:
    item = split.items[index]
    try:
        if split.kind == "files":
            item = tf.io.read_file(item)
        decode(tf.convert_to_tensor(item))
    # Outside of a graph Pillow's errors are Python's.
    except (tf.errors.OpError, ValueError) as error:
        return Fault(index, name_of(split, index), read_fault(error))
    return None


def read_fault(error: tf.errors.OpError | ValueError) -> str:
    """What an image reader wrote."""
    if isinstance(error, ValueError):
        return str(error)
    # Pillow's comes with its trace.
    said = re.search(r"ValueError: ([^\n]*)", error.message)
    if said is not None:
        return said[1]
    # What TensorFlow's operations are called means nothing to people.
    message = " ".join(error.message.split()).partition(" [Op:")[0]
    found = _DATA_FAULT.search(message)
    if found is None:
        message = re.sub(r"{{.*?}}\s*", "", message)
    return (message if found is None else found[0].strip())[:120]
