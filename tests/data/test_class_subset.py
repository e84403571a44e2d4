"""The first classes of a data set."""

import dataclasses

import numpy as np
import pytest

from spos_tf.data.examples import Source, Split, StreamSplit
from spos_tf.data.sources import first_classes
from spos_tf.errors import UserError


def _split(labels, name):
    labels = np.array(labels, np.int32)
    # A pixel says which image it is.
    pixels = np.zeros((len(labels), 2, 2, 3), np.uint8)
    pixels += np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return Split(pixels, labels, "pixels", name)


@pytest.fixture
def source():
    return Source(
        name="made_up",
        num_classes=3,
        class_names=("cat", "dog", "eel"),
        train=_split([2, 0, 1, 0, 2], "train"),
        test=_split([1, 2, 0], "test"),
    )


def test_images_and_labels_of_the_first_classes_stay(source):
    kept = first_classes(source, 2)
    assert (kept.num_classes, kept.class_names) == (2, ("cat", "dog"))
    assert kept.train.labels.tolist() == [0, 1, 0]
    assert kept.train.items[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert kept.test.labels.tolist() == [1, 0]
    assert (kept.train.name, kept.test.name) == ("train", "test")


def test_all_classes_are_the_data_set_itself(source):
    assert first_classes(source, 3) is source


@pytest.mark.parametrize("count", [0, 4])
def test_a_wrong_count_is_refused(source, count):
    with pytest.raises(UserError, match=rf"is 1 to 3, .*; got {count}"):
        first_classes(source, count)


def test_a_streamed_split_is_refused(source):
    stream = StreamSplit(
        lambda start, stop: None, np.arange(5), "made_up/train", "train"
    )
    streamed = dataclasses.replace(source, train=stream)
    with pytest.raises(UserError, match="'train' is read as a stream"):
        first_classes(streamed, 2)
