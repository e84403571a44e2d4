"""Images that neither a training nor a search sees: which, and how many."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data.examples import Split, StreamSplit
from spos_tf.data.inputs import SplitImages
from spos_tf.data.sources import folder, tfds
from spos_tf.data.splits import confirmation_count
from spos_tf.errors import UserError
from spos_tf.jobs import data as job_data
from spos_tf.jobs.data import search_data, training_data
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.options import ImageOptions
from tiny_blueprint import tiny_blueprint


def _blueprint(classes):
    return tiny_blueprint(
        stage_widths=[12],
        stage_strides=[2],
        stage_repeats=[1],
        num_classes=classes,
    )


def _arrays(per_class, classes=3):
    """The value of the first pixels tells the image."""
    labels = np.repeat(np.arange(classes, dtype=np.int32), per_class)
    rng = np.random.default_rng(0)
    labels = rng.permutation(labels)
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    number = np.arange(len(labels))
    images[:, 0, 0, 0], images[:, 0, 0, 1] = number % 256, number // 256
    return images, labels


def _items(split):
    """What tells the images of a split apart."""
    if isinstance(split, StreamSplit):
        return {*split.positions.tolist()}
    return {
        item if isinstance(item, bytes) else item.tobytes()
        for item in (split.items)
    }


@pytest.fixture
def photos(tmp_path):
    """`{train,test}/<class>/*`, an image each of its own colour."""
    for part, count in (("train", 20), ("test", 3)):
        for label in range(3):
            place = tmp_path / part / f"class{label}"
            place.mkdir(parents=True)
            for i in range(count):
                image = np.full((8, 8, 3), 20 * label + i, np.uint8)
                path = place / f"{i:02d}.png"
                path.write_bytes(tf.io.encode_png(image).numpy())
    return folder(tmp_path)


def _test_items(source):
    return _items(source.load().test)


@pytest.mark.parametrize("kind", ["arrays", "folder", "digits"])
def test_no_image_is_in_two_sets(kind, photos):
    test = set()
    if kind == "arrays":
        train, classes, total = _arrays(100), 3, 300
    elif kind == "folder":
        train, classes, total, test = photos, 3, 60, _test_items(photos)
    else:
        train, classes = tfds("digits"), 10
        total, test = len(train.load().train), _test_items(train)
    blueprint = _blueprint(classes)
    made = training_data(
        train,
        blueprint,
        ImageOptions(),
        holdout_per_class=6,
        confirm_per_class=None,
    )
    preprocessing = made.preprocessing
    splits = [
        one.everything(preprocessing)
        for one in (made.images, made.scored, made.confirmation)
    ]
    sets = [*map(_items, splits), test]
    assert sum(map(len, sets)) == len(set.union(*sets))
    assert sum(map(len, splits)) == total
    assert len(splits[1]) == 6 * classes
    assert len(splits[2]) == made.confirm_per_class * classes > 0
    for held in splits[1:]:
        assert len({*np.bincount(held.labels).tolist()}) == 1
    # The search images are those that they were before.
    alone = training_data(train, blueprint, ImageOptions(), holdout_per_class=6)
    assert alone.confirmation is None and alone.confirm_per_class == 0
    assert _items(alone.scored.everything(preprocessing)) == sets[1]
    # A search that loads the supernet splits the data set again.
    if kind != "arrays":
        supernet = TrainedSupernet(
            blueprint,
            {},
            {
                "holdout_per_class": 6,
                "confirm_per_class": made.confirm_per_class,
            },
            1,
            source=train,
        )
        again = search_data(supernet, ImageOptions())
        recalibration = again.recalibration(10_000, 0)
        assert [
            _items(one)
            for one in (recalibration, again.validation, again.confirmation)
        ] == sets[:3]


def _stream(labels):
    labels = np.asarray(labels, np.int32)

    def open_range(start, stop):
        return tf.data.Dataset.from_tensor_slices(
            ([b"image"] * (stop - start), labels[start:stop])
        )

    return StreamSplit(open_range, np.arange(len(labels)), "a set", "train")


def test_of_a_stream(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "spos_tf")
    stream = _stream(np.arange(150) % 3)
    monkeypatch.setattr(
        job_data,
        "images_of",
        lambda *given, **named: SplitImages(stream, 3, None, "a set"),
    )
    given = {"holdout_per_class": 4, "confirm_per_class": None}
    made = training_data(tfds("some"), _blueprint(3), ImageOptions(), **given)
    splits = [
        one.everything(made.preprocessing)
        for one in (made.images, made.scored, made.confirmation)
    ]
    sets = [*map(_items, splits)]
    assert [len(one) for one in sets] == [150 - 12 - 15, 12, 15]
    assert set.union(*sets) == {*range(150)}
    assert made.confirm_per_class == 5
    # The mean size of a class may be more than there are of one.
    stream = _stream([0] * 100 + [1] * 43 + [2] * 7)
    made = training_data(tfds("some"), _blueprint(3), ImageOptions(), **given)
    assert made.confirmation is None and made.confirm_per_class == 0
    assert "No images are kept back to confirm a winner on" in caplog.text


@pytest.mark.parametrize(
    ("size", "holdout", "count"),
    [
        (5000, 200, 50),
        (500, 50, 50),
        (499, 50, 49),
        (120, 50, 0),
        (125, 50, 12),
        (100, 40, 10),
        (100, 41, 0),
        (9, 0, 0),
    ],
)
def test_how_many_there_are(size, holdout, count):
    labels = np.repeat(np.arange(2, dtype=np.int32), [size, size + 7])
    items = np.zeros((len(labels), 1, 1, 3), np.uint8)
    assert (
        confirmation_count(Split(items, labels, "pixels"), 2, holdout) == count
    )
    assert confirmation_count(_stream([0] * 2 * size), 2, holdout) == count


def test_a_number_that_cannot_be_had_is_refused():
    given = {"holdout_per_class": 5, "confirm_per_class": 16}
    with pytest.raises(UserError) as caught:
        training_data(_arrays(20), _blueprint(3), ImageOptions(), **given)
    assert "`confirm_per_class` takes 16 training images" in str(caught.value)
    assert "has 15 left. Give `confirm_per_class=14`" in str(caught.value)
    assert "\n" not in str(caught.value)
    given["confirm_per_class"] = 15
    with pytest.raises(UserError, match="leaves at least one .* has 15 left"):
        training_data(_arrays(20), _blueprint(3), ImageOptions(), **given)
    given["confirm_per_class"] = 0
    made = training_data(_arrays(20), _blueprint(3), ImageOptions(), **given)
    assert made.confirmation is None
