import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data.examples import Split, StreamSplit, joined
from spos_tf.data.inputs import split_arrays
from spos_tf.data.sources import DataSource
from spos_tf.data.splits import (
    fingerprint,
    hold_out,
    holdout_count,
    random_subset,
    scored_subset,
)
from spos_tf.errors import UserError


def held_out(train, num_classes, count):
    return hold_out(train, "abcdefghijkl"[:num_classes], "letters", count)


def test_search_is_the_first_of_every_class(pixel_split):
    train, search = held_out(pixel_split, 5, 3)
    np.testing.assert_array_equal(search.items[:, 0, 0, 0], np.arange(1, 16))
    np.testing.assert_array_equal(np.bincount(search.labels), [3] * 5)
    np.testing.assert_array_equal(train.items[:, 0, 0, 0], np.arange(16, 51))


def test_splits_of_the_digits_are_disjoint():
    source = DataSource("digits").load()
    split = hold_out(source.train, source.class_names, source.name, 20)
    parts = [part.items for part in split]
    whole = source.train.items
    assert sum(len(part) for part in parts) == len(whole)
    together = np.concatenate(parts).reshape(len(whole), -1)
    np.testing.assert_array_equal(
        np.sort(together.view("S192"), axis=0),
        np.sort(whole.reshape(len(whole), -1).view("S192"), axis=0),
    )


def test_a_class_with_too_few_images_is_named(pixel_split):
    few = pixel_split.select(np.arange(47))
    with pytest.raises(
        UserError, match=r"'c' of .letters. has 9.*holdout_per_class=8"
    ):
        held_out(few, 5, 10)
    # A class that is only held out would never be trained.
    with pytest.raises(UserError, match="leaves at least one.*class=9` or"):
        held_out(pixel_split, 5, 10)
    one = pixel_split.select(np.arange(41)[-1:])
    with pytest.raises(UserError, match="has 1 left. Add images"):
        held_out(one, 1, 1)
    with pytest.raises(UserError, match="at least 0; got -1"):
        held_out(pixel_split, 5, -1)


def test_no_hold_out_leaves_train_whole(pixel_split):
    train, search = held_out(pixel_split, 5, 0)
    assert train is pixel_split
    assert len(search) == 0


def test_a_stream_is_carved_like_an_array(stream_split):
    train, search = held_out(stream_split, 12, 0)
    assert len(search) == 0
    with pytest.raises(UserError, match="'a' of 'letters' has 1"):
        held_out(stream_split, 12, 2)

    class_of = np.array([0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0], np.int32)

    def open_range(start, stop):
        return stream_split.open_range(start, stop).map(
            lambda encoded, label: (encoded, tf.gather(class_of, label))
        )

    two = dataclasses.replace(stream_split, open_range=open_range)
    train, search = held_out(two, 2, 2)
    assert search.positions.tolist() == [0, 1, 2, 5]
    assert train.positions.tolist() == [3, 4, 6, 7, 8, 9, 10, 11]
    labels = [int(label) for _, label in search.records()]
    assert labels == [0, 0, 1, 1]
    for count in (3, 4):
        with pytest.raises(UserError, match="'b' of 'letters' has 3"):
            held_out(two, 2, count)


def test_how_many_images_are_usually_held_out(pixel_split, stream_split):
    """A fifth of the smallest class, and a mean class where none is read."""
    assert holdout_count(pixel_split, 5) == 2
    assert holdout_count(pixel_split.select(np.arange(46)), 5) == 1
    # A class without images: `hold_out` refuses it.
    assert holdout_count(pixel_split, 6) == 1
    many = pixel_split.select(np.arange(2_000) % 50)
    assert holdout_count(many, 5) == 50
    assert holdout_count(stream_split, 1) == 2


def test_recalibration_is_a_fixed_subset_of_train(pixel_split, stream_split):
    train, _ = held_out(pixel_split, 5, 2)
    one = random_subset(train, 20, seed=3)
    two = random_subset(train, 20, seed=3)
    other = random_subset(train, 20, seed=4)
    np.testing.assert_array_equal(one.items, two.items)
    values = one.items[:, 0, 0, 0]
    assert len(set(values)) == 20
    assert values.min() > 10
    assert set(values) != set(other.items[:, 0, 0, 0])
    for wrong in (0, 41):
        with pytest.raises(UserError, match="1 to 40 images"):
            random_subset(train, wrong, seed=0)

    times = np.zeros(12)
    for seed in range(60):
        positions = random_subset(stream_split, 4, seed=seed).positions
        assert len(set(positions)) == 4
        times[positions] += 1
    assert times.min() > 5


