"""Turns errors of a running pipeline into messages about the data."""

import contextlib
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from spos_tf.data.examples import AnySplit, Split
from spos_tf.data.preprocessing import decode
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
    r"(Labels are in|Unknown image|Input image|Got \d+ frames|"
    r"Invalid (JPEG|PNG|GIF|BMP))[^{]*"
)


@contextlib.contextmanager
def reading_errors(split: AnySplit) -> Iterator[None]:
    """Inside, an image that cannot be read raises a UserError.

    TensorFlow's own message does not say which image it was, so a split with
    random access is searched for it once the error is there. Errors that are
    not the data's pass through.

    Raises:
        UserError: naming the file, or the image's index in the split.
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
            yield as_inputs(images), labels

    def pixels(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """The same with uint8 images, a quarter of the bytes."""
        with reading_errors(self._split):
            yield from self._batches

    def as_numpy_iterator(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(float32 images, int32 labels) as arrays."""
        with reading_errors(self._split):
            for images, labels in self._batches.as_numpy_iterator():
                yield images.astype(np.float32), labels


def as_inputs(pixels: tf.Tensor) -> tf.Tensor:
    """float32 of uint8 images, where the network is: bytes go there."""
    return tf.cast(pixels, tf.float32)


def _fault(split: AnySplit, error: tf.errors.OpError) -> str | None:
    if isinstance(split, Split):
        index = first_unreadable(split)
        if index is None:
            return None
        if split.kind == "files":
            file_name = split.items[index].decode(errors="replace")
            which = f"file '{file_name}'"
        else:
            which = f"image {index} of split '{split.name}'"
        return (
            f"Images are JPEG, PNG, BMP or GIF; {which} cannot be decoded. "
            "Replace or remove it."
        )
    message = " ".join(error.message.split())
    found = _DATA_FAULT.search(message)
    if found is None and not isinstance(error, tf.errors.DataLossError):
        return None
    reason = (message if found is None else found[0].strip())[:120]
    return (
        f"Records of '{split.identity}' are labelled images; one cannot be "
        f"read ({reason}). Prepare the data set again."
    )


def first_unreadable(split: Split) -> int | None:
    """Index of the first image that cannot be read and decoded, if any."""
    if split.kind == "pixels":
        return None
    for index, item in enumerate(split.items):
        try:
            is_file = split.kind == "files"
            decode(tf.io.read_file(item) if is_file else tf.constant(item))
        except tf.errors.OpError:
            return index
    return None
