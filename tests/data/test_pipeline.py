import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data.examples import Split
from spos_tf.data.pipeline import (
    evaluation_arrays,
    evaluation_batches,
    training_batches,
)
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.reading import bad_heads, reading_errors
from spos_tf.errors import UserError

NONE = PreprocessingOptions(image_size=8, augmentation="none")
IMAGENET = PreprocessingOptions(image_size=16, augmentation="imagenet")


def batches(split, options, batch_size, start, stop, seed=1):
    dataset = training_batches(
        split,
        options,
        batch_size=batch_size,
        start_step=start,
        num_steps=stop,
        seed=seed,
    )
    assert dataset.cardinality() == stop - start
    return list(dataset.as_numpy_iterator())


@pytest.fixture(params=["pixels", "encoded", "files", "stream"])
def any_split(request, pixel_split, encoded_split, file_split, stream_split):
    return {
        "pixels": pixel_split,
        "encoded": encoded_split,
        "files": file_split,
        "stream": stream_split,
    }[request.param]


@pytest.mark.parametrize(
    ("any_split", "augmentation"),
    [
        ("pixels", "cifar"),
        ("pixels", "imagenet"),
        ("encoded", "cifar"),
        ("files", "imagenet"),
        ("stream", "imagenet"),
        ("stream", "shift"),
    ],
    indirect=["any_split"],
)
def test_a_start_at_a_step_repeats_the_run(any_split, augmentation):
    options = PreprocessingOptions(
        image_size=8, augmentation=augmentation, shuffle_window=4
    )
    run = batches(any_split, options, 5, 0, 8)
    assert run[0][0].shape == (5, 8, 8, 3)
    assert run[0][0].dtype == np.float32
    assert run[0][1].dtype == np.int32
    again = batches(any_split, options, 5, 5, 8)
    for (images, labels), (images2, labels2) in zip(
        run[5:], again, strict=True
    ):
        np.testing.assert_array_equal(images, images2)
        np.testing.assert_array_equal(labels, labels2)
    (other,) = batches(any_split, options, 5, 0, 1, seed=2)
    assert not np.array_equal(run[0][0], other[0])


def test_the_global_seed_changes_nothing(file_split):
    run = batches(file_split, IMAGENET, 4, 0, 2)
    tf.random.set_seed(99)
    again = batches(file_split, IMAGENET, 4, 0, 2)
    np.testing.assert_array_equal(run[1][0], again[1][0])


def test_augmentation_belongs_to_the_position(pixel_split):
    options = PreprocessingOptions(image_size=8, augmentation="cifar")
    small = batches(pixel_split, options, 5, 0, 8)
    large = batches(pixel_split, options, 20, 0, 2)
    for part in range(2):
        np.testing.assert_array_equal(
            np.concatenate([batch[part] for batch in small]),
            np.concatenate([batch[part] for batch in large]),
        )


def test_every_epoch_visits_every_image_once(pixel_split):
    # 7 does not divide 50: batches straddle epochs.
    run = batches(pixel_split, NONE, 7, 0, 22)
    values = np.concatenate([images[:, 0, 0, 0] for images, _ in run])
    epochs = values[:150].reshape(3, 50)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(1, 51))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])
    labels = np.concatenate([labels for _, labels in run])
    np.testing.assert_array_equal(labels, (values - 1) % 5)


@pytest.mark.parametrize("window", [1, 5, 100])
def test_every_epoch_of_a_stream_visits_every_record_once(stream_split, window):
    options = dataclasses.replace(NONE, shuffle_window=window)
    run = batches(stream_split, options, 9, 0, 8)
    labels = np.concatenate([labels for _, labels in run]).reshape(6, 12)
    for epoch in labels:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(12))
    orders = {tuple(epoch) for epoch in labels}
    assert len(orders) == 1 if window == 1 else len(orders) > 3
    # Labels are the records of these images.
    plain, order = evaluation_arrays(stream_split, options)
    np.testing.assert_array_equal(order, np.arange(12))
    for images, some in run:
        # Evaluation rounds what it resized.
        np.testing.assert_array_equal(np.rint(images), plain[some])


