import os
import shutil

import numpy as np
import pytest

from spos_tf.data.examples import Source, Split, as_objects
from spos_tf.data.pictures import ENDINGS
from spos_tf.data.pipeline import evaluation_arrays
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.sources import DataSource
from spos_tf.data.splits import fingerprint, input_fingerprint
from spos_tf.errors import UserError


def test_digits_are_split_by_class_and_scaled_to_bytes():
    source = DataSource("digits").load()
    assert (len(source.train), len(source.test)) == (1437, 360)
    assert source.num_classes == len(source.class_names) == 10
    assert source.train.items.shape == (1437, 8, 8, 3)
    assert source.train.items.dtype == np.uint8
    assert source.train.items.max() == 255
    counts = np.bincount(source.test.labels)
    assert counts.min() >= 35 and counts.max() <= 37
    again = DataSource("digits").load()
    np.testing.assert_array_equal(source.test.items, again.test.items)


def test_folder_with_train_and_test(class_folder, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    class_folder.rename(root / "train")
    (root / "test" / "wolf").mkdir(parents=True)
    file = root / "train" / "wolf" / "00.PNG"
    file.rename(root / "test" / "wolf" / "00.PNG")
    source = DataSource(f"folder:{root}").load()
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
    source = DataSource(name, test_fraction=0.3).load()
    train, test = (
        {file.decode().removeprefix(f"{class_folder}/") for file in part.items}
        for part in (source.train, source.test)
    )
    assert not train & test
    assert len(train | test) == 60
    assert 8 <= len(test) <= 28
    # An image moves from train to test with the fraction, never back.
    larger = DataSource(name, test_fraction=0.6).load()
    assert set(source.test.items) <= set(larger.test.items)
    (class_folder / "ant" / "00.PNG").unlink()
    fewer = DataSource(name, test_fraction=0.3).load()
    assert set(fewer.test.items) <= set(source.test.items)
    assert set(fewer.train.items) <= set(source.train.items)


def test_folder_errors_say_what_is_wrong(class_folder, tmp_path):
    def refused(path, match, **arguments):
        with pytest.raises(UserError, match=match) as caught:
            DataSource(f"folder:{path}", **arguments).load()
        assert "\n" not in str(caught.value)

    refused(tmp_path / "no", "missing")
    refused(class_folder, "Give for example `test_fraction=0.2`")
    refused(class_folder / "ant", "a folder for every class")
    empty = tmp_path / "empty"
    (empty / "a").mkdir(parents=True)
    refused(empty, "these have none: 'a'", test_fraction=0.5)
    (class_folder / "cat").mkdir()
    refused(class_folder, "these have none: 'cat'. ", test_fraction=0.2)
    (class_folder / "cat").rmdir()
    refused(class_folder, "none in 'test'", test_fraction=1e-9)

    root = tmp_path / "data"
    root.mkdir()
    class_folder.rename(root / "train")
    refused(root, "has no folder 'test' or 'validation' or 'val' beside")
    (root / "test" / "cow").mkdir(parents=True)
    refused(root, "'cow' is in")
    refused(root, "has the folder 'test'", test_fraction=0.2)
    (root / "test" / "cow").rename(root / "test" / "ant")
    refused(root, "none in 'test'")


def test_test_fraction_is_checked():
    with pytest.raises(UserError, match=r"in \[0, 1\); got 1.5"):
        DataSource("folder:x", test_fraction=1.5).load()
    with pytest.raises(UserError, match="'digits' has a fixed test split"):
        DataSource("digits", test_fraction=0.5).load()
    with pytest.raises(UserError, match="without a test split; got 0.5"):
        DataSource("folder:x", test_fraction=0.5, test_split="val").load()


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


def names_of(split, root):
    return [os.fsdecode(file).removeprefix(f"{root}/") for file in split.items]


def copy_image(class_folder, name):
    target = class_folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(class_folder / "Bee" / "00.PNG", target)


def test_folders_in_the_folder_of_a_class_are_looked_into(class_folder):
    before = DataSource(f"folder:{class_folder}", test_fraction=0.3).load()
    for name in ("ant/2023/a.png", "ant/2023/x/b.JPG", "cat/2024/c.png"):
        copy_image(class_folder, name)
    copy_image(class_folder, "ant/.thumbs/d.png")
    # A link back would never end.
    (class_folder / "ant" / "2023" / "up").symlink_to(class_folder / "ant")
    source = DataSource(f"folder:{class_folder}", test_fraction=0.01).load()
    assert source.class_names == ("Bee", "ant", "cat", "wolf")
    found = {
        *names_of(source.train, class_folder),
        *names_of(source.test, class_folder),
    }
    assert len(found) == 63
    assert {"ant/2023/a.png", "ant/2023/x/b.JPG", "cat/2024/c.png"} <= found
    # The order of what was there stays.
    again = DataSource(f"folder:{class_folder}", test_fraction=0.3).load()
    old = [
        name
        for name in names_of(again.train, class_folder)
        if name.count("/") == 1
    ]
    assert old == names_of(before.train, class_folder)


def test_what_is_left_out_is_counted_by_its_ending(class_folder):
    for name in ("ant/a.heic", "wolf/b.HEIC", "wolf/raw", "stray.png"):
        copy_image(class_folder, name)
    (note,) = (
        DataSource(f"folder:{class_folder}", test_fraction=0.3).load().notes
    )
    assert ": 3 .txt, 2 .heic, 1 without an ending, 1 images in no" in note
    assert ", ".join(ENDINGS) in note
    # A class without images says what it has instead, all at once.
    copy_image(class_folder, "cat/a.heic")
    copy_image(class_folder, "dog/2023/a.cr2")
    with pytest.raises(UserError) as caught:
        DataSource(f"folder:{class_folder}", test_fraction=0.3).load()
    assert "'cat' (it holds 1 .heic), 'dog' (it holds 1 .cr2)" in str(
        caught.value
    )


def test_every_ending_of_the_table_is_read(class_folder):
    for ending in ENDINGS:
        copy_image(class_folder, f"ant/x{ending}")
        copy_image(class_folder, f"ant/y{ending.upper()}")
    source = DataSource(f"folder:{class_folder}", test_fraction=0.3).load()
    assert len(source.train) + len(source.test) == 60 + 2 * len(ENDINGS)
    assert {".jfif", ".webp", ".tif", ".tiff"} < set(ENDINGS)


def test_a_class_without_test_images_is_said(class_folder, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    class_folder.rename(root / "train")
    for name in ("wolf/a.png", "ant/a.heic"):
        target = root / "test" / name
        target.parent.mkdir(parents=True)
        shutil.copy(root / "train" / "ant" / "00.PNG", target)
    (root / "unlabelled").mkdir()
    left, unread, missing = DataSource(f"folder:{root}").load().notes
    assert "3 .txt, 1 .heic" in left
    assert "left out: 'unlabelled'" in unread
    assert "'ant' (it holds 1 .heic), 'Bee'" in missing


@pytest.mark.parametrize("name", ["test", "validation", "val"])
def test_other_names_of_the_test_folder(class_folder, tmp_path, name):
    root = tmp_path / "data"
    (root / name).mkdir(parents=True)
    (class_folder / "wolf").rename(root / name / "wolf")
    shutil.copytree(root / name / "wolf", class_folder / "wolf")
    class_folder.rename(root / "train")
    assert len(DataSource(f"folder:{root}").load().test) == 20
    # Named, any folder will do.
    (root / name).rename(root / "fold2")
    (root / "train").rename(root / "fold1")
    source = DataSource(
        f"folder:{root}", train_split="fold1", test_split="fold2"
    ).load()
    assert (len(source.train), len(source.test)) == (60, 20)
    with pytest.raises(UserError, match="fold3' is missing"):
        DataSource(f"folder:{root}", train_split="fold3").load()


def test_a_train_folder_alone_is_split_by_the_fraction(class_folder, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    alone = DataSource(f"folder:{class_folder}", test_fraction=0.3).load()
    expected = names_of(alone.test, class_folder)
    class_folder.rename(root / "train")
    source = DataSource(f"folder:{root}", test_fraction=0.3).load()
    assert names_of(source.test, root / "train") == expected


def test_names_that_are_no_utf_8(class_folder):
    odd = os.fsencode(class_folder) + b"/ant/caf\xe9.png"
    shutil.copy(class_folder / "ant" / "00.PNG", odd)
    source = DataSource(f"folder:{class_folder}", test_fraction=0.3).load()
    assert odd in {*source.train.items, *source.test.items}
    options = PreprocessingOptions(image_size=4, augmentation="none")
    for split in (source.train, source.test):
        evaluation_arrays(split, options)
        fingerprint(split), input_fingerprint(split)
    # Names of classes go into files that are text.
    os.rename(class_folder / "ant", os.fsencode(class_folder) + b"/caf\xe9")
    with pytest.raises(UserError, match=r"'caf\\xe9' in .* is not") as caught:
        DataSource(f"folder:{class_folder}", test_fraction=0.3).load()
    assert str(caught.value).isprintable()
    with pytest.raises(UserError, match=r"`dataset` is text in UTF-8"):
        DataSource("folder:caf\udce9").load()


@pytest.mark.parametrize(
    "arguments",
    [
        {"dataset": "folder:gs://bucket/photos"},
        {"dataset": "folder:s3://bucket"},
        {"dataset": "cifar10", "data_dir": "gs://tfds-data/datasets"},
    ],
)
def test_addresses_are_no_folders(arguments):
    with pytest.raises(UserError, match="is a path of this machine; got"):
        DataSource(**arguments).load()


def test_names_that_mean_something_to_programs(class_folder, tmp_path):
    special = "a [b]{c}*?#%s\\'\"$x_ ünï"
    (class_folder / "ant").rename(class_folder / special)
    copy = class_folder / special / f"{special}.png"
    shutil.copy(class_folder / special / "00.PNG", copy)
    root = tmp_path / special
    class_folder.rename(root)
    source = DataSource(f"folder:{root}", test_fraction=0.3).load()
    assert special in source.class_names
    assert len(source.train) + len(source.test) == 61
    options = PreprocessingOptions(image_size=4, augmentation="none")
    for split in (source.train, source.test):
        images, _ = evaluation_arrays(split, options)
        assert len(images) == len(split)