def test_scored_images_are_a_fixed_balanced_subset(pixel_split, stream_split):
    _, search = held_out(pixel_split, 5, 8)
    seen = set()
    for seed in range(3):
        for count in (1, 5, 12, 39):
            chosen = scored_subset(search, count, seed)
            numbers = chosen.items[:, 0, 0, 0].tolist()
            assert len(set(numbers)) == count
            assert set(numbers) <= {*search.items[:, 0, 0, 0].tolist()}
            sizes = np.bincount(chosen.labels, minlength=5)
            assert sizes.max() - sizes.min() <= 1
            larger = (
                scored_subset(search, count + 1, seed)
                .items[:, 0, 0, 0]
                .tolist()
            )
            assert {*numbers} < {*larger}
            assert fingerprint(chosen) == fingerprint(
                scored_subset(search, count, seed)
            )
        seen.add(
            tuple(scored_subset(search, 5, seed).items[:, 0, 0, 0].tolist())
        )
    assert len(seen) == 3
    assert scored_subset(search, 0, 1) is scored_subset(search, 40, 1) is search
    with pytest.raises(UserError, match="1 to 40 images .*got 41"):
        scored_subset(search, 41, 0)
    positions = {*scored_subset(stream_split, 7, 0).positions.tolist()}
    assert len(positions) == 7
    assert positions < {*stream_split.positions.tolist()}
    assert positions < {*scored_subset(stream_split, 8, 0).positions.tolist()}


def test_fingerprint_tells_content_apart(
    pixel_split, encoded_split, file_split, stream_split
):
    every = [pixel_split, encoded_split, file_split, stream_split]
    prints = {fingerprint(split) for split in every}
    for split in every:
        assert fingerprint(split) == fingerprint(
            split.select(np.arange(len(split)))
        )
        prints.add(fingerprint(split.select(np.arange(1, len(split)))))
    moved = Split(pixel_split.items, np.roll(pixel_split.labels, 1), "pixels")
    prints.add(fingerprint(moved))
    assert len(prints) == 9
    assert all(len(text) == 64 for text in prints)


def test_fingerprint_of_files_is_of_their_content(file_split, tmp_path):
    path = tmp_path / "x.jpg"
    items = file_split.items[:1].copy()
    path.write_bytes(pathlib.Path(items[0].decode()).read_bytes())
    items[0] = str(path).encode()
    copy = Split(items, file_split.labels[:1], "files")
    assert fingerprint(copy) == fingerprint(file_split.select(np.arange(1)))
    path.write_bytes(b"other")
    assert fingerprint(copy) != fingerprint(file_split.select(np.arange(1)))
    path.unlink()
    with pytest.raises(UserError, match=r"x\.jpg' cannot be read"):
        fingerprint(copy)


def test_splits_of_one_kind_are_joined():
    first, second = (
        Split(
            np.full((count, 2, 2, 3), count, np.uint8),
            np.full(count, count, np.int32),
            "pixels",
        )
        for count in (2, 3)
    )
    both = joined(first, second)
    assert both.labels.tolist() == [2, 2, 3, 3, 3]
    assert both.items[:, 0, 0, 0].tolist() == [2, 2, 3, 3, 3]
    files = Split(np.array([b"a"], object), np.zeros(1, np.int32), "files")
    with pytest.raises(UserError, match="different kinds"):
        joined(first, files)
    streams = [
        StreamSplit(None, np.array(places), identity)
        for places, identity in (([0, 4], "a"), ([2], "a"), ([1], "b"))
    ]
    assert joined(*streams[:2]).positions.tolist() == [0, 2, 4]
    with pytest.raises(UserError, match="different kinds"):
        joined(*streams[1:])


def test_a_fraction_of_every_class_is_taken():
    labels = np.repeat(np.arange(4, dtype=np.int32), [1, 2, 10, 35])
    labels = np.random.default_rng(0).permutation(labels)
    images = np.zeros((48, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(48)
    train, test = split_arrays(images, labels, test_fraction=0.2)
    assert np.bincount(test[1], minlength=4).tolist() == [0, 1, 2, 7]
    assert np.bincount(train[1], minlength=4).tolist() == [1, 1, 8, 28]
    for some, own in (train, test):
        np.testing.assert_array_equal(labels[some[:, 0, 0, 0]], own)
    values = np.concatenate([train[0], test[0]])[:, 0, 0, 0]
    assert sorted(values) == list(range(48))
    again = split_arrays(images, labels, test_fraction=0.2)
    np.testing.assert_array_equal(again[1][0], test[0])
    other = split_arrays(images, labels, test_fraction=0.2, seed=1)
    assert not np.array_equal(other[1][0], test[0])
    for wrong in (0, 1, -0.5):
        with pytest.raises(UserError, match=r"`test_fraction` is in \(0, 1\)"):
            split_arrays(images, labels, test_fraction=wrong)
