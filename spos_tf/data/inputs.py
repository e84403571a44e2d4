"""What jobs are given as images: arrays, data sets, and `tf.data`.

Each becomes an `Images`, so that a job does not ask of which kind they are.
"""

import functools
import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spos_tf.data.class_names import are_named, outputs_of_classes, relabelled
from spos_tf.data.dataset_images import DatasetImages
from spos_tf.data.examples import AnySplit, Split, check_labels
from spos_tf.data.pipeline import TrainingData, split_data
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.reading import bad_heads, looked_at, unreadable_words
from spos_tf.data.sources import DataSource
from spos_tf.data.splits import (
    confirmation_count,
    hold_out,
    holdout_count,
    input_fingerprint,
    random_subset,
    take_fraction,
)
from spos_tf.errors import UserError

_LOGGER = logging.getLogger("spos_tf")
# Arguments for which the test images of a data set are taken.
_OF_TEST = ("test", "compare_on")


class SplitImages:
    """Images with an order of their own.

    Args:
        split: The images.
        num_classes: Of the labels.
        class_names: In the order of the labels; None where nobody said.
        name: What messages call the data set.
        beside: The other split of the data set, if there is one.
    """

    def __init__(
        self,
        split: AnySplit,
        num_classes: int,
        class_names: tuple[str, ...] | None,
        name: str,
        beside: AnySplit | None = None,
    ) -> None:
        self.split = split
        self.class_names = class_names
        self._num_classes = num_classes
        self._name = name
        self._beside = beside

    def refuse_bad_files(self) -> None:
        """Looks at the first bytes of all files of the data set.

        Raises:
            UserError: Files are missing, empty or no images; it names them.
        """
        faults = bad_heads(self.split)
        if self._beside is not None:
            faults += bad_heads(self._beside)
        if faults:
            raise UserError(unreadable_words(faults))

    def decode_files(self, seconds: float) -> int:
        """Decodes image files, as many as there is time for.

        Args:
            seconds: After so long it ends.

        Returns:
            The number of those that it did not come to.

        Raises:
            UserError: Some cannot be decoded; it names them.
        """
        split = self.split
        if not isinstance(split, Split) or split.kind != "files":
            return 0
        faults, looked = looked_at(split, seconds=seconds)
        if faults:
            raise UserError(unreadable_words(faults))
        return len(split) - looked

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.split)

    def training(self, preprocessing: PreprocessingOptions) -> TrainingData:
        """Batches to train on."""
        return split_data(self.split, preprocessing)

    def everything(self, preprocessing: PreprocessingOptions) -> AnySplit:
        """All images, to be scored on."""
        return self.split

    def subset(
        self, preprocessing: PreprocessingOptions, count: int, seed: int
    ) -> AnySplit:
        """A random subset; all images where there are fewer."""
        return random_subset(self.split, min(count, len(self.split)), seed)

    def holdout_count(self) -> int:
        """Images of a class that paths are scored on; see `splits`."""
        return holdout_count(self.split, self._num_classes)

    def confirmation_count(self, holdout_per_class: int) -> int:
        """Images of a class to confirm a winner on; see `splits`."""
        return confirmation_count(
            self.split, self._num_classes, holdout_per_class
        )

    def hold_out(
        self, count: int, argument: str = "holdout_per_class"
    ) -> "tuple[SplitImages, SplitImages]":
        """The images without `count` of every class, and these.

        Args:
            count: Images of a class.
            argument: What messages call the count.

        Raises:
            UserError: A class has not so many.
        """
        names = self.class_names or [*map(str, range(self._num_classes))]
        left, held = (
            SplitImages(part, self._num_classes, self.class_names, self._name)
            for part in hold_out(self.split, names, self._name, count, argument)
        )
        return left, held

    def fingerprint(self) -> str:
        """Tells these images from others, as `run.json` keeps it."""
        return input_fingerprint(self.split)


# Labelled images that a job was given.
Images = SplitImages | DatasetImages


def images_of(
    given: Any,
    *,
    argument: str,
    num_classes: int,
    class_names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    way_out: str = "",
) -> Images:
    """What a job's argument holds.

    Where the network's outputs have names, labels are put in their order;
    images of other classes are refused.

    Args:
        given: `(images, labels)`, a `DataSource`, or a `tf.data.Dataset` of
            batches.
        argument: Its name; the test images of a data set are taken for
            `test` and `compare_on`, its training images for any other.
        num_classes: Classes of the network.
        class_names: Replace those of the data.
        outputs: Names of the network's classes in the order of its outputs;
            None where there is no trained network.
        way_out: What a refusal of other classes offers besides naming them
            alike.

    Raises:
        UserError: It is none of these, or holds images, labels, a number of
            classes or names of classes that do not fit.
    """
    names = None if class_names is None else tuple(map(str, class_names))
    if names is not None and len(names) != num_classes:
        raise UserError(
            f"`class_names` has a name for each of the {num_classes} classes; "
            f"got {len(names)}."
        )
    aligned = _Aligned(outputs, way_out)
    if isinstance(given, DataSource):
        return _of_source(given, argument, num_classes, names, aligned)
    if isinstance(given, tf.data.Dataset):
        named = getattr(given, "class_names", None)
        if names is None and named is not None:
            names = tuple(map(str, named))
        order = aligned.order(names, f"the tf.data.Dataset of `{argument}`")
        return DatasetImages(
            given, argument, num_classes, aligned.names(names), order
        )
    if isinstance(given, tuple | list) and len(given) == 2:
        arrays = array_split(*given, argument=argument)
        check_labels(arrays.labels, num_classes, argument)
        order = aligned.order(names, f"`{argument}`")
        split = arrays if order is None else relabelled(arrays, order)
        return SplitImages(split, num_classes, aligned.names(names), argument)
    meant = ""
    if isinstance(given, str | os.PathLike):
        # People give a path as they are used to.
        meant = f" Give spos_tf.folder({os.fspath(given)!r})."
    raise UserError(
        f"`{argument}` is (images, labels), spos_tf.folder(...), "
        "spos_tf.tfds(...) or a tf.data.Dataset of batches; got "
        f"{type(given).__name__}.{meant}"
    )


