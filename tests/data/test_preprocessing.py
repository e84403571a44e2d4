import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data.augmentation import (
    CROP_DRAWS,
    color_jitter,
    crop_window,
    shift_and_flip,
)
from spos_tf.data.preprocessing import (
    IMAGENET_DRAWS,
    PreprocessingOptions,
    augment_batch,
    decode,
    default_augmentation,
    evaluation_images,
    imagenet_training_image,
)
from spos_tf.data.randomness import augmentation_uniforms, random_integers
from spos_tf.errors import UserError

IMAGENET = PreprocessingOptions(image_size=32, augmentation="imagenet")


def draws(count, num_draws=4, start=0, seed=5):
    first = tf.constant(start, tf.int64)
    return augmentation_uniforms(seed, first, count, num_draws)


def test_draws_belong_to_positions():
    whole = draws(300, 28).numpy()
    assert whole.shape == (300, 28)
    np.testing.assert_array_equal(whole[117:124], draws(7, 28, start=117))
    assert len(np.unique(whole)) > 0.99 * whole.size
    assert whole.min() >= 0.0 and whole.max() < 1.0
    np.testing.assert_allclose(whole.mean(axis=0), 0.5, atol=0.08)
    correlation = np.corrcoef(whole, rowvar=False) - np.eye(28)
    assert np.abs(correlation).max() < 0.25
    assert not np.array_equal(whole, draws(300, 28, seed=6))
    draws(1, seed=-1), draws(1, seed=2**80)


def test_random_integers_stay_below_the_bound():
    largest = tf.constant([0.0, 1.0 - 2.0**-24])
    assert random_integers(largest, 9).numpy().tolist() == [0, 8]
    bound = 2**23 + 3
    assert random_integers(largest, bound)[1] == bound - 1


def test_shift_and_flip_equals_a_loop(make_photo):
    images = np.stack([make_photo(9, 7, seed) for seed in range(40)])
    values = draws(40).numpy()
    output = shift_and_flip(images, values, pad=4, flip=True).numpy()
    padded = np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)])
    for index in range(40):
        top, left = np.floor(values[index, :2] * 9).astype(int)
        expected = padded[index, top : top + 9, left : left + 7]
        if values[index, 2] >= 0.5:
            expected = expected[:, ::-1]
        np.testing.assert_array_equal(output[index], expected)
    assert output.dtype == np.float32


def test_offsets_and_flips_are_uniform():
    size = 9
    # Every pixel's value is its place, so that the middle tells the offset.
    place = np.arange(size * size, dtype=np.float32).reshape(size, size)
    images = np.repeat(place[None, :, :, None], 3, axis=-1)
    images = np.repeat(images, 2000, axis=0)
    output = shift_and_flip(images, draws(2000), pad=4, flip=False).numpy()
    rows, columns = np.divmod(output[:, 4, 4, 0], size)
    for offsets in (rows, columns):
        share = np.bincount(offsets.astype(int), minlength=9) / 2000
        np.testing.assert_allclose(share, 1 / 9, atol=0.025)
    output = shift_and_flip(images, draws(2000), pad=0, flip=True).numpy()
    flipped = output[:, 0, 0, 0] == 8.0
    assert abs(flipped.mean() - 0.5) < 0.06


@pytest.mark.parametrize(
    ("augmentation", "reach"), [("none", 0), ("shift", 1), ("cifar", 4)]
)
def test_augmentations_move_no_further_than_their_padding(augmentation, reach):
    options = PreprocessingOptions(image_size=12, augmentation=augmentation)
    images = np.zeros((400, 12, 12, 3), np.uint8)
    images[:, 6, 6] = 255
    output = augment_batch(images, draws(400), options).numpy()
    _, rows, columns, _ = np.nonzero(output)
    assert set(rows) == set(range(6 - reach, 6 + reach + 1))
    flips = 1 if augmentation == "cifar" else 0
    assert set(columns) == set(range(6 - reach - flips, 6 + reach + 1))


def test_other_sizes_are_resized_first(make_photo):
    options = PreprocessingOptions(image_size=16, augmentation="cifar")
    images = np.stack([make_photo(8, 8)] * 2)
    assert augment_batch(images, draws(2), options).shape == (2, 16, 16, 3)
    expected = tf.image.resize(images, [16, 16])
    np.testing.assert_array_equal(
        evaluation_images(images, options), np.rint(expected)
    )


