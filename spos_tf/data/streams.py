"""The training order of a data set that does not fit in memory."""

import tensorflow as tf

from spos_tf.data.examples import StreamSplit
from spos_tf.data.randomness import random_words, shuffled
from spos_tf.randomness import Purpose


def shuffled_records(
    split: StreamSplit, start: int, stop: int, window: int, seed: int
) -> tf.data.Dataset:
    """The records of the training positions `start` to `stop - 1`.

    An epoch reads the records in their order, cut into windows of `window`
    records that are each permuted; where the cuts fall, and the permutations,
    change from epoch to epoch. A window is a pure function of (seed, epoch,
    its number), so a start in mid-epoch reads from the beginning of its
    window, not of the epoch: `tf.data.Dataset.shuffle` would need all records
    since the beginning, and its seed depends on the process's global seed.

    Args:
        split: the stream.
        start: the first position.
        stop: the position after the last.
        window: records in a window.
        seed: any integer.

    Returns:
        (encoded image string scalar, label int32 scalar).
    """
    total = len(split)
    first_epoch, skipped = divmod(start, total)
    cut = int(_first_cut(seed, tf.constant(first_epoch, tf.int64), window))
    number = 0 if skipped < cut else 1 + (skipped - cut) // window
    window_start = 0 if number == 0 else cut + (number - 1) * window
    if number == 0:
        windows = _windows(split.records(), cut, window)
    else:
        windows = split.records(window_start).batch(window)
    records = _permuted(windows, number, first_epoch, seed)
    records = records.skip(skipped - window_start)
    whole = split.records()

    def epoch_records(epoch: tf.Tensor) -> tf.data.Dataset:
        windows = _windows(whole, _first_cut(seed, epoch, window), window)
        return _permuted(windows, 0, epoch, seed)

    num_epochs = -(-stop // total)
    if num_epochs > first_epoch + 1:
        epochs = tf.data.Dataset.range(first_epoch + 1, num_epochs)
        records = records.concatenate(epochs.flat_map(epoch_records))
    return records.take(stop - start)


def _first_cut(seed: int, epoch: tf.Tensor, window: int) -> tf.Tensor:
    """Length of an epoch's first window: int64 scalar in `[1, window]`."""
    words = random_words(seed, epoch, 1, Purpose.WINDOW_OFFSET)
    return 1 + tf.cast(words[0, 0], tf.int64) % window


def _windows(
    records: tf.data.Dataset, cut: tf.Tensor | int, window: int
) -> tf.data.Dataset:
    first = records.take(cut).batch(window)
    return first.concatenate(records.skip(cut).batch(window))


def _permuted(
    windows: tf.data.Dataset, number: int, epoch: tf.Tensor | int, seed: int
) -> tf.data.Dataset:
    def permute(index, window):
        encoded, labels = window
        count = tf.shape(labels, out_type=tf.int64)[0]
        words = random_words(seed, index, 1, Purpose.WINDOW_ORDER, epoch)
        order = shuffled(
            tf.range(count),
            tf.repeat(words[:, :3], count, axis=0),
            tf.fill([count], count - 1),
        )
        return tf.gather(encoded, order), tf.gather(labels, order)

    numbered = windows.enumerate(start=number)
    # The next window is read while this one is used up.
    return numbered.map(permute).prefetch(1).unbatch()
