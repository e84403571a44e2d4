"""From a stored image to a network's input.

Networks take float32 RGB 0..255: normalisation is their first layer, so that
an exported network needs no preprocessing but the resizing done here.
"""

import dataclasses
from typing import Literal, get_args

import tensorflow as tf

from spos_tf.data.augmentation import (
    CROP_DRAWS,
    JITTER_DRAWS,
    color_jitter,
    crop_window,
    shift_and_flip,
)
from spos_tf.data.decoding import decode, is_plain
from spos_tf.errors import UserError

Augmentation = Literal["imagenet", "cifar", "shift", "none"]

# Draws of one training sample: crop, colour jitter, flip.
IMAGENET_DRAWS = CROP_DRAWS + JITTER_DRAWS + 1
_CIFAR_PAD = 4
_SHIFT_PAD = 1
# Images that are kept on a disk, and scores that are known, are of one way to
# decode, resize and round: raise this number with every change of it, and they
# are made anew.
EVALUATION_PIXELS = 1
# Sides in pixels from which an image is cropped like ImageNet's, or CIFAR's.
_LARGE, _SMALL = 64, 16
# Times the short side from which the long side of an image makes it thin.
THIN = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessingOptions:
    """How images become inputs.

    Attributes:
        image_size: height and width of the input, in pixels.
        augmentation: what training does to an image.
            "imagenet": random resized crop, colour jitter, flip.
            "cifar": pad by 4, random crop, flip. "shift": pad by 1, random
            crop (for digits, where a mirror image is another thing).
            "none": nothing.
        color_jitter: strength of brightness, contrast and saturation of
            "imagenet", in [0, 1].
        eval_resize: short side in pixels before evaluation's centre crop;
            None is `round(image_size * 256 / 224)` from 64 pixels on and
            `image_size` below. It does not depend on the augmentation, so
            that all tools read an image alike.
        shuffle_window: records that are shuffled among each other where a
            data set is streamed; as many encoded images, up to three times,
            are in memory.

    Raises:
        UserError: a number is out of range or the augmentation unknown.
    """

    image_size: int
    augmentation: Augmentation
    color_jitter: float = 0.4
    eval_resize: int | None = None
    shuffle_window: int = 4096

    def __post_init__(self) -> None:
        if self.augmentation not in get_args(Augmentation):
            raise UserError(
                f"Unknown augmentation '{self.augmentation}'. Use one of "
                f"{', '.join(get_args(Augmentation))}."
            )
        if self.image_size < 1:
            raise UserError(
                f"`image_size` is at least 1; got {self.image_size}. Give the "
                "side of the network's input in pixels."
            )
        if not 0.0 <= self.color_jitter <= 1.0:
            raise UserError(
                f"`color_jitter` is in [0, 1]; got {self.color_jitter}. The "
                "official value is 0.4."
            )
        if self.evaluation_short_side < self.image_size:
            raise UserError(
                f"`eval_resize` is at least `image_size` ({self.image_size}); "
                f"got {self.eval_resize}. Give a larger one."
            )
        if self.shuffle_window < 1:
            raise UserError(
                f"shuffle_window is at least 1; got {self.shuffle_window}. "
                "Give the number of images to shuffle among each other."
            )

    @property
    def evaluation_short_side(self) -> int:
        """Short side in pixels to which evaluation resizes, before its crop."""
        if self.eval_resize is not None:
            return self.eval_resize
        if self.image_size >= _LARGE:
            return round(self.image_size * 256 / 224)
        return self.image_size

    def words(self) -> str:
        """What a score says of it: scores of other pixels are others."""
        later = f", pixels {EVALUATION_PIXELS}" * (EVALUATION_PIXELS > 1)
        return f"{self}{later}"


def default_augmentation(image_size: int) -> Augmentation:
    """What suits images of a size: photographs, thumbnails, digits."""
    if image_size >= _LARGE:
        return "imagenet"
    return "cifar" if image_size >= _SMALL else "shift"


def resize_and_center_crop(
    images: tf.Tensor, *, short_side: int, size: int
) -> tf.Tensor:
    """Resizes the short side, keeping the ratio, then crops the middle.

    Bilinear without antialiasing, with half-pixel centres: OpenCV's, which
    the official code evaluates with. Of a thin image only the middle is
    resized, so that it takes no more memory than others.

    Args:
        images: uint8 or float32 `[..., height, width, 3]`.
        short_side: pixels, at least `size`.
        size: pixels.

    Returns:
        float32 `[..., size, size, 3]`.
    """
    height, width = images.shape[-3], images.shape[-2]
    is_static = height is not None and width is not None
    if is_static:
        short, long = min(height, width), max(height, width)
    else:
        shape = tf.shape(images)
        height, width = shape[-3], shape[-2]
        short, long = tf.minimum(height, width), tf.maximum(height, width)
    # Integers: floor(side * short_side / short + 1/2) without rounding error.
    new_height = (2 * height * short_side + short) // (2 * short)
    new_width = (2 * width * short_side + short) // (2 * short)
    top = _half(new_height - size)
    left = _half(new_width - size)

    def whole() -> tf.Tensor:
        resized = tf.image.resize(images, [new_height, new_width])
        cropped = resized[..., top : top + size, left : left + size, :]
        return tf.cast(cropped, tf.float32)

    def middle() -> tf.Tensor:
        lower, upper, share = _sources(height, new_height, top, size)
        columns = _sources(width, new_width, left, size)
        first, stop = lower[0], upper[-1] + 1
        band = _interpolated(images[..., first:stop, :, :], columns, -2)
        return _interpolated(band, (lower - first, upper - first, share), -3)

    is_thin = long > THIN * short
    if is_static:
        cropped = middle() if is_thin else whole()
    else:
        cropped = tf.cond(is_thin, middle, whole)
    return tf.ensure_shape(cropped, [*images.shape[:-3], size, size, 3])


