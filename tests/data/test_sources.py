import numpy as np
import pytest

from spos_tf.data.examples import Source, Split, as_objects
from spos_tf.data.pipeline import evaluation_arrays
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.sources import load_source
from spos_tf.errors import UserError


def test_digits_are_split_by_class_and_scaled_to_bytes():
    source = load_source("digits")
    assert (len(source.train), len(source.test)) == (1437, 360)
    assert source.num_classes == len(source.class_names) == 10
    assert source.train.items.shape == (1437, 8, 8, 3)
    assert source.train.items.dtype == np.uint8
    assert source.train.items.max() == 255
    counts = np.bincount(source.test.labels)
    assert counts.min() >= 35 and counts.max() <= 37
    again = load_source("digits")
    np.testing.assert_array_equal(source.test.items, again.test.items)


def test_folder_with_train_and_test(class_folder, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    class_folder.rename(root / "train")
    (root / "test" / "wolf").mkdir(parents=True)
    file = root / "train" / "wolf" / "00.PNG"
    file.rename(root / "test" / "wolf" / "00.PNG")
    source = load_source(f"folder:{root}")
    assert source.class_names == ("Bee", "ant", "wolf")
    assert (len(source.train), len(source.test)) == (59, 1)
    assert source.train.kind == "files"
    assert source.test.labels.tolist() == [2]
    options = PreprocessingOptions(image_size=4, augmentation="none")
    images, labels = evaluation_arrays(source.train, options)
    np.testing.assert_array_equal(labels, [0] * 20 + [1] * 20 + [2] * 19)
    np.testing.assert_array_equal(
        images[:, 0, 0, 0], [*range(40, 60), *range(20, 40), *range(1, 20)]
    )


def test_folder_split_by_hash_is_stable(class_folder):
    name = f"folder:{class_folder}"
    source = load_source(name, test_fraction=0.3)
    train, test = (
        {file.decode().removeprefix(f"{class_folder}/") for file in part.items}
        for part in (source.train, source.test)
    )
    assert not train & test
    assert len(train | test) == 60
    assert 8 <= len(test) <= 28
    # An image moves from train to test with the fraction, never back.
    larger = load_source(name, test_fraction=0.6)
    assert set(source.test.items) <= set(larger.test.items)
    (class_folder / "ant" / "00.PNG").unlink()
    fewer = load_source(name, test_fraction=0.3)
    assert set(fewer.test.items) <= set(source.test.items)
    assert set(fewer.train.items) <= set(source.train.items)


def test_folder_errors_say_what_is_wrong(class_folder, tmp_path):
    def refused(path, match, **arguments):
        with pytest.raises(UserError, match=match) as caught:
            load_source(f"folder:{path}", **arguments)
        assert "\n" not in str(caught.value)

    refused(tmp_path / "no", "missing")
    refused(class_folder, "test_fraction above 0")
    refused(class_folder / "ant", "a folder for every class")
    empty = tmp_path / "empty"
    (empty / "a").mkdir(parents=True)
    refused(empty, "hold no such file", test_fraction=0.5)
    (class_folder / "cat").mkdir()
    refused(class_folder, "'cat' of .* has none", test_fraction=0.2)
    (class_folder / "cat").rmdir()
    refused(class_folder, "none in 'test'", test_fraction=1e-9)

    root = tmp_path / "data"
    root.mkdir()
    class_folder.rename(root / "train")
    refused(root, "needs 'test' beside")
    (root / "test" / "cow").mkdir(parents=True)
    refused(root, "'cow' is in")
    refused(root, "has a train and a test folder", test_fraction=0.2)
    (root / "test" / "cow").rename(root / "test" / "ant")
    refused(root, "none in 'test'")


def test_test_fraction_is_checked():
    with pytest.raises(UserError, match=r"in \[0, 1\); got 1.5"):
        load_source("folder:x", test_fraction=1.5)
    with pytest.raises(UserError, match="for 'folder:PATH' alone"):
        load_source("digits", test_fraction=0.5)


def test_wrong_labels_and_images_are_refused():
    items = np.zeros((3, 2, 2, 3), np.uint8)
    good = Split(items, np.zeros(3, np.int32), "pixels", "train")
    bad = Split(items, np.array([0, 5, 9], np.int32), "pixels", "test")
    with pytest.raises(UserError, match=r"\[0, 2\); image 1 has 5"):
        Source("x", 2, ("a", "b"), good, bad)
    with pytest.raises(UserError, match="has none in 'test'"):
        Source("x", 2, ("a", "b"), good, bad.select(np.zeros(0, int)))
    with pytest.raises(UserError, match=r"uint8 .* got float64"):
        Split(np.zeros((3, 2, 2, 3)), good.labels, "pixels")
    with pytest.raises(UserError, match="finite numbers"):
        Split(np.full((3, 2, 2, 3), np.nan, np.float32), good.labels, "pixels")
    with pytest.raises(UserError, match="one label an image"):
        Split(items[:2], good.labels, "pixels")
    with pytest.raises(UserError, match="Labels are int32; got int64"):
        Split(items, np.zeros(3, np.int64), "pixels")
    with pytest.raises(UserError, match="bytes objects"):
        Split(np.array([b"a", b"b"]), np.zeros(2, np.int32), "encoded")


def test_objects_keep_trailing_zeros():
    assert as_objects([b"a\0"])[0] == b"a\0"
