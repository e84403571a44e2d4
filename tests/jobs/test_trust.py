"""What a search says of itself: of supernets that know nothing and much."""

import dataclasses
import json
import logging

import keras
import numpy as np
import pytest

import spos_tf
from spos_tf.jobs import search as search_job
from spos_tf.options import SearchOptions, SupernetOptions
from spos_tf.space.candidate import same_record

SPACE = {
    "preset": "demo",
    "stem_width": 8,
    "stage_widths": [12, 16],
    "stage_strides": [2, 1],
    "stage_repeats": [1, 2],
    "last_width": 32,
    "num_classes": 4,
}
# Checkpoints of the training: of few steps, and of many.
HALF, WHOLE = 15, 90
PER_CLASS = 150
OPTIONS = SearchOptions(
    strategy="random",
    population=24,
    generations=1,
    recalibration_images=64,
    evaluation_batch_size=100,
)


@pytest.fixture(scope="module")
def supernet(tmp_path_factory):
    """Of dots at places that are a matter of the class, below much noise."""
    rng = np.random.default_rng(2)
    labels = rng.permutation(np.repeat(np.arange(4), PER_CLASS))
    noise = rng.integers(0, 256, [len(labels), 8, 8, 3])
    patterns = rng.integers(0, 256, [4, 8, 8, 3])
    images = (0.6 * noise + 0.4 * patterns[labels]).astype(np.uint8)
    return spos_tf.train_supernet(
        spos_tf.build_blueprint("shufflenet_blocks", **SPACE),
        (images, labels),
        work_dir=tmp_path_factory.mktemp("trained"),
        options=SupernetOptions(
            steps=WHOLE,
            batch_size=32,
            learning_rate=0.1,
            checkpoint_every=HALF,
            keep_checkpoints=100,
            validate_every=0,
            sampler="uniform",
            holdout_per_class=50,
        ),
    )


@pytest.fixture(scope="module")
def found(supernet):
    return spos_tf.search_supernet(supernet, options=OPTIONS)


def _best(found):
    return json.loads((found.folder / "best.json").read_text())


def test_a_supernet_at_chance_is_called_so(supernet, tmp_path):
    """Labels that nothing can be known of: no network is better."""
    rng = np.random.default_rng(3)
    holdout = supernet.holdout
    shuffled = {
        name: dataclasses.replace(split, labels=rng.permutation(split.labels))
        for name in ("validation", "confirmation")
        for split in [getattr(holdout, name)]
    }
    trust = spos_tf.search_supernet(
        dataclasses.replace(
            supernet,
            holdout=dataclasses.replace(holdout, **shuffled),
            description={},
        ),
        options=OPTIONS,
        work_dir=tmp_path,
    ).trust
    assert trust.chance == 0.25
    # 200 images: a standard error of 3 %.
    assert trust.standard_error == pytest.approx(0.0306, abs=0.001)
    assert trust.mean == pytest.approx(0.25, abs=0.06)
    assert trust.spread < 2 * trust.standard_error
    assert trust.reliability.low == 0 and trust.reliability.candidates == 24
    assert trust.confirmed.low < 0 < trust.confirmed.high
    if trust.reliability.value < 0.5:
        assert "cannot tell these networks apart" in trust.lines[0]
    # 90 steps of 32 images, a quarter of them for each option.
    assert "each option has seen 720 images; 300,000 are" in trust.lines[0]


def test_training_is_seen_in_the_figures(supernet, found):
    half = spos_tf.search_supernet(
        spos_tf.load_supernet(supernet.work_dir, step=HALF),
        options=OPTIONS,
        name="half",
        **_given(supernet),
    ).trust
    whole = found.trust
    assert half.mean < whole.mean - 0.05
    reliability = whole.reliability
    assert reliability.low <= reliability.value <= reliability.high
    # The images of the confirmation are not given to a loaded supernet.
    assert half.confirmed is None
    assert "that the training kept back for it are not given" in half.lines[2]
    assert f"seen {HALF * 32 // 4} images" in half.lines[0] or (
        half.reliability.value >= 0.8
    )


