"""Searches on image files, wherever the decoded images are kept."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import spos_tf
from spos_tf.data import pipeline
from spos_tf.data.cache_folder import entries
from spos_tf.jobs.search import search_supernet
from spos_tf.options import SearchOptions
from spos_tf.space.candidate import same_record

CLASSES, IMAGES, HELD_OUT, GENERATIONS = 10, 6, 2, 3
OPTIONS = SearchOptions(
    population=4,
    generations=GENERATIONS,
    top_k=2,
    recalibration_images=30,
    evaluation_batch_size=9,
    eval_resize=11,
)
SCORED = 30 + CLASSES * HELD_OUT


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """JPEG files of several sizes, in a folder a class."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        folder = root / f"class{label}"
        folder.mkdir()
        for index in range(IMAGES + 1):
            size = (14 + index, 22 - index, 3)
            pixels = rng.integers(0, 256, size, np.uint8)
            data = tf.io.encode_jpeg(pixels).numpy()
            (folder / f"{index}.jpg").write_bytes(data)
    return spos_tf.folder(root, test_fraction=0.05)


@pytest.fixture
def decoded(monkeypatch):
    counts = collections.Counter()
    plain = pipeline.decode

    def counting(item):
        tf.py_function(lambda: counts.update(["images"]), [], [])
        return plain(item)

    monkeypatch.setattr(pipeline, "decode", counting)
    return counts


@pytest.fixture(scope="module")
def trained(supernet):
    """As a training leaves it that held images of this folder out."""
    return dataclasses.replace(
        supernet,
        description={"kind": "supernet", "holdout_per_class": HELD_OUT},
    )


def search(supernet, photos, **changes):
    # Nothing traced is taken over.
    return search_supernet(
        dataclasses.replace(supernet),
        train=photos,
        options=dataclasses.replace(OPTIONS, **changes),
    ).candidates


def test_a_record_is_the_same_wherever_images_are_kept(
    trained, photos, decoded, tmp_path
):
    in_memory = search(trained, photos)
    assert decoded.pop("images") == SCORED
    assert len({one.score for one in in_memory}) > 3
    disk = {"cache_memory": 0.0, "cache_dir": str(tmp_path)}
    for expected in (SCORED, 0):
        assert same_record(search(trained, photos, **disk), in_memory)
        assert decoded.pop("images", 0) == expected
    assert len(entries(tmp_path)) == 2
    nowhere = {"cache_memory": 0.0, "cache_disk": 0.0}
    # Once to recalibrate and once to score, for all candidates of a chunk.
    for scoring in ("single", "tree"):
        found = search(trained, photos, scoring=scoring, **nowhere)
        assert same_record(found, in_memory)
        assert decoded.pop("images") == SCORED * GENERATIONS
    found = search(trained, photos, chunk_size=2, **nowhere)
    assert same_record(found, in_memory)
    assert decoded.pop("images") == SCORED * GENERATIONS * 2
