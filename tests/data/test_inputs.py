"""What jobs are given as images."""

import pickle

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data.inputs import images_of
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.sources import DataSource, folder, tfds
from spos_tf.errors import UserError

SIZE = 8
AS_THEY_ARE = PreprocessingOptions(image_size=SIZE, augmentation="none")


@pytest.fixture(scope="module")
def arrays():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (23, 9, 12, 3), np.uint8)
    return images, random.integers(0, 3, 23)


def given(value, classes=3, **further):
    return images_of(value, argument="train", num_classes=classes, **further)


def batches(images, *, start=0, steps=9, size=5, share=(0, 1)):
    data = images.training(AS_THEY_ARE)
    with data.errors():
        return list(
            data.batches(
                batch_size=size,
                start_step=start,
                num_steps=steps,
                seed=1,
                share=share,
            ).as_numpy_iterator()
        )


def in_batches(arrays, *, shuffled=None):
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    if shuffled is not None:
        dataset = dataset.shuffle(len(arrays[0]), seed=shuffled)
    return dataset.batch(4)


# Arrays


def test_whole_floats_are_the_same_images_as_integers(arrays):
    images, labels = arrays
    ours = given((images, labels))
    same = given((images.astype(np.float32), labels[:, None]))
    assert same.split.items.dtype == np.uint8
    assert same.fingerprint() == ours.fingerprint()
    other = given((images[::-1].copy(), labels))
    assert other.fingerprint() != ours.fingerprint()


def test_other_floats_are_kept_as_they_are(arrays):
    images = arrays[0].astype(np.float32) / 2
    found = given((images, arrays[1]))
    np.testing.assert_array_equal(found.split.items, images)
    assert batches(found, steps=2)[0][0].shape == (5, SIZE, SIZE, 3)


def test_images_are_kept_back_by_class(arrays):
    left, held = given(arrays).hold_out(2)
    assert np.bincount(held.split.labels).tolist() == [2, 2, 2]
    assert len(left.split) == 17
    assert len(left.subset(AS_THEY_ARE, 5, 0)) == 5
    assert len(left.subset(AS_THEY_ARE, 500, 0)) == 17


BAD_ARRAYS = {
    "of 0 to 1": (lambda x, y: (x / 255, y), "Multiply them by 255"),
    "beyond 255": (lambda x, y: (x * np.float32(2), y), "0 to 255; got 0 to"),
    "not finite": (lambda x, y: (x * np.float32(np.nan), y), "finite"),
    "gray": (lambda x, y: (x[..., 0], y), "numpy.repeat"),
    "integers": (lambda x, y: (x.astype(np.int64), y), "astype('uint8')"),
    "labels of floats": (lambda x, y: (x, y / 1), "23 integers"),
    "fewer labels": (lambda x, y: (x, y[:5]), "[5]"),
    "labels too large": (lambda x, y: (x, y + 1), "in [0, 3)"),
    "labels below 0": (lambda x, y: (x, y - 1), "in [0, 3)"),
    "no labels": (lambda x, y: (x,), "got tuple"),
    "nothing of this kind": (lambda x, y: 5, "got int"),
}


@pytest.mark.parametrize(
    ("change", "expected"), BAD_ARRAYS.values(), ids=BAD_ARRAYS
)
def test_bad_arrays_are_one_line(arrays, change, expected):
    with pytest.raises(UserError) as refused:
        given(change(*arrays))
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_class_names_are_as_many_as_classes(arrays):
    assert given(arrays, class_names="abc").class_names == ("a", "b", "c")
    with pytest.raises(UserError, match="3 classes; got 2"):
        given(arrays, class_names="ab")


# Data sets


def test_a_data_set_is_a_value():
    source = folder("photos", test_fraction=0.2)
    assert pickle.loads(pickle.dumps(source)) == source
    assert DataSource.of(source.options) == source
    assert tfds("cifar10", data_dir="d").options.data_dir == "d"


def test_a_data_set_gives_the_part_that_is_asked_for():
    found = given(tfds("digits"), 10)
    test = images_of(tfds("digits"), argument="test", num_classes=10)
    assert (len(found.split), len(test.split)) == (1437, 360)
    assert found.class_names == tuple("0123456789")
    with pytest.raises(UserError, match="num_classes=10"):
        given(tfds("digits"))


def test_a_folder_that_moved_is_the_same(tmp_path, arrays):
    def write(place, count):
        for label in "ab":
            (place / label).mkdir(parents=True)
            for number in range(count):
                encoded = tf.io.encode_png(arrays[0][number]).numpy()
                (place / label / f"{number}.png").write_bytes(encoded)
        return given(folder(place, test_fraction=0.4), 2).fingerprint()

    here = write(tmp_path / "here", 6)
    assert write(tmp_path / "there" / "deeper", 6) == here
    assert write(tmp_path / "more", 7) != here


# tf.data


def test_how_many_images_there_are(arrays):
    assert given(arrays).count == 23
    # Up to a last batch that is not full.
    assert given(in_batches(arrays)).count == 24
    assert given(in_batches(arrays).repeat()).count is None
    unknown = in_batches(arrays).filter(lambda images, labels: True)
    assert given(unknown).count is None