def test_a_stream_with_gaps_gives_its_own_records_only(stream_split):
    some = stream_split.select(np.array([9, 1, 2, 7]))
    assert some.positions.tolist() == [1, 2, 7, 9]
    _, labels = evaluation_arrays(some, NONE)
    assert labels.tolist() == [1, 2, 7, 9]
    assert [int(label) for _, label in some.records(2)] == [7, 9]
    run = batches(some, NONE, 2, 0, 4)
    for epoch in (run[:2], run[2:]):
        seen = np.concatenate([labels for _, labels in epoch])
        assert sorted(seen) == [1, 2, 7, 9]


def test_a_split_smaller_than_a_batch_wraps(pixel_split, encoded_split):
    three = pixel_split.select(np.arange(3))
    ((images, labels),) = batches(three, NONE, 30, 0, 1)
    assert images.shape == (30, 8, 8, 3)
    np.testing.assert_array_equal(np.bincount(labels), [10] * 3)
    one = encoded_split.select(np.arange(1))
    ((images, _),) = batches(one, IMAGENET, 4, 0, 1)
    assert images.shape == (4, 16, 16, 3)


def test_evaluation_keeps_the_order_and_the_last_images(any_split):
    dataset = evaluation_batches(any_split, NONE, batch_size=8)
    parts = list(dataset.as_numpy_iterator())
    assert len(parts) == len(dataset)
    for (images, labels), again in zip(parts, dataset, strict=True):
        np.testing.assert_array_equal(images, again[0])
        np.testing.assert_array_equal(labels, again[1])
    assert [len(labels) for _, labels in parts[:-1]] == [8] * (len(parts) - 1)
    images = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    assert len(labels) == len(any_split)
    if isinstance(any_split, Split):
        np.testing.assert_array_equal(labels, any_split.labels)
    arrays = evaluation_arrays(any_split, NONE)
    np.testing.assert_array_equal(images, arrays[0])
    np.testing.assert_array_equal(labels, arrays[1])
    assert arrays[0].dtype == np.float32
    assert arrays[1].dtype == np.int32


def test_kinds_of_the_same_images_agree(
    encoded_split, file_split, stream_split
):
    expected = evaluation_arrays(encoded_split, IMAGENET)[0]
    for split in (file_split, stream_split):
        np.testing.assert_array_equal(
            evaluation_arrays(split, IMAGENET)[0], expected
        )
    np.testing.assert_array_equal(
        batches(encoded_split, IMAGENET, 4, 3, 5)[1][0],
        batches(file_split, IMAGENET, 4, 3, 5)[1][0],
    )


def test_pixels_of_another_size_are_resized(pixel_split):
    options = PreprocessingOptions(image_size=10, augmentation="shift")
    assert batches(pixel_split, options, 4, 0, 1)[0][0].shape[1:3] == (10, 10)
    assert evaluation_arrays(pixel_split, options)[0].shape[1:3] == (10, 10)
    assert batches(pixel_split, IMAGENET, 4, 0, 1)[0][0].shape[1] == 16


def test_wrong_numbers_are_refused(pixel_split, stream_split):
    for split in (pixel_split, stream_split):
        empty = split.select(np.zeros(0, np.int64), "search")
        with pytest.raises(UserError, match="'search' is empty"):
            evaluation_batches(empty, NONE, batch_size=4)
        with pytest.raises(UserError, match="'search' is empty"):
            evaluation_arrays(empty, NONE)
        with pytest.raises(UserError, match="'search' is empty"):
            batches(empty, NONE, 4, 0, 1)
    with pytest.raises(UserError, match="`batch_size` is at least 1; got 0"):
        evaluation_batches(pixel_split, NONE, batch_size=0)
    with pytest.raises(UserError, match="got 3 of 2 steps"):
        batches(pixel_split, NONE, 4, 3, 2)
    assert batches(pixel_split, NONE, 4, 2, 2) == []