def _sources(
    length: tf.Tensor | int,
    new_length: tf.Tensor | int,
    first: tf.Tensor | int,
    size: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What the pixels `first` to `first + size - 1` of a resized line mix.

    As `tf.image.resize` computes it: int32 a pixel of the line, int32 the one
    after it, float32 the share of the latter.
    """
    scale = tf.cast(length, tf.float32) / tf.cast(new_length, tf.float32)
    pixels = tf.cast(tf.range(size) + first, tf.float32)
    places = (pixels + 0.5) * scale - 0.5
    before = tf.floor(places)
    lower = tf.cast(before, tf.int32)
    return (
        tf.clip_by_value(lower, 0, length - 1),
        tf.clip_by_value(lower + 1, 0, length - 1),
        places - before,
    )


def _interpolated(
    images: tf.Tensor,
    sources: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    axis: int,
) -> tf.Tensor:
    """float32 images, resized along one axis."""
    lower, upper, share = sources
    share = tf.reshape(share, [-1] + [1] * (-1 - axis))
    one, other = (
        tf.cast(tf.gather(images, at, axis=axis), tf.float32)
        for at in (lower, upper)
    )
    return one + (other - one) * share


def _half(margin: tf.Tensor | int) -> tf.Tensor | int:
    # To the even neighbour, as torchvision's centre crop does.
    if isinstance(margin, int):
        return round(margin / 2)
    return tf.cast(tf.round(tf.cast(margin, tf.float32) / 2.0), tf.int32)


def evaluation_images(
    images: tf.Tensor, options: PreprocessingOptions
) -> tf.Tensor:
    """What evaluation looks at: resized, cropped, rounded to whole numbers.

    Rounded, so that images that are kept, in a quarter of the memory, are the
    very images that are read anew. Change `EVALUATION_PIXELS` with whatever
    changes what comes out here.

    Args:
        images: uint8 or float32 `[..., height, width, 3]` of 0 to 255.
        options: The size.

    Returns:
        uint8 `[..., image_size, image_size, 3]`.
    """
    cropped = resize_and_center_crop(
        images,
        short_side=options.evaluation_short_side,
        size=options.image_size,
    )
    return tf.cast(tf.round(cropped), tf.uint8)


def imagenet_training_image(
    image: tf.Tensor, draws: tf.Tensor, options: PreprocessingOptions
) -> tf.Tensor:
    """Random resized crop, colour jitter and flip of one image.

    Only the crop of a plain JPEG is decoded.

    Args:
        image: encoded (string scalar) or uint8 `[height, width, 3]`.
        draws: float32 `[IMAGENET_DRAWS]`.
        options: the size and the jitter.

    Returns:
        float32 `[image_size, image_size, 3]`, 0..255.
    """
    crop_draws = draws[:CROP_DRAWS]
    if image.dtype == tf.string:
        plain = is_plain(image)
        cropped = tf.cond(
            plain & tf.io.is_jpeg(image),
            lambda: _crop_jpeg(image, crop_draws),
            lambda: _crop(decode(image, plain), crop_draws),
        )
    else:
        cropped = _crop(image, crop_draws)
    size = options.image_size
    resized = tf.cast(tf.image.resize(cropped, [size, size]), tf.float32)
    if options.color_jitter:
        jitter_draws = draws[CROP_DRAWS : CROP_DRAWS + JITTER_DRAWS]
        resized = color_jitter(resized, jitter_draws, options.color_jitter)
    mirrored = draws[CROP_DRAWS + JITTER_DRAWS] >= 0.5
    output = tf.where(mirrored, resized[:, ::-1], resized)
    return tf.ensure_shape(output, [size, size, 3])


def _crop(image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(image)
    window = crop_window(shape[0], shape[1], draws)
    top, left, height, width = tf.unstack(window)
    cropped = image[top : top + height, left : left + width]
    return tf.ensure_shape(cropped, [None, None, 3])


def _crop_jpeg(encoded: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    shape = tf.io.extract_jpeg_shape(encoded)
    window = crop_window(shape[0], shape[1], draws)
    return tf.io.decode_and_crop_jpeg(encoded, window, channels=3)


def augment_batch(
    images: tf.Tensor, draws: tf.Tensor, options: PreprocessingOptions
) -> tf.Tensor:
    """What "cifar", "shift" and "none" do, to a whole batch.

    Args:
        images: uint8 or float32 `[batch, height, width, 3]`.
        draws: float32 `[batch, >= 3]`.
        options: says which.

    Returns:
        float32 `[batch, image_size, image_size, 3]`.
    """
    size = options.image_size
    if tuple(images.shape[1:3]) != (size, size):
        images = resize_and_center_crop(images, short_side=size, size=size)
    if options.augmentation == "none":
        return tf.cast(images, tf.float32)
    if options.augmentation == "cifar":
        return shift_and_flip(images, draws, pad=_CIFAR_PAD, flip=True)
    return shift_and_flip(images, draws, pad=_SHIFT_PAD, flip=False)