@pytest.mark.parametrize("form", ["integers", "one-hot", "binary"])
def test_labels_of_a_dataset(arrays, form):
    images, labels = arrays
    classes = 3
    if form == "binary":
        labels, classes = labels % 2, 2
    dataset = in_batches((images, labels))
    if form == "one-hot":
        dataset = dataset.map(lambda x, y: (x, tf.one_hot(y, 3)))
    if form == "binary":
        dataset = dataset.map(lambda x, y: (x, tf.cast(y, tf.float32)[:, None]))
    read = np.concatenate([y for _, y in batches(given(dataset, classes))])
    assert read.dtype == np.int32
    # Pass after pass, whatever the size of the batches was.
    np.testing.assert_array_equal(read, np.resize(labels, 45))


def test_a_dataset_is_resized_as_for_evaluation(arrays):
    dataset = given(in_batches(arrays))
    split = dataset.everything(AS_THEY_ARE)
    assert split.items.shape == (23, SIZE, SIZE, 3)
    # Read once: not a second time for the same images.
    assert dataset.everything(AS_THEY_ARE) is split
    first = batches(dataset, steps=1, size=23)[0][0]
    found = {image.tobytes() for image in np.rint(first).astype(np.uint8)}
    assert found == {image.tobytes() for image in split.items}


def test_a_resumed_run_skips(arrays):
    dataset = given(in_batches(arrays))
    whole = batches(dataset)
    later = batches(dataset, start=6)
    assert len(whole) == 9
    assert len(later) == 3
    for one, other in zip(whole[6:], later, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_workers_share_a_batch(arrays):
    dataset = given(in_batches(arrays))
    whole = batches(dataset, size=6)
    parts = [batches(dataset, size=6, share=(i, 2)) for i in range(2)]
    for step, (images, _) in enumerate(whole):
        both = np.concatenate([part[step][0] for part in parts])
        np.testing.assert_array_equal(both, images)


def test_kept_images_do_not_depend_on_how_they_were_shuffled(arrays):
    one, other = (given(in_batches(arrays, shuffled=seed)) for seed in (1, 2))
    pairs = [
        (one.everything(AS_THEY_ARE), other.everything(AS_THEY_ARE)),
        # More than there are: a search is resumed with the same images.
        (one.subset(AS_THEY_ARE, 99, 0), other.subset(AS_THEY_ARE, 99, 0)),
    ]
    for first, second in pairs:
        np.testing.assert_array_equal(first.items, second.items)
        np.testing.assert_array_equal(first.labels, second.labels)
    # Batches that recalibrate have images of all classes.
    assert len({*pairs[1][0].labels[:8].tolist()}) > 1


def test_an_endless_dataset_ends_at_the_steps(arrays):
    dataset = given(in_batches(arrays).repeat())
    assert len(batches(dataset)) == 9
    assert len(dataset.subset(AS_THEY_ARE, 100, 0)) == 100
    with pytest.raises(UserError, match="has no end"):
        dataset.everything(AS_THEY_ARE)


def test_images_of_several_sizes_go_together():
    def images():
        random = np.random.default_rng(0)
        for side in range(6):
            yield random.uniform(0, 255, (3, 8 + side, 10, 3)), [0, 1, 2]

    dataset = tf.data.Dataset.from_generator(
        images,
        output_signature=(
            tf.TensorSpec((None, None, None, 3), tf.float32),
            tf.TensorSpec((None,), tf.int64),
        ),
    )
    found = batches(given(dataset))
    assert [images.shape for images, _ in found] == [(5, SIZE, SIZE, 3)] * 9


def test_nothing_is_kept_back_from_a_dataset(arrays):
    with pytest.raises(UserError, match="validation_split=0.2"):
        given(in_batches(arrays)).hold_out(1)


BAD_DATASETS = {
    "empty": (lambda x, y: (x, y), 0, "is empty"),
    "labels too large": (lambda x, y: (x, y + 1), 9, "classes in [0, 3)"),
    "of 0 to 1": (
        lambda x, y: (tf.cast(x, tf.float32) / 255, y),
        9,
        "Leave rescaling out",
    ),
    "beyond 255": (
        lambda x, y: (tf.cast(x, tf.float32) * 2, y),
        9,
        "finite numbers of 0 to 255",
    ),
    "other classes": (
        lambda x, y: (x, tf.one_hot(y, 4)),
        9,
        "got 4 values an image",
    ),
    "mixed labels": (
        lambda x, y: (x, 0.9 * tf.one_hot(y, 3) + 0.03),
        9,
        "some are mixed",
    ),
    "no batches": (lambda x, y: (x[0], y[0]), 9, "gives batches"),
    "three things": (lambda x, y: (x, y, y), 9, "gives batches"),
}


@pytest.mark.parametrize(
    ("change", "count", "expected"), BAD_DATASETS.values(), ids=BAD_DATASETS
)
def test_bad_datasets_are_one_line(arrays, change, count, expected):
    dataset = in_batches(arrays).map(change).take(count)
    with pytest.raises(UserError) as refused:
        batches(given(dataset))
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_of_a_dataset_are_as_many_as_classes(arrays):
    dataset = in_batches(arrays)
    dataset.class_names = ["a", "b"]
    with pytest.raises(UserError, match="num_classes=2"):
        given(dataset)
