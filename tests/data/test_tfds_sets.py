import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from spos_tf.data import tfds_sets
from spos_tf.data.examples import Split, StreamSplit
from spos_tf.data.pipeline import evaluation_arrays, training_batches
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.sources import DataSource
from spos_tf.data.splits import fingerprint, hold_out
from spos_tf.errors import UserError

OPTIONS = PreprocessingOptions(
    image_size=16, augmentation="imagenet", shuffle_window=8
)
PHOTO = (None, None, 3)


@pytest.fixture
def prepare(tmp_path, photos):
    """Prepares a set under `tmp_path`: image i of a split has class i % 3."""

    def prepare(name, splits, shape=PHOTO, **features):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=shape),
                "label": tfds.features.ClassLabel(num_classes=3),
                **features,
            }
        )

        class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return self.dataset_info_from_configs(features=features)

            def _split_generators(self, manager):
                return {
                    split: self._generate_examples(count)
                    for split, count in splits.items()
                }

            def _generate_examples(self, count):
                for index in range(count):
                    image = tf.io.decode_jpeg(photos[index % 12]).numpy()
                    if shape != PHOTO:
                        image = np.full(shape, index, np.uint8)
                    yield index, {"image": image, "label": index % 3}

        Builder.name = name
        # TFDS before 4.9.10 looks for files beside the builder's module, and
        # on Python 3.11 fails where its folder has no __init__.py, as here.
        Builder.__module__ = tfds_sets.__name__
        builder = Builder(data_dir=tmp_path)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=3)
        )
        return builder

    return prepare


def test_photos_stay_encoded_and_gray_becomes_rgb(prepare, tmp_path):
    prepare("photo_set", {"train": 24, "validation": 6})
    source = DataSource("photo_set", data_dir=str(tmp_path)).load()
    assert isinstance(source.train, Split)
    assert (source.train.kind, len(source.train)) == ("encoded", 24)
    assert (source.test.name, len(source.test)) == ("test", 6)
    np.testing.assert_array_equal(np.bincount(source.train.labels), [8] * 3)

    prepare("gray_set", {"train": 12, "test": 3}, shape=(5, 4, 1))
    source = DataSource("gray_set", data_dir=str(tmp_path)).load()
    assert source.train.items.shape == (12, 5, 4, 3)
    np.testing.assert_array_equal(
        source.train.items[:, 0, 0, 2] % 3, source.train.labels
    )


def test_a_large_set_is_streamed(prepare, tmp_path):
    prepare("large_set", {"train": 36, "test": 6})
    folder = str(tmp_path)
    memory = DataSource("large_set", data_dir=folder).load()
    stream = DataSource("large_set", data_dir=folder).load(
        memory_limit_bytes=100
    )
    assert isinstance(stream.train, StreamSplit)
    assert len(stream.train) == 36
    encoded, labels = zip(
        *stream.train.records().as_numpy_iterator(), strict=True
    )
    assert list(encoded) == list(memory.train.items)
    np.testing.assert_array_equal(labels, memory.train.labels)
    # From the middle of a file on, the order is the same.
    rest = [data for data, _ in stream.train.records(17).as_numpy_iterator()]
    assert rest == list(encoded[17:])

    carved, expected = (
        hold_out(one.train, one.class_names, one.name, 4)
        for one in (stream, memory)
    )
    for part, other in zip(carved, expected, strict=True):
        images, labels = evaluation_arrays(part, OPTIONS)
        images2, labels2 = evaluation_arrays(other, OPTIONS)
        np.testing.assert_array_equal(images, images2)
        np.testing.assert_array_equal(labels, labels2)
    train, search = carved
    assert fingerprint(train) != fingerprint(search)

    def steps(start):
        dataset = training_batches(
            train,
            OPTIONS,
            batch_size=5,
            start_step=start,
            num_steps=12,
            seed=0,
        )
        return list(dataset.as_numpy_iterator())

    run = steps(0)
    for one, two in zip(run[7:], steps(7), strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_a_label_out_of_range_is_refused(prepare, tmp_path):
    prepare("bad_set", {"train": 12, "test": 3})
    (file,) = pathlib.Path(tmp_path).glob("bad_set/*/features.json")
    features = json.loads(file.read_text())
    label = features["featuresDict"]["features"]["label"]["classLabel"]
    label["numClasses"] = "2"
    file.write_text(json.dumps(features))
    for names in file.parent.glob("label.labels.txt"):
        names.unlink()
    folder = str(tmp_path)
    with pytest.raises(UserError, match=r"\[0, 2\); image \d+ has 2"):
        DataSource("bad_set", data_dir=folder).load()
    stream = DataSource("bad_set", data_dir=folder).load(memory_limit_bytes=1)
    wrong = r"\(Labels are in \[0, 2\); a record has\] \[2\]"
    with pytest.raises(UserError, match=wrong):
        evaluation_arrays(stream.train, OPTIONS)
    with pytest.raises(UserError, match=wrong):
        hold_out(stream.train, stream.class_names, stream.name, 1)


def test_a_damaged_file_is_refused(prepare, tmp_path):
    prepare("torn_set", {"train": 12, "test": 3})
    (file,) = pathlib.Path(tmp_path).glob("torn_set/*/*-train*-00000-of*")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"cannot be read .*Prepare it again"):
        DataSource("torn_set", data_dir=str(tmp_path)).load()


def test_other_kinds_of_sets_are_refused(prepare, tmp_path):
    folder = str(tmp_path)
    prepare("lonely_set", {"train": 3}, shape=(2, 2, 3))
    with pytest.raises(UserError, match="has only \\['train'\\].*fraction"):
        DataSource("lonely_set", data_dir=folder).load()
    prepare(
        "number_set",
        {"train": 3, "test": 3},
        shape=(2, 2, 3),
        label=tfds.features.Scalar(np.int64),
    )
    with pytest.raises(UserError, match="has \\['image', 'label'\\]"):
        DataSource("number_set", data_dir=folder).load()