def _given(supernet):
    """What a search of the loaded supernet needs: it was given arrays."""
    split = supernet.holdout.validation
    trained = supernet.holdout.recalibration(10_000, 0)
    return {
        "validation": (split.items, split.labels),
        "recalibration": (trained.items, trained.labels),
    }


def test_best_json_and_the_result_say_the_same(found, supernet):
    best, trust = _best(found), found.trust
    assert best["trust"] == json.loads(json.dumps(trust.to_dict()))
    assert best["trust_in_words"] == list(trust.lines)
    halves = np.array([one.halves for one in found.candidates])
    scores = np.array([one.score for one in found.candidates])
    # Halves of 200 images, 100 each.
    np.testing.assert_allclose(halves.mean(1), scores, atol=1e-9)
    assert trust.mean == pytest.approx(scores.mean())
    assert trust.spread == pytest.approx(scores.std(ddof=1))
    r = np.corrcoef(halves.T)[0, 1]
    assert trust.reliability.value == pytest.approx(max(0, 2 * r / (1 + r)))
    # 15 images of each class, a tenth of it.
    confirmation = supernet.holdout.confirmation
    assert len(confirmation) == 60
    for name in ("winner", "random_mean"):
        value = getattr(trust.confirmed, name)
        hits = 60 * value * (1 if name == "winner" else 20)
        assert hits == pytest.approx(round(hits))
    report = spos_tf.write_report(supernet.work_dir).read_text()
    assert "How far the scores can be trusted" in report
    assert trust.lines[0] in report


def test_a_resumed_search_does_not_confirm_again(found, supernet, monkeypatch):
    before = (found.folder / "best.json").read_bytes()
    monkeypatch.setattr(search_job, "confirm_winner", None)
    again = spos_tf.search_supernet(supernet, options=OPTIONS)
    assert again.trust == found.trust
    assert (found.folder / "best.json").read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"scoring": "tree"},
        {"strategy": "evolution", "asynchronous": True, "lag": 2},
        {"strategy": "nsga2", "objective": "params"},
    ],
)
def test_all_ways_to_search_say_it(found, supernet, changes, tmp_path):
    options = dataclasses.replace(OPTIONS, **changes)
    other = spos_tf.search_supernet(
        supernet, options=options, work_dir=tmp_path
    )
    # All begin with the same random networks.
    assert same_record(other.candidates, found.candidates)
    assert other.trust == found.trust
    assert _best(other)["trust"] == _best(found)["trust"]


def test_scores_of_another_metric(supernet):
    trust = spos_tf.search_supernet(
        dataclasses.replace(supernet, work_dir=None),
        options=dataclasses.replace(OPTIONS, population=5),
        metric=keras.metrics.SparseCategoricalCrossentropy(from_logits=True),
        direction="min",
        max_params=1e9,
    ).trust
    assert trust.chance is None and trust.mean > 0
    assert trust.standard_error > 0 and trust.reliability.candidates == 5
    confirmed = trust.confirmed
    assert confirmed.difference == pytest.approx(
        confirmed.random_mean - confirmed.winner
    )
    assert confirmed.low < confirmed.difference < confirmed.high


def test_a_record_of_an_earlier_version_is_scored_anew(
    found, supernet, tmp_path, caplog
):
    caplog.set_level(logging.INFO, "spos_tf")
    first = spos_tf.search_supernet(
        supernet, options=OPTIONS, work_dir=tmp_path
    )
    record = first.folder / "record.jsonl"
    memo = first.folder.parent / "scores.jsonl"
    for path in (record, memo):
        old = []
        for line in filter(None, path.read_text().splitlines()):
            data = json.loads(line)
            del data["halves"]
            old.append(json.dumps(data))
        path.write_text("\n".join([*old, ""]))
    caplog.clear()
    again = spos_tf.search_supernet(
        supernet, options=OPTIONS, work_dir=tmp_path
    )
    said = [one for one in caplog.messages if "scored anew" in one]
    assert len(said) == 2 and all(
        one.startswith("24 scores in") for one in said
    )
    assert str(record) in said[0] and str(memo) in said[1]
    assert same_record(again.candidates, found.candidates)
    assert again.trust == first.trust
