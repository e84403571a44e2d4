"""The first classes of a data set, as a data set of its own."""

import dataclasses

import numpy as np

from spos_tf.data.examples import AnySplit, Source, Split
from spos_tf.errors import UserError


def first_classes(source: Source, count: int) -> Source:
    """Keeps the images of the first `count` classes.

    ImageNet16-120 of NAS-Bench-201 is the first 120 classes of TFDS's
    `imagenet_resized/16x16`.

    Args:
        source: In memory.
        count: Classes to keep, from 1 to all.

    Raises:
        UserError: There are fewer classes, or a split is streamed.
    """
    if not 1 <= count <= source.num_classes:
        raise UserError(
            f"`first_classes` is 1 to {source.num_classes}, the classes of "
            f"data set '{source.name}'; got {count}."
        )
    if count == source.num_classes:
        return source
    return dataclasses.replace(
        source,
        num_classes=count,
        class_names=source.class_names[:count],
        train=_kept(source.train, count),
        test=_kept(source.test, count),
    )


def _kept(split: AnySplit, count: int) -> Split:
    if not isinstance(split, Split):
        raise UserError(
            "`first_classes` needs a data set that fits in memory; split "
            f"'{split.name}' is read as a stream. Prepare a data set of these "
            "classes alone."
        )
    return split.select(np.flatnonzero(split.labels < count))