class _Aligned(NamedTuple):
    """Puts classes in the order of a network's outputs."""

    outputs: Sequence[str] | None
    way_out: str

    def order(
        self, names: Sequence[str] | None, data: str
    ) -> np.ndarray | None:
        """See `outputs_of_classes`; None too where one side has no names."""
        if names is None or self.outputs is None:
            return None
        if are_named(names) == are_named(self.outputs):
            return outputs_of_classes(names, self.outputs, data, self.way_out)
        _LOGGER.warning(
            "Class names cannot be compared, since only one of the network and "
            "%s has them: label 0 is taken as output 0, and so on.",
            data,
        )
        return None

    def names(self, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """What the classes are called from now on."""
        if self.outputs is not None and are_named(self.outputs):
            return tuple(self.outputs)
        return names


def _of_source(
    given: DataSource,
    argument: str,
    num_classes: int,
    names: tuple[str, ...] | None,
    aligned: _Aligned,
) -> SplitImages:
    source = given.load()
    names = names or source.class_names
    order = aligned.order(names, f"data set {given.dataset!r}")
    if source.num_classes != num_classes:
        raise UserError(
            f"Data set {given.dataset!r} has {source.num_classes} classes; "
            f"the network has {num_classes}. Use a network with "
            f"`num_classes={source.num_classes}`."
        )
    for note in source.notes:
        _say_once(note)
    split, beside = source.train, source.test
    if argument in _OF_TEST:
        split, beside = beside, split
    if order is not None:
        split = relabelled(split, order)
    return SplitImages(
        split, num_classes, aligned.names(names), source.name, beside
    )


@functools.cache
def _say_once(note: str) -> None:
    """A job reads its data set for each of its arguments."""
    _LOGGER.warning(note)


def split_arrays(
    images: Any, labels: Any, *, test_fraction: float, seed: int = 0
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Splits arrays into training and test images, class by class.

    Args:
        images: uint8 `[n, height, width, 3]`, or floats of 0 to 255.
        labels: Integers `[n]`.
        test_fraction: Share of every class that becomes test images, in
            (0, 1). At least one image of every class does, and one stays.
        seed: Seed of the draw; the same seed draws the same images.

    Returns:
        `(images, labels)` to train on and `(images, labels)` to test on.

    Raises:
        UserError: The arrays or the fraction are out of range.

    Example:
        >>> train, test = spos_tf.split_arrays(  # doctest: +SKIP
        ...     images, labels, test_fraction=0.2)
    """
    if not 0.0 < test_fraction < 1.0:
        raise UserError(
            f"`test_fraction` is in (0, 1); got {test_fraction}. Give for "
            "example 0.2."
        )
    split = array_split(images, labels, argument="images")
    train, test = take_fraction(split, test_fraction, seed)
    return (train.items, train.labels), (test.items, test.labels)


def array_split(images: Any, labels: Any, *, argument: str) -> Split:
    """A split of arrays.

    Args:
        images: uint8 `[n, height, width, 3]`, or floats of 0 to 255.
        labels: Integers `[n]` or `[n, 1]`.
        argument: What messages call it.

    Raises:
        UserError: They are not of this form.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise UserError(
            f"Images of `{argument}` are an array [n, height, width, 3]; got "
            f"the shape {list(images.shape)}. Gray images are made so with "
            "numpy.repeat(images[..., None], 3, axis=-1)."
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        raise UserError(
            f"Labels of `{argument}` are an array of {len(images)} integers, "
            f"one an image; got {labels.dtype} {list(labels.shape)}. One-hot "
            "labels are made so with labels.argmax(axis=1)."
        )
    if images.dtype != np.uint8:
        images = _pixels(images, argument)
    return Split(images, labels.astype(np.int32), "pixels", argument)


def _pixels(images: np.ndarray, argument: str) -> np.ndarray:
    if images.dtype.kind != "f":
        raise UserError(
            f"Images of `{argument}` are uint8, or float32 of 0 to 255; got "
            f"{images.dtype}. Convert them with images.astype('uint8')."
        )
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):
        raise UserError(
            f"Images of `{argument}` are finite numbers of 0 to 255; got "
            f"{low:g} to {high:g}. Networks normalize images themselves: give "
            "the pixels as they were."
        )
    if high <= 1:
        raise UserError(
            f"Images of `{argument}` are numbers of 0 to 255; got {low:g} to "
            f"{high:g}. Multiply them by 255."
        )
    whole = np.rint(images)
    # Exactly the same pixels in a quarter of the memory.
    if (whole == images).all():
        return whole.astype(np.uint8)
    return images.astype(np.float32)
