"""read_outs.json of a comparison, on made-up scores."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from spos_tf.analysis.stored_scores import StoredScores, read_scores
from spos_tf.jobs.read_outs import SCORES_FILE, write_read_outs

ALL = np.array(list(itertools.product(range(3), repeat=4)), np.int32)
TRUTH = 90 + ALL @ np.array([4.0, 2.0, 1.0, 0.5])
NOISY = TRUTH + np.random.default_rng(0).normal(0, 4, len(ALL))
COSTS = {"macs": ALL[:, 0] * 10, "blocks": (ALL > 0).sum(axis=1)}
RELIABILITY = {"value": 0.75, "low": 0.5, "high": 0.9, "candidates": 81}
SETTINGS = {
    "table": "t",
    "accuracy_column": "test",
    "direction": "max",
    "reliability": RELIABILITY,
}
OWN = StoredScores(ALL, NOISY, SETTINGS, TRUTH)


def written(folder, own=OWN, by_step=None):
    folder.mkdir(parents=True)
    own.write(folder / SCORES_FILE)
    by_step = by_step or {7: own.merits}
    write_read_outs(folder, own, by_step, COSTS, resamples=50, seed=0)
    found = json.loads((folder / "read_outs.json").read_text())
    return {one["name"]: one for one in found["read_outs"]}


def test_a_comparison_alone(tmp_path):
    found = written(tmp_path / "default")
    assert [(name, one["kind"]) for name, one in found.items()] == [
        ("default", "method"),
        ("additive fit to the scores", "beside the method"),
        ("rank sum with log MACs", "beside the method"),
        ("macs", "count"),
        ("blocks", "count"),
    ]
    fit = found["additive fit to the scores"]
    gain = fit["kendall"]["tau"] - found["default"]["kendall"]["tau"]
    assert fit["difference"]["value"] == pytest.approx(gain) and gain > 0.05
    assert found["macs"]["within_levels"] is None
    assert found["default"]["reliability"] == RELIABILITY
    assert fit["reliability"] is None
    text = (tmp_path / "default" / "read_outs.md").read_text()
    assert text.count("\n") == 7
    assert text.startswith("| read-out | kind | tau | against default |")
    assert "| 0.75 |" in text.splitlines()[2]


def test_others_on_the_same_architectures_stand_beside_it(tmp_path):
    better = dataclasses.replace(OWN, scores=(TRUTH + NOISY) / 2)
    loss = dataclasses.replace(
        OWN, scores=-TRUTH, settings={**SETTINGS, "direction": "min"}
    )
    part = dataclasses.replace(
        OWN, encodings=ALL[:40], scores=NOISY[:40], truth=TRUTH[:40]
    )
    column = dataclasses.replace(
        OWN, settings={**SETTINGS, "accuracy_column": "valid"}
    )
    others = {"better": better, "loss": loss, "part": part, "column": column}
    for name, stored in others.items():
        (tmp_path / name).mkdir()
        stored.write(tmp_path / name / SCORES_FILE)
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / SCORES_FILE).write_text("no")
    found = written(tmp_path / "own")
    assert [k for k, v in found.items() if v["kind"] == "method"] == [
        *("own", "better", "loss")
    ]
    assert found["loss"]["kendall"]["tau"] == pytest.approx(1)
    assert found["better"]["difference"]["low"] > 0


def test_checkpoints_have_a_mean_rank(tmp_path):
    rng = np.random.default_rng(1)
    steps = {step: TRUTH + rng.normal(0, 4, len(ALL)) for step in range(1, 9)}
    found = written(
        tmp_path / "all", dataclasses.replace(OWN, scores=steps[8]), steps
    )
    assert found["mean rank of 8 checkpoints"]["difference"]["low"] > 0


def test_the_file_of_scores_is_read_again(tmp_path):
    written(tmp_path / "default")
    stored = read_scores(tmp_path / "default" / SCORES_FILE)
    assert np.array_equal(stored.truth, TRUTH)
