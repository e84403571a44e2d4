"""Scores on image files, wherever the decoded images are kept."""

import collections
import contextlib
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import spos_tf
from spos_tf.data import pipeline
from spos_tf.data.cache_folder import entries
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.evaluation.scorer import LocalScorer
from spos_tf.jobs import scoring
from spos_tf.jobs.data import search_data
from spos_tf.jobs.scoring import ScoringTask, local_scorer
from spos_tf.jobs.search import search_supernet
from spos_tf.options import SearchOptions

CLASSES, IMAGES, HELD_OUT = 10, 6, 2
GENERATIONS = [[(0, 0, 0), (2, 1, 3), (0, 0, 2)], [(2, 1, 0), (0, 3, 0)]]
LOSS = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)
OPTIONS = SearchOptions(
    population=4,
    generations=2,
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


@contextlib.contextmanager
def counted():
    counts = collections.Counter()
    plain = pipeline.decode

    def counting(item):
        tf.py_function(lambda: counts.update(["images"]), [], [])
        return plain(item)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "decode", counting)
        yield counts


@pytest.fixture
def decoded():
    with counted() as counts:
        yield counts


@pytest.fixture(scope="module")
def task(supernet, photos):
    """As a search has it; the training held images of this folder out."""
    trained = dataclasses.replace(
        supernet,
        description={"kind": "supernet", "holdout_per_class": HELD_OUT},
    )
    images = search_data(trained, OPTIONS, source=photos)
    metric = ScoreMetric.make(LOSS, direction="min", num_classes=CLASSES)
    return ScoringTask.of(trained, images, metric, OPTIONS)


@pytest.fixture(scope="module")
def network(task):
    """Traced once for all tests."""
    return task.network()


def scores(task, network, **changes):
    options = dataclasses.replace(OPTIONS, **changes)
    task = dataclasses.replace(task, options=options)
    scorer = local_scorer(task, network)
    for generation in GENERATIONS:
        scorer.submit(generation)
    found = {one.position: one.measured for one in scorer.results()}
    return [found[position] for position in sorted(found)]


@pytest.fixture(scope="module")
def in_memory(task, network):
    """Scores on images in memory, which were decoded once."""
    with counted() as counts:
        found = scores(task, network)
    assert counts["images"] == SCORED
    assert len(found) == 5 and len(set(found)) == 5
    return found


def test_scores_are_the_same_wherever_images_are_kept(
    task, network, in_memory, decoded, tmp_path
):
    disk = {"cache_memory": 0.0, "cache_dir": str(tmp_path)}
    for expected in (SCORED, 0):
        assert scores(task, network, **disk) == in_memory
        assert decoded.pop("images", 0) == expected
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize(
    ("changes", "chunks"),
    [({}, 2), ({"chunk_size": 1}, 5), ({"scoring": "tree"}, 2)],
)
def test_a_chunk_decodes_images_twice_where_they_are_kept_nowhere(
    task, network, in_memory, decoded, changes, chunks
):
    """To recalibrate and to score, whatever the number of candidates."""
    nowhere = {"cache_memory": 0.0, "cache_disk": 0.0}
    found = scores(task, network, **nowhere, **changes)
    assert decoded["images"] == SCORED * chunks
    assert found == in_memory


def test_a_search_takes_these_options(
    supernet, photos, decoded, tmp_path, monkeypatch
):
    """From the search down to the files; nothing is scored."""
    monkeypatch.setattr(
        scoring, "_evaluator", lambda task, network: task.batches()
    )
    monkeypatch.setattr(
        scoring,
        "scorer_of",
        lambda task, batches: LocalScorer(lambda one: float(sum(one)) / 99),
    )
    trained = dataclasses.replace(
        supernet,
        description={"kind": "supernet", "holdout_per_class": HELD_OUT},
    )
    for expected in (SCORED, 0):
        search_supernet(
            dataclasses.replace(trained),
            train=photos,
            options=dataclasses.replace(
                OPTIONS, cache_memory=0.0, cache_dir=str(tmp_path)
            ),
        )
        assert decoded.pop("images", 0) == expected
    assert len(entries(tmp_path)) == 2
