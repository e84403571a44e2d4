"""Looks at every image of a data set before a training does."""

import collections
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spos_tf.atomic_write import write_json
from spos_tf.data.examples import Source, Split, check_labels
from spos_tf.data.inputs import array_split
from spos_tf.data.inspection import Sight, inspect_split
from spos_tf.data.reading import Fault, images_named
from spos_tf.data.sources import DataSource
from spos_tf.errors import UserError
from spos_tf.paths import local_path
from spos_tf.progress import progress

_SCHEMA = 1


def check_data(
    data: Any, *, output: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Reads every image of a data set once, and reports what is there.

    Args:
        data: `spos_tf.folder(...)`, `spos_tf.tfds(...)`, or `(images,
            labels)`.
        output: File that gets the result as JSON; none if None.

    Returns:
        `{"schema", "dataset", "classes", "splits", "faults", "notes",
        "duplicates"}`; see docs/your_data.md. `"splits"` has for each split
        the images of every class, their formats and sizes, which are turned
        by their metadata, gray or have alpha, and the name of every image
        that cannot be read, with the reason.

    Raises:
        UserError: The data set cannot be read at all.

    Example:
        >>> spos_tf.check_data(spos_tf.folder("photos"))  # doctest: +SKIP
    """
    place = None if output is None else local_path(output, "output")
    source = _source(data)
    splits = {"train": source.train, "test": source.test}
    sights: dict[str, list[Sight]] = {}
    faults: dict[str, list[Fault]] = {}
    total = sum(map(len, splits.values()))
    with progress(total=total, desc="looking", unit="image") as bar:
        for name, split in splits.items():
            sights[name], faults[name] = inspect_split(split, bar.update)
    result = {
        "schema": _SCHEMA,
        "dataset": source.name,
        "classes": list(source.class_names),
        "splits": {
            name: _described(sights[name], faults[name], source.class_names)
            for name in splits
        },
        "faults": [*source.faults, *_broken_words(faults)],
        "notes": list(source.notes),
        "duplicates": _duplicates(sights, splits.values()),
    }
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, result)
    return result


def _source(data: Any) -> Source:
    if isinstance(data, DataSource):
        return data.load(strict=False)
    if isinstance(data, tuple | list) and len(data) == 2:
        split = array_split(*data, argument="data")
        count = int(split.labels.max()) + 1
        check_labels(split.labels, count, "data")
        return Source(
            name="arrays",
            num_classes=count,
            class_names=tuple(map(str, range(count))),
            train=split,
            test=split.select(np.zeros(0, np.int64), "test"),
            strict=False,
        )
    raise UserError(
        "`data` is spos_tf.folder(...), spos_tf.tfds(...) or (images, "
        f"labels); got {type(data).__name__}."
    )


def _described(
    sights: Sequence[Sight], faults: Sequence[Fault], classes: Sequence[str]
) -> dict[str, Any]:
    """The entry of a split."""
    counts = np.bincount(
        np.array([one.label for one in sights], np.int64),
        minlength=len(classes),
    )
    return {
        "images": len(sights) + len(faults),
        "unreadable": [
            {"image": one.name, "reason": one.reason} for one in faults
        ],
        "by_class": dict(zip(classes, counts.tolist(), strict=True)),
        "formats": dict(
            collections.Counter(one.format for one in sights).most_common()
        ),
        "height": _spread([one.height for one in sights]),
        "width": _spread([one.width for one in sights]),
        **{
            name: sum(getattr(one, name) for one in sights)
            for name in ("thin", "turned", "gray", "alpha")
        },
    }


def _spread(values: Sequence[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "least": min(values),
        "median": float(np.median(values)),
        "most": max(values),
    }


def _duplicates(
    sights: Mapping[str, Sequence[Sight]], splits: Any
) -> dict[str, Any]:
    """Images that are there more than once, to the last bit."""
    by_digest = collections.defaultdict(list)
    for split, some in sights.items():
        for one in some:
            by_digest[one.digest].append((split, one))
    groups = [group for group in by_digest.values() if len(group) > 1]

    def names(group: Sequence[tuple[str, Sight]]) -> list[str]:
        return [one.name for _, one in group]

    def within(split: str) -> list[list[str]]:
        own = [[pair for pair in group if pair[0] == split] for group in groups]
        return [names(group) for group in own if len(group) > 1]

    pixels = all(
        isinstance(split, Split) and split.kind == "pixels" for split in splits
    )
    return {
        "compared": "pixels" if pixels else "bytes of files",
        "within": {split: within(split) for split in sights},
        "between": [
            names(group)
            for group in groups
            if len({split for split, _ in group}) > 1
        ],
        "of_several_classes": [
            names(group)
            for group in groups
            if len({one.label for _, one in group}) > 1
        ],
    }


def _broken_words(faults: Mapping[str, Sequence[Fault]]) -> list[str]:
    """A line that names what could not be read, if anything could not."""
    found = [one for some in faults.values() for one in some]
    if not found:
        return []
    images = "image" if len(found) == 1 else "images"
    return [
        f"{len(found)} {images} cannot be read: {images_named(found)}. Replace "
        "or remove them."
    ]
