"""Named splits: what is trained on, searched on and tested on."""

import hashlib
import os
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from spos_tf.data.examples import AnySplit, Split, StreamSplit, check_labels
from spos_tf.data.reading import reading_errors
from spos_tf.errors import UserError

SplitKind = TypeVar("SplitKind", Split, StreamSplit, AnySplit)

_SCAN_BATCH = 1024
# Images of a class that paths are scored on, and that confirm a winner, where
# nobody says how many.
MOST_HELD_OUT, _MOST_CONFIRMATION = 50, 50
# The seed of the draw of test images: the same in every run, whatever its own.
_FRACTION_SEED = 0


def scored_subset(split: AnySplit, num_images: int, seed: int) -> AnySplit:
    """A fixed random subset of the images that paths are scored on.

    Where labels are in memory it has as many images of every class as can be;
    of a stream it is a plain random subset. A smaller one is part of a larger.

    Args:
        split: The images.
        num_images: How many; 0 for all.
        seed: Of the draw.

    Raises:
        UserError: There are not as many.
    """
    total = len(split)
    if not 0 <= num_images <= total:
        raise UserError(
            f"Scoring uses 1 to {total} images (those of the search split), or "
            f"0 for all of them; got {num_images}."
        )
    if num_images in (0, total):
        return split
    order = np.random.default_rng(seed).permutation(total)
    if isinstance(split, Split):
        labels = split.labels[order]
        place_in_class = np.empty(total, np.int64)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            place_in_class[own] = np.arange(len(own))
        order = order[np.argsort(place_in_class, kind="stable")]
    return split.select(np.sort(order[:num_images]), "search")


def hold_out(
    train: AnySplit,
    class_names: Sequence[str],
    name: str,
    count: int,
    argument: str = "holdout_per_class",
) -> tuple[AnySplit, AnySplit]:
    """Splits the first `count` images of every class off.

    "First" is in the fixed order of the images, so that they are the same in
    every run. A stream is read (not decoded) up to the last of them: on
    ImageNet at 50 a class about 6 % of the records.

    Args:
        train: The images.
        class_names: In the order of the labels.
        name: What messages call the data set.
        count: Images of every class; 0 splits none off.
        argument: What messages call the count.

    Returns:
        What is left, and the images that were split off.

    Raises:
        UserError: A class has not more than `count` images.
    """
    if count < 0:
        raise UserError(
            f"`{argument}` is at least 0; got {count}. Give the number of "
            "images a class."
        )
    held = np.zeros(0, np.int64)
    if count:
        if isinstance(train, Split):
            held, counts = _first_of_each_class(train, len(class_names), count)
        else:
            held, counts = _first_in_stream(train, len(class_names), count)
        label = int(np.argmin(counts))
        if counts[label] <= count:
            way_out = "Add images, or leave the class out."
            if counts[label] > 1:
                way_out = f"Give `{argument}={counts[label] - 1}` or less."
            raise UserError(
                f"`{argument}` takes {count} training images of every class "
                f"and leaves at least one to train on; '{class_names[label]}' "
                f"of '{name}' has {counts[label]} left. {way_out}"
            )
    keep = np.ones(len(train), bool)
    keep[held] = False
    remaining = np.flatnonzero(keep)
    # Nothing held out: no copy of the training images.
    left = train.select(remaining, "train") if len(held) else train
    return left, train.select(held, "search")


def holdout_count(train: AnySplit, num_classes: int) -> int:
    """Images of every class that paths are scored on, where nobody says.

    At most 50, and a fifth of the class, so that most are left to train on;
    at least one.

    Args:
        train: All training images.
        num_classes: Of the labels.
    """
    fifth = smallest_class(train, num_classes) // 5
    return max(1, min(MOST_HELD_OUT, fifth))


def smallest_class(train: AnySplit, num_classes: int) -> int:
    """Images of the smallest class.

    A stream has the mean of its classes, since nobody has read its labels.

    Args:
        train: All training images.
        num_classes: Of the labels.
    """
    if isinstance(train, Split):
        return int(np.bincount(train.labels, minlength=num_classes).min())
    return len(train) // num_classes


