"""From the bytes of an image file to its pixels, inside a `tf.data` pipeline.

TensorFlow decodes plain JPEG and PNG files, and calls Python, where Pillow is,
for the rest; see `pictures`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.data.pictures import is_turned, upright_pixels

_PNG = b"\x89PNG\r\n\x1a\n"
# What metadata that turn a picture begin with, in a JPEG and in a PNG: EXIF
# and XMP. `\C` is any byte.
_METADATA = (
    r"\C*(Exif\x00\x00|eXIf|tiff:Orientation|Raw profile type|"
    r"XML:com\.adobe\.xmp)\C*"
)
# Bytes of a JPEG in which they are looked for: they come before the pixels. A
# PNG may have them at its end.
_JPEG_HEAD = 1 << 20
# Channels of a JPEG in CMYK, whose inks TensorFlow takes for their opposites
# where no program left its name.
_INKS = 4


def is_plain(encoded: tf.Tensor) -> tf.Tensor:
    """Whether TensorFlow reads a file as a viewer shows it.

    Args:
        encoded: The bytes of a file, a string scalar.

    Returns:
        bool scalar: it is a JPEG of gray or colors or a PNG, and no metadata
        turn it.
    """
    is_jpeg = tf.io.is_jpeg(encoded)
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(_PNG)), _PNG)

    def is_of_inks() -> tf.Tensor:
        return tf.equal(tf.io.extract_jpeg_shape(encoded)[2], _INKS)

    def is_upright() -> tf.Tensor:
        searched = tf.cond(
            is_jpeg,
            lambda: tf.strings.substr(encoded, 0, _JPEG_HEAD),
            lambda: encoded,
        )
        return tf.cond(
            tf.strings.regex_full_match(searched, _METADATA),
            lambda: ~tf.ensure_shape(_called(is_turned, encoded, tf.bool), []),
            lambda: tf.constant(True),
        )

    no = tf.constant(False)
    has_inks = tf.cond(is_jpeg, is_of_inks, lambda: no)
    is_known = (is_jpeg & ~has_inks) | is_png
    return tf.cond(is_known, is_upright, lambda: no)


def decode(encoded: tf.Tensor, plain: tf.Tensor | None = None) -> tf.Tensor:
    """The pixels of an image file as a viewer shows them.

    Args:
        encoded: The bytes of a file, a string scalar, of one of
            `pictures.FORMATS`.
        plain: What `is_plain` says of it, if that is known.

    Returns:
        uint8 `[height, width, 3]`: the first picture, turned as its metadata
        say, without transparency.
    """
    image = tf.cond(
        is_plain(encoded) if plain is None else plain,
        lambda: tf.io.decode_image(
            encoded, channels=3, expand_animations=False
        ),
        lambda: _called(upright_pixels, encoded, tf.uint8),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _called(
    function: Callable[[bytes], Any], encoded: tf.Tensor, dtype: tf.DType
) -> tf.Tensor:
    def of_bytes(data: Any) -> Any:
        # Outside of a graph it is an array of one object.
        return function(np.asarray(data, object).item())

    # Not stateful: with determinism asked for, tf.data would otherwise call
    # one after the other.
    return tf.numpy_function(of_bytes, [encoded], dtype, stateful=False)
