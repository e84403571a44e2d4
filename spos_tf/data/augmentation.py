"""Random changes of training images, driven by given uniform draws.

All functions take float32 draws in [0, 1) instead of making them, so that a
pipeline decides what a sample's randomness depends on.
"""

import itertools
import math

import numpy as np
import tensorflow as tf

from spos_tf.data.randomness import random_integers

_CROP_TRIES = 10
CROP_DRAWS = 2 * _CROP_TRIES + 2
JITTER_DRAWS = 4
_LUMA = (0.299, 0.587, 0.114)
_ORDERS = np.array(list(itertools.permutations(range(3))), np.int32)


def shift_and_flip(
    images: tf.Tensor, draws: tf.Tensor, *, pad: int, flip: bool
) -> tf.Tensor:
    """Pads with black, crops at random to the same size, flips half of them.

    One gather moves the whole batch: no loop over images.

    Args:
        images: any numeric `[batch, height, width, 3]`.
        draws: float32 `[batch, >= 3]`.
        pad: pixels of padding on each side.
        flip: whether to mirror an image with probability 1/2.

    Returns:
        float32 `[batch, height, width, 3]`.
    """
    count = images.shape[0] or tf.shape(images)[0]
    height, width = images.shape[1], images.shape[2]
    margin = [pad, pad]
    padded = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
    top = random_integers(draws[:, 0], 2 * pad + 1)[:, tf.newaxis]
    left = random_integers(draws[:, 1], 2 * pad + 1)[:, tf.newaxis]
    across = tf.range(width)
    if flip:
        mirrored = draws[:, 2:3] >= 0.5
        across = tf.where(mirrored, width - 1 - across, across)
    first_row = tf.range(count)[:, tf.newaxis] * (height + 2 * pad)
    rows = (first_row + top + tf.range(height)) * (width + 2 * pad)
    pixels = rows[:, :, tf.newaxis] + (left + across)[:, tf.newaxis, :]
    cropped = tf.gather(tf.reshape(padded, [-1, 3]), pixels)
    return tf.cast(cropped, tf.float32)


def crop_window(
    height: tf.Tensor, width: tf.Tensor, draws: tf.Tensor
) -> tf.Tensor:
    """Window of a random resized crop, as torchvision draws it.

    Area uniform in 8 to 100 % of the image, log of width / height uniform
    between those of 3/4 and 4/3; the first of ten tries that fits, or else
    the largest centred window of a permitted ratio.

    Args:
        height: int32 scalar.
        width: int32 scalar.
        draws: float32 `[CROP_DRAWS]`.

    Returns:
        int32 `[4]`: top, left, height, width.
    """
    rows = tf.cast(height, tf.float32)
    columns = tf.cast(width, tf.float32)
    area = rows * columns * (0.08 + 0.92 * draws[:_CROP_TRIES])
    log_ratio = math.log(4 / 3) * (
        2.0 * draws[_CROP_TRIES : 2 * _CROP_TRIES] - 1.0
    )
    ratio = tf.exp(log_ratio)
    tried_widths = tf.cast(tf.round(tf.sqrt(area * ratio)), tf.int32)
    tried_heights = tf.cast(tf.round(tf.sqrt(area / ratio)), tf.int32)
    fits = (
        (tried_widths > 0)
        & (tried_widths <= width)
        & (tried_heights > 0)
        & (tried_heights <= height)
    )
    first = tf.argmax(tf.cast(fits, tf.int32))
    found = tf.reduce_any(fits)
    widest = tf.cast(tf.round(rows * (4 / 3)), tf.int32)
    tallest = tf.cast(tf.round(columns * (4 / 3)), tf.int32)
    crop_height = tf.where(
        found, tried_heights[first], tf.minimum(height, tallest)
    )
    crop_width = tf.where(found, tried_widths[first], tf.minimum(width, widest))
    spare_rows, spare_columns = height - crop_height, width - crop_width
    top = random_integers(draws[2 * _CROP_TRIES], spare_rows + 1)
    left = random_integers(draws[2 * _CROP_TRIES + 1], spare_columns + 1)
    return tf.stack(
        [
            tf.where(found, top, spare_rows // 2),
            tf.where(found, left, spare_columns // 2),
            crop_height,
            crop_width,
        ]
    )


def color_jitter(
    image: tf.Tensor, draws: tf.Tensor, strength: float
) -> tf.Tensor:
    """Brightness, contrast and saturation, in random order.

    Each blends the image with black, with its mean gray or with its gray
    image, by a factor uniform in `1 - strength` to `1 + strength`, and clips
    to 0..255.

    Args:
        image: float32 `[height, width, 3]`, 0..255.
        draws: float32 `[JITTER_DRAWS]`.
        strength: in [0, 1].

    Returns:
        float32 `[height, width, 3]`, 0..255.
    """
    order = tf.gather(_ORDERS, random_integers(draws[0], len(_ORDERS)))
    factors = 1.0 + strength * (2.0 * draws[1:4] - 1.0)
    for turn in range(3):
        kind = order[turn]
        factor = factors[turn]
        gray = tf.tensordot(image, tf.constant(_LUMA), 1)[..., tf.newaxis]
        contrast = tf.reduce_mean(gray)
        target = tf.where(kind == 0, 0.0, tf.where(kind == 1, contrast, gray))
        image = tf.clip_by_value(
            factor * image + (1.0 - factor) * target, 0.0, 255.0
        )
    return image