def test_an_undecodable_file_is_named(file_split, tmp_path):
    data = tf.io.read_file(file_split.items[3]).numpy()
    for content in (b"", b"not an image", data[: len(data) // 2]):
        path = tmp_path / "broken.jpg"
        path.write_bytes(content)
        items = file_split.items.copy()
        items[7] = str(path).encode()
        broken = Split(items, file_split.labels, "files", "train")
        message = r"1 cannot be decoded: '.*broken\.jpg' \("
        with pytest.raises(UserError, match=message):
            evaluation_arrays(broken, NONE)
        with pytest.raises(UserError, match=message), reading_errors(broken):
            batches(broken, IMAGENET, 4, 0, 4)


@pytest.mark.parametrize("name", ["train", "search", "test", "recalibration"])
def test_evaluation_of_a_damaged_image_of_any_split(
    pixel_split, encoded_split, name
):
    """However it is iterated, and inside the errors of another split."""
    items = encoded_split.items.copy()
    items[9] = b"x"
    broken = Split(items, encoded_split.labels, "encoded", name)
    dataset = evaluation_batches(broken, NONE, batch_size=4)
    message = f"1 cannot be decoded: image 9 of split '{name}'"
    for read in (list, lambda d: list(d.as_numpy_iterator()), list):
        with (
            pytest.raises(UserError, match=message),
            reading_errors(pixel_split),
        ):
            read(dataset)
    good = iter(dataset)
    assert next(good)[0].shape == (4, 8, 8, 3)
    # What the reader does with a batch is none of the data's errors.
    with pytest.raises(tf.errors.InvalidArgumentError):
        for images, _ in dataset:
            tf.reshape(images, [7])


def test_an_undecodable_image_in_memory_is_numbered(encoded_split):
    items = encoded_split.items.copy()
    items[5] = b"x"
    broken = Split(items, encoded_split.labels, "encoded", "train")
    with pytest.raises(
        UserError, match="decoded: image 5 of split 'train' \\("
    ):
        evaluation_arrays(broken, NONE)


def test_an_undecodable_record_of_a_stream_says_which_set(stream_split):
    def open_range(start, stop):
        return stream_split.open_range(start, stop).map(
            lambda encoded, label: (tf.constant(b"x"), label)
        )

    broken = dataclasses.replace(stream_split, open_range=open_range)
    with pytest.raises(UserError, match="Records of 'photos/train'"):
        evaluation_arrays(broken, NONE)


def test_other_errors_pass_through(encoded_split, stream_split):
    for split in (encoded_split, stream_split):
        with (
            pytest.raises(tf.errors.InvalidArgumentError),
            reading_errors(split),
        ):
            tf.ensure_shape(tf.zeros([2]), [2])
            tf.reshape(tf.zeros([2]), [3])


def test_all_broken_images_are_named_at_once(file_split, tmp_path):
    good = tf.io.read_file(file_split.items[3]).numpy()
    contents = {"empty": b"", "page": b"<!DOCTYPE html>", "cut": good[:-600]}
    items = file_split.items.copy()
    for index, (name, content) in enumerate(contents.items()):
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        items[3 * index] = str(path).encode()
    items[10] = str(tmp_path / "gone.jpg").encode()
    broken = Split(items, file_split.labels, "files", "train")
    with pytest.raises(UserError) as caught:
        evaluation_arrays(broken, NONE)
    assert "4 cannot be decoded" in str(caught.value)
    for part in (
        f"'{tmp_path}/empty.jpg' (it is empty)",
        f"'{tmp_path}/page.jpg' (it is no JPEG, PNG, BMP, GIF, WEBP or TIFF)",
        f"'{tmp_path}/cut.jpg' (",
        f"'{tmp_path}/gone.jpg' (",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    # What can be seen without decoding.
    assert [one.place for one in bad_heads(broken)] == [0, 3, 10]
    assert bad_heads(file_split) == []