def confirmation_count(
    train: AnySplit, num_classes: int, holdout_per_class: int
) -> int:
    """Images of every class that are kept back to confirm a winner on.

    At most 50, and a tenth of the class; none where less than half of the
    class would be left to train on. The smallest class decides.

    Args:
        train: All training images.
        num_classes: Of the labels.
        holdout_per_class: Images that are kept back for the search.
    """
    size = smallest_class(train, num_classes)
    count = min(_MOST_CONFIRMATION, size // 10)
    left = size - holdout_per_class - count
    return count if 2 * left >= size else 0


def take_fraction(
    split: SplitKind, fraction: float, seed: int = _FRACTION_SEED
) -> tuple[SplitKind, SplitKind]:
    """Splits a share of the images off, to be tested on.

    Where labels are in memory it is that share of every class, rounded, but
    at least one image, and one stays. Of a stream it is a plain random share.

    Args:
        split: The images.
        fraction: In (0, 1).
        seed: Of the draw.

    Returns:
        What is left, named "train", and what was split off, named "test".
    """
    generator = np.random.default_rng(seed)
    if isinstance(split, Split):
        groups = [
            np.flatnonzero(split.labels == label)
            for label in np.unique(split.labels)
        ]
    else:
        groups = [np.arange(len(split))]
    taken = np.zeros(len(split), bool)
    for group in groups:
        count = round(fraction * len(group))
        count = min(max(count, 1), len(group) - 1)
        taken[generator.permutation(group)[:count]] = True
    left = split.select(np.flatnonzero(~taken), "train")
    return left, split.select(np.flatnonzero(taken), "test")


def random_subset(split: AnySplit, num_images: int, seed: int) -> AnySplit:
    """A fixed random subset of training images, to recalibrate on.

    With random access the images are drawn without replacement and come in
    random order. Of a stream, the subset is a run of records that starts at a
    random one and wraps: every image is equally likely, the records were
    shuffled when they were written, and only the subset is read, not the whole
    stream.

    Args:
        split: The training images.
        num_images: How many.
        seed: Seed of the draw.

    Raises:
        UserError: `num_images` is not in `[1, len(split)]`.
    """
    total = len(split)
    if not 1 <= num_images <= total:
        raise UserError(
            f"Recalibration uses 1 to {total} images (the training split); "
            f"got {num_images}. Give `recalibration_images="
            f"{min(max(num_images, 1), total)}`."
        )
    generator = np.random.default_rng(seed)
    if isinstance(split, Split):
        chosen = generator.permutation(total)[:num_images]
    else:
        start = int(generator.integers(total))
        chosen = (start + np.arange(num_images)) % total
    return split.select(chosen, "recalibration")


def _first_of_each_class(
    split: Split, num_classes: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the first of every class, and how many each has."""
    by_class = [
        np.flatnonzero(split.labels == label)[:count]
        for label in range(num_classes)
    ]
    counts = np.bincount(split.labels, minlength=num_classes)
    return np.sort(np.concatenate(by_class)), counts


def _first_in_stream(
    split: StreamSplit, num_classes: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `_first_of_each_class`; counts are of what had to be read."""
    counts = np.zeros(num_classes, np.int64)
    held: list[int] = []
    start = 0
    labels_only = split.records().map(lambda encoded, label: label)
    with reading_errors(split):
        for labels in labels_only.batch(_SCAN_BATCH).as_numpy_iterator():
            check_labels(labels, num_classes, split.name)
            for offset, label in enumerate(labels):
                if counts[label] < count:
                    held.append(start + offset)
                counts[label] += 1
            start += len(labels)
            # One image of every class has to be left.
            if counts.min() > count:
                break
    return np.array(held, np.int64), counts


def fingerprint(split: AnySplit) -> str:
    """SHA-256 (hex) of a split's images and labels, in order.

    Files are read: the name of a file does not say what is in it. A stream,
    too large to read, is known by its source's name and version and by the
    numbers of its records.
    """
    digest = hashlib.sha256()
    if isinstance(split, StreamSplit):
        digest.update(f"stream:{split.identity}:".encode())
        digest.update(split.positions.astype("<i8").tobytes())
        return digest.hexdigest()
    digest.update(f"{split.kind}:{list(split.items.shape)}:".encode())
    if split.kind == "pixels":
        digest.update(np.ascontiguousarray(split.items).data)
    else:
        for item in split.items:
            if split.kind == "files":
                item = _content(item)
            digest.update(len(item).to_bytes(8, "little"))
            digest.update(item)
    digest.update(split.labels.astype("<i4").tobytes())
    return digest.hexdigest()


def input_fingerprint(split: AnySplit) -> str:
    """Tells images that a job was given from others.

    Files are known by their names below their common folder and by their
    sizes, so that a folder may move. Everything else is as in `fingerprint`.
    """
    if isinstance(split, StreamSplit) or split.kind != "files":
        return fingerprint(split)
    paths = [os.fsdecode(item) for item in split.items]
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    digest = hashlib.sha256(b"files:")
    for path in paths:
        try:
            size = os.stat(path).st_size
        except OSError as error:
            raise unreadable(path, error) from error
        digest.update(os.fsencode(os.path.relpath(path, root)))
        digest.update(f":{size}:".encode())
    digest.update(split.labels.astype("<i4").tobytes())
    return digest.hexdigest()


def unreadable(path: str, error: OSError) -> UserError:
    """The error of an image file that is not there, or not for us."""
    return UserError(
        f"Image '{path}' cannot be read ({error.strerror}). Restore it, or "
        "load the data set again."
    )


def _content(file_name: bytes) -> bytes:
    try:
        with open(file_name, "rb") as file:
            return file.read()
    except OSError as error:
        raise unreadable(file_name.decode(errors="replace"), error) from error