def test_evaluation_resizes_the_short_side_then_crops(make_photo):
    image = make_photo(50, 91)
    options = PreprocessingOptions(
        image_size=28, augmentation="imagenet", eval_resize=32
    )
    # 91 * 32 / 50 = 58.24; (58 - 28) / 2 = 15.
    resized = tf.image.resize(image, [32, 58])
    expected = resized[2:30, 15:43]
    static = evaluation_images(image, options)
    assert static.dtype == tf.uint8
    # Rounded; sums in another order may round otherwise.
    np.testing.assert_allclose(static, expected, atol=0.501)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    def dynamic(image):
        output = evaluation_images(image, options)
        assert output.shape == (28, 28, 3)
        return output

    np.testing.assert_allclose(dynamic(image), expected, atol=0.501)
    upright = dynamic(image.transpose(1, 0, 2))
    np.testing.assert_allclose(
        upright, tf.transpose(expected, [1, 0, 2]), atol=0.51
    )


@pytest.mark.parametrize(
    ("height", "width"), [(20, 81), (81, 20), (3, 130), (130, 3), (60, 260)]
)
def test_of_a_thin_image_the_middle_is_resized(make_photo, height, width):
    image = make_photo(height, width)
    options = PreprocessingOptions(image_size=28, augmentation="imagenet")
    options = dataclasses.replace(options, eval_resize=32)
    long = (2 * max(height, width) * 32 // min(height, width) + 1) // 2
    sides = (32, long) if height < width else (long, 32)
    resized = tf.image.resize(image, sides).numpy()
    top, left = (round((side - 28) / 2) for side in sides)
    expected = resized[top : top + 28, left : left + 28]

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    def dynamic(image):
        return evaluation_images(image, options)

    for found in (evaluation_images(image, options), dynamic(image)):
        np.testing.assert_allclose(found, expected, atol=0.51)
    batch = evaluation_images(np.stack([image, image]), options)
    np.testing.assert_allclose(batch[1], expected, atol=0.51)


@pytest.mark.parametrize("shape", [(1, 200_000, 3), (200_000, 1, 3)])
def test_a_thin_image_takes_the_memory_of_the_crop(shape):
    """Resized as a whole it would take 157 GB."""
    image = np.zeros(shape, np.uint8)
    image[shape[0] // 2 :, shape[1] // 2 :] = 255
    options = PreprocessingOptions(image_size=224, augmentation="imagenet")
    found = evaluation_images(tf.constant(image), options).numpy()
    assert found.shape == (224, 224, 3)
    # A pixel becomes 256, of which the crop shows the middle 224.
    assert found.min() < 20 and found.max() > 235
    draw = draws(1, IMAGENET_DRAWS)[0]
    assert imagenet_training_image(tf.constant(image), draw, options).shape == (
        224,
        224,
        3,
    )


@pytest.mark.parametrize("augmentation", ["imagenet", "cifar", "none"])
def test_evaluation_depends_on_the_size_alone(augmentation):
    for size, short_side in ((224, 256), (32, 32), (8, 8)):
        options = PreprocessingOptions(
            image_size=size, augmentation=augmentation
        )
        assert options.evaluation_short_side == short_side


def test_the_default_augmentation_suits_the_size():
    found = [default_augmentation(size) for size in (224, 32, 8)]
    assert found == ["imagenet", "cifar", "shift"]


def torchvision_window(height, width, draws):
    """RandomResizedCrop.get_params, fed with given draws."""
    for area_draw, ratio_draw in zip(draws[:10], draws[10:20], strict=True):
        area = height * width * (0.08 + (1.0 - 0.08) * area_draw)
        low, high = np.log(3 / 4), np.log(4 / 3)
        ratio = np.exp(low + (high - low) * ratio_draw)
        columns = round(np.sqrt(area * ratio))
        rows = round(np.sqrt(area / ratio))
        if 0 < columns <= width and 0 < rows <= height:
            top = int(draws[20] * (height - rows + 1))
            left = int(draws[21] * (width - columns + 1))
            return top, left, rows, columns
    if width / height < 3 / 4:
        rows, columns = round(width / (3 / 4)), width
    elif width / height > 4 / 3:
        rows, columns = height, round(height * 4 / 3)
    else:
        rows, columns = height, width
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def test_crop_windows_are_torchvisions():
    values = draws(300, CROP_DRAWS).numpy()

    @tf.function
    def windows(height, width):
        return tf.map_fn(
            lambda row: crop_window(height, width, row),
            values,
            fn_output_signature=tf.int32,
        )

    for height, width in [(60, 80), (75, 50), (30, 90)]:
        output = windows(tf.constant(height), tf.constant(width)).numpy()
        expected = [
            torchvision_window(height, width, row.astype(np.float64))
            for row in values
        ]
        np.testing.assert_array_equal(output, expected)

    # Nothing fits into a sliver: the centred window of the nearest ratio.
    sliver = windows(tf.constant(4), tf.constant(400)).numpy()
    assert {tuple(window) for window in sliver} == {(0, 197, 4, 5)}
    upright = windows(tf.constant(400), tf.constant(4)).numpy()
    assert {tuple(window) for window in upright} == {(197, 0, 5, 4)}


def test_only_the_crop_of_a_jpeg_is_decoded(photos):
    options = PreprocessingOptions(
        image_size=32, augmentation="imagenet", color_jitter=0.0
    )
    for index, encoded in enumerate(photos):
        values = draws(1, IMAGENET_DRAWS, start=index)[0]
        whole = imagenet_training_image(
            decode(tf.constant(encoded)), values, options
        )
        part = imagenet_training_image(tf.constant(encoded), values, options)
        assert part.shape == (32, 32, 3)
        # Chroma at the border of a crop is upsampled from fewer neighbours.
        assert np.abs(whole - part).mean() < 1.0
        png = tf.io.encode_png(decode(tf.constant(encoded)))
        np.testing.assert_array_equal(
            imagenet_training_image(png, values, options), whole
        )


def test_imagenet_training_flips_half_and_stays_in_range(photos):
    image = decode(tf.constant(photos[0]))
    values = draws(60, IMAGENET_DRAWS).numpy()
    flips = 0
    for row in values:
        output = imagenet_training_image(image, row, IMAGENET).numpy()
        assert output.dtype == np.float32
        assert output.min() >= 0.0 and output.max() <= 255.0
        row = row.copy()
        row[IMAGENET_DRAWS - 1] = 0.0
        plain = imagenet_training_image(image, row, IMAGENET).numpy()
        flips += not np.array_equal(output, plain)
        assert np.array_equal(output, plain) or np.array_equal(
            output, plain[:, ::-1]
        )
    assert 18 <= flips <= 42


def test_color_jitter_is_three_blends(make_photo):
    image = tf.constant(make_photo(16, 16), tf.float32)
    middle = tf.constant([0.0, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(
        color_jitter(image, middle, 0.4), image, atol=1e-3
    )
    # The first order is brightness, contrast, saturation.
    bright = color_jitter(image, tf.constant([0.0, 1.0, 0.5, 0.5]), 0.4)
    np.testing.assert_allclose(
        bright, tf.minimum(image * 1.4, 255.0), atol=1e-3
    )
    gray = color_jitter(image, tf.constant([0.0, 0.5, 0.5, 0.0]), 1.0)
    np.testing.assert_allclose(gray[..., 0], gray[..., 2], atol=1e-3)
    flat = color_jitter(image, tf.constant([0.0, 0.5, 0.0, 0.5]), 1.0)
    assert np.ptp(flat) < 1e-3
    other_order = color_jitter(image, tf.constant([0.9, 0.9, 0.1, 0.2]), 0.4)
    first_order = color_jitter(image, tf.constant([0.0, 0.9, 0.1, 0.2]), 0.4)
    assert not np.allclose(other_order, first_order)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"augmentation": "rotate"}, "Unknown augmentation 'rotate'"),
        ({"image_size": 0}, "`image_size` is at least 1; got 0"),
        ({"color_jitter": 1.5}, r"`color_jitter` is in \[0, 1\]; got 1.5"),
        ({"eval_resize": 31}, r"at least `image_size` \(32\); got 31"),
        ({"shuffle_window": 0}, "shuffle_window is at least 1"),
    ],
)
def test_wrong_options_are_refused(change, message):
    arguments = {"image_size": 32, "augmentation": "imagenet"} | change
    with pytest.raises(UserError, match=message):
        PreprocessingOptions(**arguments)
