"""Images that are scored on: decoded once, kept, and never others."""

import collections
import errno
import os
import pathlib
import re
import resource
import shutil
import threading
import time

import filelock
import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data import cache_folder, evaluation_cache, pipeline
from spos_tf.data.cache_folder import clear_folder, entries, folder_of
from spos_tf.data.evaluation_cache import EvaluationCache, free_memory
from spos_tf.data.examples import Split, as_objects
from spos_tf.data.pipeline import evaluation_batches
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.splits import fingerprint
from spos_tf.errors import UserError
from spos_tf.options import CacheOptions

SMALL = PreprocessingOptions(image_size=16, augmentation="none", eval_resize=18)
BATCH = 5


class Scored:
    """A cache in a folder, what it says, and how often images are decoded."""

    def __init__(self, folder: pathlib.Path, **options):
        self.folder = folder
        self.told: list[str] = []
        self.options = CacheOptions(
            **{"cache_dir": str(folder), "cache_memory": 0, **options}
        )
        self.cache = EvaluationCache(self.options, self.told.append)

    def batches(self, split, options=SMALL):
        (kept,) = self.cache.batches([split], options, batch_size=BATCH)
        return kept

    @property
    def file(self) -> pathlib.Path:
        (entry,) = entries(self.folder)
        return entry.path


@pytest.fixture
def on_disk(tmp_path):
    return Scored(tmp_path / "cache")


@pytest.fixture
def decoded(monkeypatch):
    """Counts the images that are decoded, by what they are in."""
    counts = collections.Counter()
    plain = pipeline.decode

    def counting(item):
        tf.py_function(lambda: counts.update(["decoded"]), [], [])
        return plain(item)

    monkeypatch.setattr(pipeline, "decode", counting)
    return counts


def arrays(batches):
    images, labels = zip(*batches, strict=True)
    assert {one.dtype for one in images} == {tf.float32}
    assert {one.dtype for one in labels} == {tf.int32}
    sizes = [*map(len, labels)]
    return (np.concatenate(images), np.concatenate(labels)), sizes


def read_anew(split, options=SMALL):
    return arrays(evaluation_batches(split, options, batch_size=BATCH))


def assert_same(batches, expected):
    (images, labels), sizes = arrays(batches)
    (same_images, classes), same_sizes = expected
    np.testing.assert_array_equal(images, same_images)
    np.testing.assert_array_equal(labels, classes)
    assert sizes == same_sizes


def assert_as_read_anew(batches, split, options=SMALL):
    assert_same(batches, read_anew(split, options))


@pytest.fixture(params=["encoded", "files", "stream"])
def any_split(request, encoded_split, file_split, stream_split):
    return {
        "encoded": encoded_split,
        "files": file_split,
        "stream": stream_split,
    }[request.param]


@pytest.mark.parametrize("place", ["memory", "disk", "source"])
def test_images_are_the_same_wherever_they_are_kept(
    tmp_path, any_split, place, decoded
):
    options = {
        "memory": {"cache_memory": None},
        "disk": {},
        "source": {"cache_disk": 0},
    }
    scored = Scored(tmp_path / "cache", **options[place])
    kept = scored.batches(any_split)
    assert kept.place == place
    assert_as_read_anew(kept, any_split)
    decoded.clear()
    assert_as_read_anew(kept, any_split)
    # Those to compare with are always decoded.
    assert decoded["decoded"] == 12 + (12 if place == "source" else 0)
    assert bool(entries(scored.folder)) == (place == "disk")


def test_pixels_are_whole_numbers_wherever_images_come_from(make_photo):
    images = np.stack([make_photo(20, 23, seed) for seed in range(3)])
    labels = np.zeros(3, np.int32)
    for items in (images, images.astype(np.float32) + 0.25):
        split = Split(np.minimum(items, 255), labels, "pixels")
        ((found, _),) = evaluation_batches(split, SMALL, batch_size=3)
        assert found.dtype == tf.float32
        np.testing.assert_array_equal(found, np.rint(found))
    exact = PreprocessingOptions(image_size=20, augmentation="none")
    square = Split(images[:, :, :20], labels, "pixels")
    ((found, _),) = evaluation_batches(square, exact, batch_size=3)
    np.testing.assert_array_equal(found, images[:, :, :20])


def test_pixels_that_are_given_are_not_written(on_disk, pixel_split):
    kept = on_disk.batches(pixel_split)
    assert kept.place == "given"
    assert_as_read_anew(kept, pixel_split)
    assert not on_disk.folder.exists()


