"""Batches of training and of evaluation, made by tf.data.

Errors inside a pipeline surface where it is iterated. Batches of evaluation
turn those of the data into UserErrors themselves. Batches of training are
plain tf.data sets, which strategies distribute: iterate them inside
`reading.reading_errors(split)`.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spos_tf.data.examples import AnySplit, Split, StreamSplit
from spos_tf.data.preprocessing import (
    IMAGENET_DRAWS,
    PreprocessingOptions,
    augment_batch,
    decode,
    evaluation_images,
    imagenet_training_image,
    resize_and_center_crop,
)
from spos_tf.data.randomness import augmentation_uniforms, epoch_indices
from spos_tf.data.reading import ReadBatches, reading_errors
from spos_tf.data.streams import shuffled_records
from spos_tf.errors import UserError

_AUTOTUNE = tf.data.AUTOTUNE
_ARRAY_BATCH = 256
# Batches of evaluation that wait to be used: networks are slower than reading
# ahead, and tf.data itself would keep as many as there is memory.
_AHEAD = 2


class TrainingData(NamedTuple):
    """Labelled images that come in batches, from any step on.

    Attributes:
        batches: Gives the batches of some steps, as `training_batches` does
            for its keywords.
        errors: Inside, what is wrong with an image raises a `UserError`.
    """

    batches: Callable[..., tf.data.Dataset]
    errors: Callable[[], contextlib.AbstractContextManager[None]]


def split_data(
    split: AnySplit, preprocessing: PreprocessingOptions
) -> TrainingData:
    """A split as what a training reads."""
    return TrainingData(
        functools.partial(training_batches, split, preprocessing),
        functools.partial(reading_errors, split),
    )


def training_batches(
    split: AnySplit,
    options: PreprocessingOptions,
    *,
    batch_size: int,
    start_step: int,
    num_steps: int,
    seed: int,
    share: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Batches of the steps `start_step` to `num_steps - 1`.

    Sample `i` of step `s` has the position `s * batch_size + i`, and its
    image and augmentation depend on the seed and that position alone: a run
    that starts at step `s` gives bit-identical batches to one that started at
    0. Every epoch visits every image once, in an order of its own; batches
    may straddle epochs, and a split smaller than a batch wraps.

    With random access a start at any step is free. Of a stream the records
    are shuffled within windows, and a start reads (not decodes) at most one
    window of records it does not use.

    Args:
        split: the training images.
        options: size and augmentation.
        batch_size: images a step.
        start_step: the first step.
        num_steps: the step after the last.
        seed: any integer.
        share: (index, count): of every batch only this one of so many equal
            parts; the others are not decoded.

    Returns:
        (images, labels): float32 `[n, image_size, image_size, 3]`, 0..255,
        and int32 `[n]`, where n is `batch_size / count`.

    Raises:
        UserError: the split is empty or a number out of range.
    """
    _check(split, batch_size)
    index, count = share
    own = own_batch(batch_size, count)
    if not 0 <= start_step <= num_steps:
        raise UserError(
            f"start_step is in [0, num_steps]; got {start_step} of "
            f"{num_steps} steps. Give a larger number of steps."
        )
    if (
        isinstance(split, Split)
        and split.kind == "pixels"
        and options.augmentation != "imagenet"
    ):
        batches = _pixel_batches(
            split,
            options,
            batch_size,
            start_step,
            num_steps,
            seed,
            (index * own, own),
        )
    else:
        samples = _training_samples(
            split,
            options,
            start_step * batch_size,
            num_steps * batch_size,
            seed,
            None
            if count == 1
            else lambda position: position % batch_size // own == index,
        )
        batches = samples.batch(own, drop_remainder=True)
        if options.augmentation != "imagenet":

            def augment(positions, images, labels):
                draws = augmentation_uniforms(seed, positions[0], own)
                return augment_batch(images, draws, options), labels

            batches = batches.map(augment, num_parallel_calls=_AUTOTUNE)
        else:
            batches = batches.map(
                lambda positions, images, labels: (images, labels)
            )
    # tf.data cannot count what is filtered; progress bars want to know.
    batches = batches.apply(
        tf.data.experimental.assert_cardinality(num_steps - start_step)
    )
    return finished(batches)


