"""A search takes its scores from a file, and evaluates nothing.

This is how `spos search` repeats what benchmarks/search_by_truth.py finds in
stored scores.
"""

import itertools
import json
import shutil

import numpy as np
import pytest

from random_images import GIVEN, VALIDATION
from spos_tf.analysis.stored_scores import read_scores
from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import cost_table
from spos_tf.data.examples import Split
from spos_tf.data.splits import fingerprint
from spos_tf.errors import UserError
from spos_tf.jobs.correlate import correlate_supernet
from spos_tf.jobs.search import search_supernet
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.supernet import Supernet
from spos_tf.options import CorrelationOptions, SearchOptions
from spos_tf.search.evolution import Evolution
from spos_tf.search.generations import ranked
from spos_tf.spaces import build_blueprint

SCORING = {"recalibration_images": 30, "evaluation_batch_size": 20}
# Another seed than that of the comparison, and its images.
SEARCH = SearchOptions(
    population=8, generations=3, top_k=4, seed=3, image_seed=0, **SCORING
)


@pytest.fixture(scope="module")
def supernet():
    blueprint = build_blueprint(
        "nas_bench_macro",
        preset="demo",
        stage_widths=[8],
        stage_repeats=[3],
        stage_strides=[2],
        last_width=16,
    )
    weights = {
        name: variable.numpy()
        for name, variable in Supernet(blueprint).named_variables.items()
    }
    description = {
        "kind": "supernet",
        "holdout_per_class": 0,
        "search_split": fingerprint(Split(*VALIDATION, "pixels")),
    }
    return TrainedSupernet(blueprint, weights, description, step=5)


@pytest.fixture
def compared(supernet, tmp_path):
    """Compares all networks with a table; gives the folder and the scores."""

    def compared(name="default", **changes):
        codes = list(itertools.product(range(3), repeat=3))
        table = tmp_path / "table.csv"
        lines = [f'"{",".join(map(str, one))}",{sum(one)}\n' for one in codes]
        table.write_text("".join(["arch,acc\n", *lines]))
        options = {"num_architectures": 0, "scoring": "tree", "resamples": 5}
        correlate_supernet(
            supernet,
            table,
            accuracy_column="acc",
            options=CorrelationOptions(**{**options, **SCORING, **changes}),
            work_dir=tmp_path / "run",
            name=name,
            **GIVEN,
        )
        folder = tmp_path / "run" / "correlate"
        return folder, read_scores(folder / name / "scores.npz")

    return compared


def test_a_search_repeats_from_stored_scores(supernet, compared, tmp_path):
    blueprint = supernet.blueprint
    folder, stored = compared()
    # Behind the first slot 7 of 9 pairs are different networks.
    assert len(stored.encodings) == 21
    assert stored.truth.tolist() == stored.encodings.sum(axis=1).tolist()

    (tmp_path / "run" / "search").mkdir()
    shutil.copy(folder / "scores.jsonl", tmp_path / "run" / "search")
    macs = cost_table(blueprint, "macs")
    limit = float(np.quantile(macs(stored.encodings), 0.8))
    found = search_supernet(
        supernet,
        work_dir=tmp_path / "run",
        options=SEARCH,
        max_macs=limit,
        **GIVEN,
    )
    assert {one.worker for one in found.candidates} == {"memo"}

    merits = dict(
        zip(map(tuple, stored.encodings.tolist()), stored.merits, strict=True)
    )
    again = Evolution(
        blueprint.search_space,
        [Constraint(macs, maximum=limit)],
        SEARCH,
        blueprint.canonical,
    )
    while encodings := again.ask():
        again.tell(encodings, [merits[tuple(map(int, e))] for e in encodings])
    assert [(one.encoding, one.score) for one in found.candidates] == [
        (one.encoding, one.score) for one in again.scored
    ]
    assert found.best.encoding == ranked(again.scored)[0].encoding


def test_the_loss_ranks_too_and_stands_beside_the_accuracy(compared):
    _, accuracy = compared()
    folder, loss = compared("loss", scored_by="loss")
    assert loss.settings["metric"] == "loss"
    assert loss.settings["direction"] == "min"
    assert (loss.scores > 0).all() and len(np.unique(loss.scores)) == 21
    assert (loss.merits < 0).all()
    read = json.loads((folder / "loss" / "read_outs.json").read_text())
    names = [one["name"] for one in read["read_outs"]]
    assert names[:2] == ["loss", "default"]
    assert np.array_equal(accuracy.encodings, loss.encodings)


def test_training_images_are_scored_on_besides(compared):
    _, held_out = compared()
    _, both = compared("more", scored_training_images=20)
    # Right ones of 61 held-out and 20 training images.
    further = 81 * both.scores - 61 * held_out.scores
    assert further == pytest.approx(np.round(further), abs=1e-9)
    assert (further.round() >= 0).all() and (further.round() <= 20).all()
    assert not np.array_equal(both.scores, held_out.scores)


def test_what_cannot_be_scored_is_refused(compared):
    with pytest.raises(
        UserError, match="at most 40, the training images that are left"
    ):
        compared(scored_training_images=41)