def test_alpha_is_dropped_and_two_channels_are_refused(prepare, tmp_path):
    folder = str(tmp_path)
    prepare("alpha_set", {"train": 6, "test": 3}, shape=(5, 4, 4))
    source = DataSource("alpha_set", data_dir=folder).load()
    assert source.train.items.shape == (6, 5, 4, 3)
    np.testing.assert_array_equal(
        source.train.items[:, 0, 0, 2] % 3, source.train.labels
    )
    prepare("pair_set", {"train": 3, "test": 3}, shape=(5, 4, 2))
    with pytest.raises(UserError, match="those of 'pair_set' have 2"):
        DataSource("pair_set", data_dir=folder).load()


def test_a_set_with_one_split_is_split_by_the_fraction(prepare, tmp_path):
    prepare("only_train", {"train": 30}, shape=(2, 2, 3))
    arguments = {"data_dir": str(tmp_path), "test_fraction": 0.2}
    source = DataSource("only_train", **arguments).load()
    np.testing.assert_array_equal(np.bincount(source.train.labels), [8] * 3)
    np.testing.assert_array_equal(np.bincount(source.test.labels), [2] * 3)
    # The value of a pixel tells the image: none is in both.
    train, test = (one.items[:, 0, 0, 0] for one in (source.train, source.test))
    assert sorted([*train, *test]) == list(range(30))
    assert set(test) != set(range(24, 30))
    again = DataSource("only_train", **arguments).load()
    np.testing.assert_array_equal(again.test.items, source.test.items)
    stream = DataSource("only_train", **arguments).load(memory_limit_bytes=1)
    assert (len(stream.train), len(stream.test)) == (24, 6)
    assert not set(stream.train.positions) & set(stream.test.positions)


def test_splits_are_named_and_cut(prepare, tmp_path):
    prepare("cut_set", {"train": 20, "val": 6, "extra": 4}, shape=(2, 2, 3))
    folder = str(tmp_path)
    whole = DataSource("cut_set", data_dir=folder).load()
    assert (len(whole.train), len(whole.test)) == (20, 6)
    everything = DataSource(
        "cut_set",
        data_dir=folder,
        train_split="train[:80%]",
        test_split="train[80%:]+extra[:2]",
    ).load()
    np.testing.assert_array_equal(
        everything.train.items, whole.train.items[:16]
    )
    assert len(everything.test) == 6
    np.testing.assert_array_equal(
        everything.test.items[:4], whole.train.items[16:]
    )
    stream = DataSource(
        "cut_set",
        data_dir=folder,
        train_split="train[:80%]",
        test_split="train[80%:]+extra[:2]",
    ).load(memory_limit_bytes=1)
    options = PreprocessingOptions(image_size=2, augmentation="none")
    for part in ("train", "test"):
        found, expected = (
            evaluation_arrays(getattr(one, part), options)
            for one in (stream, everything)
        )
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    # From a record in the second part on.
    rest = [label for _, label in stream.test.records(5).as_numpy_iterator()]
    assert rest == everything.test.labels[5:].tolist()
    assert stream.test.identity != stream.train.identity


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_split": "trian"}, r"has no 'trian'"),
        ({"train_split": "train[:80"}, r"has no 'train\[:80'"),
        ({"test_split": "train[80%:]"}, "4 images are in both 'train' and"),
        ({"test_split": "val[:0]"}, "'val\\[:0\\]' of .* has none"),
        ({"test_fraction": 0.2}, "'named_set' has the split 'val'"),
        ({"test_fraction": 0.2, "test_split": "val"}, "got 0.2, and `test_s"),
    ],
)
def test_wrong_names_of_splits(prepare, tmp_path, arguments, message):
    prepare("named_set", {"train": 20, "val": 6}, shape=(2, 2, 3))
    with pytest.raises(UserError, match=message) as caught:
        DataSource("named_set", data_dir=str(tmp_path), **arguments).load()
    assert "\n" not in str(caught.value)


def test_unknown_names_say_what_can_be_given(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="Give 'folder:photos'"):
        DataSource("photos").load()
    with pytest.raises(UserError, match="Unknown data set 'cifr10'") as error:
        DataSource("cifr10", data_dir=str(tmp_path)).load()
    assert "such as 'cifar10'" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unprepared_set_says_how_to_prepare_it(tmp_path, monkeypatch):
    def no_network(*arguments):
        raise OSError("no network")

    monkeypatch.setattr(tfds_sets.socket, "getaddrinfo", no_network)
    monkeypatch.setattr(tfds_sets.urllib.request, "getproxies", dict)
    for name in ("cifar10", "imagenet2012"):
        with pytest.raises(UserError, match=f"tfds build {name}") as error:
            DataSource(name, data_dir=str(tmp_path)).load()
        assert "\n" not in str(error.value)


def test_cifar10(shared_dir):
    folder = shared_dir / "data" / "tfds"
    if not (folder / "cifar10").is_dir():
        pytest.skip(f"needs a prepared CIFAR-10 under {folder}")
    source = DataSource("cifar10", data_dir=str(folder)).load()
    assert source.train.items.shape == (50_000, 32, 32, 3)
    assert source.test.items.shape == (10_000, 32, 32, 3)
    assert source.class_names[:2] == ("airplane", "automobile")
    train, search = hold_out(source.train, source.class_names, "cifar10", 200)
    np.testing.assert_array_equal(np.bincount(search.labels), [200] * 10)
    assert len(train) == 48_000