def evaluation_batches(
    split: AnySplit, options: PreprocessingOptions, *, batch_size: int
) -> ReadBatches:
    """All images once, in the split's order; the last batch may be smaller.

    Returns:
        (images, labels): float32 `[batch, image_size, image_size, 3]`,
        0..255, and int32 `[batch]`. Iterating raises a UserError that names
        an image which cannot be read.

    Raises:
        UserError: the split is empty or the batch size below 1.
    """
    _check(split, batch_size)
    return ReadBatches(
        split,
        finished(_evaluation_set(split, options, batch_size), ahead=_AHEAD),
        -(-len(split) // batch_size),
    )


def _evaluation_set(
    split: AnySplit, options: PreprocessingOptions, batch_size: int
) -> tf.data.Dataset:
    """(uint8 images, int32 labels)."""
    if isinstance(split, Split) and split.kind == "pixels":
        items, labels = _tensors(split)
        total = len(split)

        def cut(start):
            stop = tf.minimum(start + batch_size, total)
            images = evaluation_images(items[start:stop], options)
            return images, labels[start:stop]

        starts = tf.data.Dataset.range(0, total, batch_size)
        return starts.map(cut, num_parallel_calls=_AUTOTUNE)
    if isinstance(split, StreamSplit):
        records = split.records()
    else:
        items, labels = _tensors(split)
        records = tf.data.Dataset.from_tensor_slices((items, labels))
    kind = "encoded" if isinstance(split, StreamSplit) else split.kind
    images = records.map(
        lambda item, label: (
            evaluation_images(decode(_bytes(item, kind)), options),
            label,
        ),
        num_parallel_calls=_AUTOTUNE,
    )
    return images.batch(batch_size)


def accelerator() -> str | None:
    """The GPU that batches wait on; None where there is none."""
    gpus = tf.config.list_logical_devices("GPU")
    return gpus[0].name if gpus else None


def ahead_on(batches: tf.data.Dataset, device: str | None) -> tf.data.Dataset:
    """The next batches are on a device before they are asked for.

    Args:
        batches: All is done to them; nothing may follow.
        device: None leaves them as they are.
    """
    if device is None:
        return batches
    ahead = tf.data.experimental.prefetch_to_device(device, _AHEAD)
    return batches.apply(ahead)


def evaluation_arrays(
    split: AnySplit, options: PreprocessingOptions
) -> tuple[np.ndarray, np.ndarray]:
    """All of `evaluation_batches` in memory: `12 * image_size^2` bytes each.

    Returns:
        (images, labels): float32 `[n, image_size, image_size, 3]`, 0..255,
        and int32 `[n]`.

    Raises:
        UserError: the split is empty or an image cannot be read.
    """
    size = options.image_size
    batches = evaluation_batches(split, options, batch_size=_ARRAY_BATCH)
    images = np.empty((len(split), size, size, 3), np.float32)
    labels = np.empty(len(split), np.int32)
    start = 0
    for some_images, some_labels in batches.as_numpy_iterator():
        stop = start + len(some_labels)
        images[start:stop] = some_images
        labels[start:stop] = some_labels
        start = stop
    return images, labels


def _check(split: AnySplit, batch_size: int) -> None:
    if not len(split):
        raise UserError(
            f"A split holds at least one image; '{split.name}' is empty. Hold "
            "out images for it (`holdout_per_class`) or use another."
        )
    if batch_size < 1:
        raise UserError(
            f"`batch_size` is at least 1; got {batch_size}. Give a larger one."
        )


def own_batch(batch_size: int, workers: int) -> int:
    """Images of every batch that one of several workers makes.

    Raises:
        UserError: The workers cannot have equal parts.
    """
    if batch_size % workers:
        raise UserError(
            f"`batch_size` is a multiple of the number of workers, {workers}; "
            f"got {batch_size}."
        )
    return batch_size // workers


def finished(
    batches: tf.data.Dataset, ahead: int = _AUTOTUNE
) -> tf.data.Dataset:
    """The same, in order, some of them ahead of their use."""
    options = tf.data.Options()
    options.deterministic = True
    return batches.prefetch(ahead).with_options(options)


def _tensors(split: Split) -> tuple[tf.Tensor, tf.Tensor]:
    # tf.data runs on the CPU; a GPU would otherwise be the default place.
    with tf.device("CPU:0"):
        return tf.constant(split.items), tf.constant(split.labels)


def _bytes(item: tf.Tensor, kind: str) -> tf.Tensor:
    return tf.io.read_file(item) if kind == "files" else item


def _pixel_batches(
    split: Split,
    options: PreprocessingOptions,
    batch_size: int,
    start_step: int,
    num_steps: int,
    seed: int,
    share: tuple[int, int],
) -> tf.data.Dataset:
    items, labels = _tensors(split)
    first, count = share

    def batch(step):
        start = step * batch_size + first
        indices = epoch_indices(start, count, len(split), seed)
        draws = augmentation_uniforms(seed, start, count)
        images = augment_batch(tf.gather(items, indices), draws, options)
        return images, tf.gather(labels, indices)

    steps = tf.data.Dataset.range(start_step, num_steps)
    return steps.map(batch, num_parallel_calls=_AUTOTUNE)


def _training_samples(
    split: AnySplit,
    options: PreprocessingOptions,
    start: int,
    stop: int,
    seed: int,
    is_ours: Callable[[tf.Tensor], tf.Tensor] | None,
) -> tf.data.Dataset:
    """(position int64, image float32 `[size, size, 3]`, label int32)."""
    size = options.image_size

    def prepare(position, item, label):
        if options.augmentation == "imagenet":
            draws = augmentation_uniforms(seed, position, 1, IMAGENET_DRAWS)
            image = imagenet_training_image(item, draws[0], options)
        else:
            image = resize_and_center_crop(
                decode(item), short_side=size, size=size
            )
        return position, image, label

    positions = tf.data.Dataset.range(start, stop)
    if isinstance(split, StreamSplit):
        records = shuffled_records(
            split, start, stop, options.shuffle_window, seed
        )
        numbered = tf.data.Dataset.zip(positions, records)
        if is_ours is not None:
            numbered = numbered.filter(lambda position, _: is_ours(position))
        return numbered.map(
            lambda position, record: prepare(position, *record),
            num_parallel_calls=_AUTOTUNE,
        )
    items, labels = _tensors(split)
    kind, total = split.kind, len(split)

    def fetch(position):
        index = epoch_indices(position, 1, total, seed)[0]
        item = _bytes(tf.gather(items, index), kind)
        return prepare(position, item, tf.gather(labels, index))

    if is_ours is not None:
        positions = positions.filter(is_ours)
    return positions.map(fetch, num_parallel_calls=_AUTOTUNE)