def test_memory_is_for_all_that_are_scored_on_together(
    tmp_path, encoded_split, file_split
):
    size = 12 * 16 * 16 * 3
    gib = (size + size // 2) / 2**30
    scored = Scored(tmp_path, cache_memory=gib)
    splits = [encoded_split, file_split]
    assert scored.cache.places(splits, SMALL) == ["memory", "disk"]
    found = scored.cache.batches(splits, SMALL, batch_size=BATCH)
    assert [one.place for one in found] == ["memory", "disk"]
    (more,) = scored.cache.batches(
        [file_split], SMALL, batch_size=BATCH, beside=[encoded_split]
    )
    assert more.place == "disk"
    shared = EvaluationCache(scored.options, print, sharers=2)
    assert shared.places(splits, SMALL) == ["disk", "disk"]
    assert 0 < free_memory() < 1 << 60


def test_later_searches_and_other_processes_read_the_same_file(
    on_disk, file_split, decoded
):
    assert_as_read_anew(on_disk.batches(file_split), file_split)
    (said,) = on_disk.told
    assert re.search(r"12 train images at 16 pixels take 0\.0 MB.*free", said)
    before = on_disk.file.stat()
    decoded.clear()
    other = Scored(on_disk.folder)
    kept = other.batches(file_split)
    for _ in range(2):
        assert len(arrays(kept)[0][0]) == 12
    assert not decoded and not other.told
    after = other.file.stat()
    assert (before.st_ino, before.st_mtime_ns) == (
        after.st_ino,
        after.st_mtime_ns,
    )


def test_another_way_to_make_pixels_is_another_file(
    on_disk, file_split, monkeypatch
):
    on_disk.batches(file_split)
    wide = PreprocessingOptions(
        image_size=16, augmentation="none", eval_resize=24
    )
    assert_as_read_anew(on_disk.batches(file_split, wide), file_split, wide)
    monkeypatch.setattr(evaluation_cache, "EVALUATION_PIXELS", -1)
    on_disk.batches(file_split)
    assert len(entries(on_disk.folder)) == 3


def test_one_flipped_bit_has_the_file_made_anew(on_disk, file_split):
    kept, expected = on_disk.batches(file_split), read_anew(file_split)
    file = on_disk.file
    good = file.read_bytes()
    pixels = 12 * 16 * 16 * 3
    # A pixel, a label and a checksum: in the first batch and in a later one.
    for first, each in ((0, 16 * 16 * 3), (pixels, 4), (pixels + 12 * 4, 4)):
        for image in (0, 7):
            data = bytearray(good)
            data[first + image * each + 1] ^= 1
            file.write_bytes(data)
            assert_same(kept, expected)
            assert file.read_bytes() == good
            assert "is damaged and is made anew" in on_disk.told[-2]


def test_a_file_that_was_cut_off_is_made_anew(on_disk, file_split):
    kept, expected = on_disk.batches(file_split), read_anew(file_split)
    file = on_disk.file
    good = file.read_bytes()
    for length in (0, -1, -800):
        for batches in (lambda: kept, lambda: on_disk.batches(file_split)):
            file.write_bytes(good[:length])
            assert_same(batches(), expected)
            assert file.read_bytes() == good


def test_a_damaged_file_that_cannot_be_replaced_is_not_used(
    on_disk, file_split, monkeypatch
):
    kept = on_disk.batches(file_split)
    data = bytearray(on_disk.file.read_bytes())
    data[8 * len(data) // 12] ^= 1
    on_disk.file.write_bytes(data)

    def refused(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    for _ in range(2):
        assert_as_read_anew(kept, file_split)
    assert "Permission denied" in on_disk.told[-1]
    assert "decoded again" in on_disk.told[-1]


def test_a_folder_that_was_cleared_meanwhile_is_filled_again(
    on_disk, file_split
):
    kept = on_disk.batches(file_split)
    passing = iter(kept)
    first = next(passing)
    lines = []
    freed = clear_folder(on_disk.folder, lines.append)
    assert freed == 12 * (16 * 16 * 3 + 4 + 4)
    assert len(lines) == 1 and "MB, last used 20" in lines[0]
    assert not on_disk.folder.exists()
    # Whoever is reading reads to the end.
    assert_as_read_anew([first, *passing], file_split)
    assert_as_read_anew(kept, file_split)
    assert "is gone and is made anew" in on_disk.told[1]
    assert on_disk.file.exists()


def test_clearing_leaves_what_is_not_ours_and_what_is_being_written(
    on_disk, file_split
):
    on_disk.batches(file_split)
    other = on_disk.folder / "notes.txt"
    other.write_text("mine")
    lines = []
    file = on_disk.file
    half = file.with_name(f".unfinished-{file.name}")
    half.write_bytes(b"half")
    with filelock.FileLock(file.with_suffix(".lock")):
        assert clear_folder(on_disk.folder, lines.append) == 0
    assert "is being written" in lines[0] and half.exists()
    assert clear_folder(on_disk.folder, lines.append) > 4
    assert [one.name for one in on_disk.folder.iterdir()] == ["notes.txt"]
    assert clear_folder(on_disk.folder / "none", lines.append) == 0


def test_the_free_space_is_said_where_there_is_none(
    on_disk, file_split, monkeypatch
):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(10**7, 10**7 - 5000, 5000)
    )
    kept = on_disk.batches(file_split)
    assert kept.place == "source"
    (said,) = on_disk.told
    assert "has 0.0 MB free" in said
    assert "decoded again for every chunk" in said
    assert_as_read_anew(kept, file_split)
    assert not entries(on_disk.folder)


def test_a_disk_that_fills_while_it_is_written_leaves_nothing(
    on_disk, file_split
):
    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Less than the file; Python ignores the signal that comes with it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, most))
    try:
        kept = on_disk.batches(file_split)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert kept.place == "source"
    assert "Cannot keep" in on_disk.told[-1]
    assert "decoded again" in on_disk.told[-1]
    assert_as_read_anew(kept, file_split)
    left = {one.suffix for one in on_disk.folder.iterdir()}
    assert left <= {".lock", ".fingerprint"}


