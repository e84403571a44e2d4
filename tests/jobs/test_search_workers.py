"""Searches from Python by real workers of Ray's."""

import dataclasses
import threading

import keras
import pytest

from random_images import GIVEN, RECALIBRATION, VALIDATION, images
from spos_tf.data.examples import Split
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.splits import random_subset
from spos_tf.errors import UserError
from spos_tf.jobs.search import search_supernet
from spos_tf.jobs.trained import SearchData
from spos_tf.options import SearchOptions
from spos_tf.space.candidate import same_record

pytest.importorskip("ray", reason="the extra [ray] is not installed")
# Ray 2.40 leaves its own log files open, and processes to themselves.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

OPTIONS = SearchOptions(
    population=4,
    generations=2,
    top_k=2,
    recalibration_images=30,
    evaluation_batch_size=20,
    workers="ray",
    num_workers=1,
)
LOSS = {
    "metric": keras.metrics.SparseCategoricalCrossentropy(from_logits=True),
    "direction": "min",
}


def holding(supernet):
    """The supernet with the images of its training."""
    validation, recalibration, confirmation = (
        Split(*one, "pixels")
        for one in (VALIDATION, RECALIBRATION, images(33, 3))
    )
    holdout = SearchData(
        validation,
        PreprocessingOptions(image_size=8, augmentation="none"),
        lambda count, seed: random_subset(
            recalibration, min(count, len(recalibration)), seed
        ),
        {},
        tuple("0123456789"),
        confirmation,
    )
    return dataclasses.replace(supernet, holdout=holdout)


def search(supernet, options=OPTIONS, **others):
    return search_supernet(
        supernet, options=options, **{**GIVEN, "max_macs": 90e3, **others}
    )


def test_workers_score_by_a_metric_like_this_process(supernet):
    """With threads of one: the number decides last bits."""
    given = {**dict.fromkeys(GIVEN), **LOSS}
    supernet = holding(supernet)
    found = search(supernet, **given)
    assert len({one.score for one in found.candidates}) > 3
    assert "local" not in {one.worker for one in found.candidates}
    local = dataclasses.replace(OPTIONS, workers="local", num_workers=None)
    alone = search(supernet, local, **given)
    assert same_record(found.candidates, alone.candidates)
    # Halves and the confirmation come from the workers too.
    assert found.trust.reliability == alone.trust.reliability
    assert found.trust.reliability.candidates == 4
    # This process may have more threads than a worker.
    assert dataclasses.asdict(found.trust.confirmed) == pytest.approx(
        dataclasses.asdict(alone.trust.confirmed), rel=1e-3
    )


def held():
    """A metric that holds what belongs to this process."""
    lock = threading.Lock()

    class Held(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            with lock:
                return super().update_state(y_pred)

    return Held()


def test_what_cannot_be_sent_to_workers_is_one_line(supernet, tmp_path):
    with pytest.raises(UserError, match="`task` cannot be sent to") as caught:
        search(supernet, work_dir=tmp_path / "new", metric=held())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_cluster_that_is_not_there(supernet):
    options = dataclasses.replace(OPTIONS, ray_address="127.0.0.1:1")
    with pytest.raises(UserError, match="no Ray cluster .*127.0.0.1:1"):
        search(supernet, options=options)
