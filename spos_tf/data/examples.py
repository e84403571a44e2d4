"""The values a data set is made of: splits of labelled images."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from spos_tf.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

Kind = Literal["pixels", "encoded", "files"]


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Labelled images with random access.

    Attributes:
        items: by kind. "pixels": decoded RGB `[n, height, width, 3]`, uint8,
            or float32 of 0 to 255 where pixels are no whole numbers.
            "encoded": object `[n]` of bytes, of a format of
            `pictures.FORMATS`. "files": object `[n]` of bytes, paths of such
            images.
        labels: int32 `[n]`.
        kind: what the items are.
        name: what messages call the split.

    Raises:
        UserError: the images are not of these types, or their number is not
            that of the labels.
    """

    items: np.ndarray
    labels: np.ndarray
    kind: Kind
    name: str = "given"

    def __post_init__(self) -> None:
        if self.kind == "pixels":
            fits = (
                self.items.dtype in (np.uint8, np.float32)
                and self.items.ndim == 4
                and self.items.shape[-1] == 3
            )
            rule = "uint8 or float32 [n, height, width, 3]"
        else:
            fits = self.items.dtype == object and self.items.ndim == 1
            rule = "bytes objects [n]"
        if not fits:
            raise UserError(
                f"Images of kind '{self.kind}' are {rule}; got "
                f"{self.items.dtype} {list(self.items.shape)}. Convert them "
                "first."
            )
        if self.items.dtype == np.float32 and not np.isfinite(self.items).all():
            raise UserError(
                f"Pixels are finite numbers; those of '{self.name}' are not."
            )
        if self.labels.shape != (len(self.items),):
            raise UserError(
                f"A split has one label an image; got {len(self.items)} "
                f"images and labels of shape {list(self.labels.shape)}. "
                "Give an int32 array [n]."
            )
        if self.labels.dtype != np.int32:
            raise UserError(
                f"Labels are int32; got {self.labels.dtype}. Convert them "
                "with labels.astype('int32')."
            )

    def __len__(self) -> int:
        return len(self.items)

    @property
    def files(self) -> tuple[bytes, ...]:
        """Paths of the files that images are read from."""
        return tuple(self.items) if self.kind == "files" else ()

    def select(self, indices: np.ndarray, name: str | None = None) -> "Split":
        """The images at `indices` (int `[m]`), in that order."""
        return Split(
            self.items[indices],
            self.labels[indices],
            self.kind,
            self.name if name is None else name,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class StreamSplit:
    """Labelled images that are read in order, too large for memory.

    Attributes:
        open_range: `(start, stop)` -> a tf.data set of the records `start`
            to `stop - 1` in the source's fixed order, each (encoded image:
            string scalar, label: int32 scalar). Opening at a later record
            must give the same records.
        positions: int64 `[n]`, ascending: the records that belong to the
            split.
        identity: what tells the source from others (name, version, split).
        name: what messages call the split.
        files: paths of the files that records are read from, as far as they
            are on this machine.
    """

    open_range: "Callable[[int, int], tf.data.Dataset]"
    positions: np.ndarray
    identity: str
    name: str = "given"
    files: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.positions)

    def select(
        self, indices: np.ndarray, name: str | None = None
    ) -> "StreamSplit":
        """The images at `indices` (int `[m]`), in the order of reading."""
        return dataclasses.replace(
            self,
            positions=np.sort(self.positions[indices]),
            name=self.name if name is None else name,
        )

    def records(self, start: int = 0) -> "tf.data.Dataset":
        """(encoded string scalar, label int32 scalar) from image `start` on.

        Reading starts at the record of that image; records in between that
        belong to other splits are read and dropped undecoded.
        """
        positions = self.positions[start:]
        if not len(positions):
            return self.open_range(0, 1).take(0)
        first, stop = int(positions[0]), int(positions[-1]) + 1
        records = self.open_range(first, stop)
        if stop - first == len(positions):
            return records
        wanted = np.zeros(stop - first, bool)
        wanted[positions - first] = True
        # Commands that read no images are to start at once.
        import tensorflow as tf

        mask = tf.data.Dataset.from_tensor_slices(wanted)
        kept = tf.data.Dataset.zip(mask, records).filter(
            lambda keep, record: keep
        )
        return kept.map(lambda keep, record: record)


AnySplit = Split | StreamSplit


def joined(first: AnySplit, second: AnySplit) -> AnySplit:
    """The images of two splits that share none, as one split.

    Raises:
        UserError: They are not of one kind, or of two sources.
    """
    if isinstance(first, Split) and isinstance(second, Split):
        alike = (
            first.kind == second.kind
            and first.items.dtype == second.items.dtype
            and first.items.shape[1:] == second.items.shape[1:]
        )
        if alike:
            return Split(
                np.concatenate([first.items, second.items]),
                np.concatenate([first.labels, second.labels]),
                first.kind,
                first.name,
            )
    elif (
        isinstance(first, StreamSplit)
        and isinstance(second, StreamSplit)
        and first.identity == second.identity
    ):
        both = np.concatenate([first.positions, second.positions])
        return dataclasses.replace(first, positions=np.sort(both))
    raise UserError(
        f"Images of '{first.name}' and '{second.name}' are of different kinds "
        "and cannot be scored on together. Give both in one form."
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A data set: its classes, its training split and its test split.

    Attributes:
        notes: What people should know of how it was read, a line each.
        faults: What is wrong with it, a line each.
        strict: Whether a fault or an empty split is an error.

    Raises:
        UserError: a label outside `[0, num_classes)`; where it is strict, the
            first fault or an empty split.
    """

    name: str
    num_classes: int
    class_names: tuple[str, ...]
    train: AnySplit
    test: AnySplit
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    strict: bool = True

    def __post_init__(self) -> None:
        if self.faults and self.strict:
            raise UserError(self.faults[0])
        for split in (self.train, self.test):
            if not len(split) and self.strict:
                raise UserError(
                    f"Both splits of a data set hold images; '{self.name}' "
                    f"has none in '{split.name}'. Add images or choose "
                    "another split."
                )
            if isinstance(split, Split):
                check_labels(split.labels, self.num_classes, split.name)


class NoTestImages(UserError):
    """A data set that nobody said how to split."""


def check_labels(labels: np.ndarray, num_classes: int, name: str) -> None:
    """Refuses a label (int `[n]`) outside `[0, num_classes)`.

    Raises:
        UserError: with the first such label and its index.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise UserError(
            f"Labels of split '{name}' are in [0, {num_classes}); image "
            f"{wrong[0]} has {labels[wrong[0]]}. Correct the data or the "
            "number of classes."
        )


def as_objects(values: list[bytes]) -> np.ndarray:
    """An object array `[n]`: NumPy's own bytes type drops trailing zeros."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