def test_what_a_killed_search_left_is_written_anew(on_disk, file_split):
    on_disk.batches(file_split)
    file = on_disk.file
    good = file.read_bytes()
    half = file.with_name(f".unfinished-{file.name}")
    half.write_bytes(good[: len(good) // 2])
    file.unlink()
    kept = Scored(on_disk.folder).batches(file_split)
    assert kept.place == "disk" and file.read_bytes() == good
    assert not half.exists()


def test_a_folder_that_may_only_be_read_is_read(
    on_disk, file_split, encoded_split, monkeypatch
):
    on_disk.batches(file_split)

    def refused(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    # The tests may run as root, whom no mode of a folder stops.
    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    monkeypatch.setattr(os, "utime", refused)
    other = Scored(on_disk.folder)
    kept = other.batches(file_split)
    assert kept.place == "disk" and not other.told
    assert_as_read_anew(kept, file_split)
    kept = other.batches(encoded_split)
    assert kept.place == "source"
    assert "Permission denied" in other.told[-1]
    assert "\n" not in other.told[-1]
    assert_as_read_anew(kept, encoded_split)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, file_split):
    (tmp_path / "file").write_text("no folder")
    scored = Scored(tmp_path / "file" / "cache")
    kept = scored.batches(file_split)
    assert kept.place == "source"
    assert "Cannot keep" in scored.told[-1] and "\n" not in scored.told[-1]
    assert_as_read_anew(kept, file_split)


def test_old_files_make_room_and_new_ones_do_not(
    tmp_path, file_split, encoded_split
):
    size = 12 * (16 * 16 * 3 + 4 + 4)
    scored = Scored(tmp_path, cache_disk=1.5 * size / 2**30)
    scored.batches(file_split)
    refused = scored.batches(encoded_split)
    assert refused.place == "source"
    assert "in use" in scored.told[-1] and "`cache_disk`" in scored.told[-1]
    old = time.time() - 48 * 3600
    os.utime(scored.file, (old, old))
    assert scored.batches(encoded_split).place == "disk"
    assert "to make room" in scored.told[-2]
    assert_as_read_anew(scored.batches(encoded_split), encoded_split)
    assert len(entries(tmp_path)) == 1


def test_a_damaged_file_makes_room_for_itself(tmp_path, file_split):
    size = 12 * (16 * 16 * 3 + 4 + 4)
    scored = Scored(tmp_path, cache_disk=1.5 * size / 2**30)
    kept = scored.batches(file_split)
    data = bytearray(scored.file.read_bytes())
    data[40] ^= 1
    scored.file.write_bytes(data)
    half = scored.file.with_name(f".unfinished-{scored.file.name}")
    half.write_bytes(bytes(size))
    assert_as_read_anew(kept, file_split)
    assert scored.file.read_bytes() != data and not half.exists()


def test_two_searches_at_once_write_once(on_disk, file_split, decoded):
    others = [Scored(on_disk.folder) for _ in range(3)]
    threads = [
        threading.Thread(target=one.batches, args=(file_split,))
        for one in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert decoded["decoded"] == 12
    told = [line for one in others for line in one.told]
    assert sum("they are kept in" in line for line in told) == 1
    assert_as_read_anew(others[0].batches(file_split), file_split)


@pytest.fixture
def own_files(photos, tmp_path):
    """Files of a minute ago, which a test may change."""
    (tmp_path / "images").mkdir()
    names = []
    for index, data in enumerate(photos):
        path = tmp_path / "images" / f"{index}.jpg"
        path.write_bytes(data)
        names.append(str(path).encode())
    labels = np.arange(12, dtype=np.int32)
    return Split(as_objects(names), labels, "files", "search")


@pytest.fixture
def settled(monkeypatch):
    """Files need no time to settle."""
    monkeypatch.setattr(evaluation_cache, "_SETTLED_SECONDS", -3600.0)


def test_images_that_changed_are_other_images(on_disk, own_files, settled):
    assert_as_read_anew(on_disk.batches(own_files), own_files)
    first, second = (own_files.items[i].decode() for i in (0, 1))
    times = os.stat(first)
    shutil.copyfile(second, first)
    # Even with the time of change set back.
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    for scored in (on_disk, Scored(on_disk.folder)):
        assert_as_read_anew(scored.batches(own_files), own_files)
    assert len(entries(on_disk.folder)) == 2


@pytest.mark.parametrize("place", ["memory", "disk", "source"])
def test_images_that_change_while_they_are_read_are_refused(
    tmp_path, own_files, place
):
    scored = Scored(
        tmp_path / "cache",
        cache_memory=1 if place == "memory" else 0,
        cache_disk=0 if place == "source" else 1,
    )
    if place == "source":
        batches = iter(scored.batches(own_files))
        next(batches)
    scored.cache.fingerprint(own_files)
    plain = pipeline.evaluation_batches

    def change():
        pathlib.Path(own_files.items[11].decode()).write_bytes(b"")

    if place == "source":
        change()
        with pytest.raises(UserError, match="changed|cannot be decoded"):
            list(batches)
        return

    def changing(split, *args, **kwargs):
        found = plain(split, *args, **kwargs)
        data = pathlib.Path(split.items[3].decode()).read_bytes()
        pathlib.Path(split.items[11].decode()).write_bytes(data)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation_cache, "evaluation_batches", changing)
        with pytest.raises(UserError, match="changed while they were read"):
            scored.batches(own_files)
    assert not entries(scored.folder)


def test_files_are_hashed_once(on_disk, own_files, settled, monkeypatch):
    expected = fingerprint(own_files)
    assert on_disk.cache.fingerprint(own_files) == expected
    hashed = []

    def counting(split):
        hashed.append(split)
        return fingerprint(split)

    monkeypatch.setattr(evaluation_cache, "fingerprint", counting)
    for _ in range(2):
        assert Scored(on_disk.folder).cache.fingerprint(own_files) == expected
    # Labels are part of it, and are in no file.
    relabelled = Split(own_files.items, own_files.labels[::-1], "files")
    assert on_disk.cache.fingerprint(relabelled) != expected
    assert hashed == [relabelled]
    (kept, *_) = on_disk.folder.glob("*.fingerprint")
    for path in on_disk.folder.glob("*.fingerprint"):
        damaged = path.read_text("ascii")
        path.write_text(("1" if damaged[0] != "1" else "2") + damaged[1:])
    assert Scored(on_disk.folder).cache.fingerprint(own_files) == expected
    assert hashed[1:] == [own_files]
    assert Scored(on_disk.folder).cache.fingerprint(own_files) == expected
    assert len(hashed) == 2
    assert clear_folder(on_disk.folder, print) == 0 and not kept.exists()


def test_files_that_just_changed_are_hashed_again(on_disk, own_files):
    on_disk.cache.fingerprint(own_files)
    assert not on_disk.folder.exists()


def test_a_file_that_is_gone_is_named(on_disk, own_files):
    os.remove(own_files.items[4])
    with pytest.raises(UserError, match=r"4\.jpg' cannot be read"):
        on_disk.cache.fingerprint(own_files)


@pytest.fixture
def second_device(monkeypatch):
    """Another CPU in the place of a GPU."""
    name = tf.config.list_logical_devices("CPU")[1].name
    monkeypatch.setattr(evaluation_cache, "accelerator", lambda: name)
    return name


@pytest.mark.parametrize("cache_disk", [0, 1])
def test_batches_wait_on_the_device_that_there_is(
    tmp_path, file_split, second_device, cache_disk
):
    scored = Scored(tmp_path, cache_disk=cache_disk)
    kept = scored.batches(file_split)
    for _ in range(2):
        assert_as_read_anew(kept, file_split)
    (first, *_) = evaluation_cache._ahead(kept._batches, second_device)
    assert first[0].dtype == tf.uint8
    plain = tf.data.Dataset.range(3)
    assert pipeline.ahead_on(plain, None) is plain
    assert pipeline.accelerator() is None


def test_what_is_wrong_with_an_image_is_said_there_too(
    tmp_path, own_files, second_device
):
    kept = Scored(tmp_path / "cache", cache_disk=0).batches(own_files)
    pathlib.Path(own_files.items[3].decode()).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot be decoded: .*3\.jpg'"):
        list(kept)


def test_the_users_folder_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder_of(None) == tmp_path / "spos_tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_of(None) == tmp_path / ".cache" / "spos_tf"
    assert folder_of("~/x") == tmp_path / "x"
    assert cache_folder.size_words(10_538_160_000) == "10.5 GB"
