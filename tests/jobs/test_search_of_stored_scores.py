"""A search takes its scores from a file, and evaluates nothing.

This is how `spos search` repeats what benchmarks/search_by_truth.py finds in
stored scores.
"""

import itertools
import shutil

import numpy as np
import pytest

from random_images import GIVEN, VALIDATION
from spos_tf.analysis.stored_scores import read_scores
from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import cost_table
from spos_tf.data.examples import Split
from spos_tf.data.splits import fingerprint
from spos_tf.jobs.correlate import correlate_supernet
from spos_tf.jobs.search import search_supernet
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.supernet import Supernet
from spos_tf.options import CorrelationOptions, SearchOptions
from spos_tf.search.evolution import Evolution
from spos_tf.spaces import build_blueprint

SCORING = {"recalibration_images": 30, "evaluation_batch_size": 20}
SEARCH = SearchOptions(population=8, generations=3, top_k=4, seed=3, **SCORING)


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


def test_a_search_repeats_from_stored_scores(supernet, tmp_path):
    blueprint = supernet.blueprint
    codes = list(itertools.product(range(3), repeat=3))
    table = tmp_path / "table.csv"
    lines = [f'"{",".join(map(str, one))}",{sum(one)}\n' for one in codes]
    table.write_text("".join(["arch,acc\n", *lines]))
    correlate_supernet(
        supernet,
        table,
        accuracy_column="acc",
        options=CorrelationOptions(
            num_architectures=0,
            scoring="tree",
            seed=SEARCH.seed,
            resamples=5,
            **SCORING,
        ),
        work_dir=tmp_path / "run",
        **GIVEN,
    )
    folder = tmp_path / "run" / "correlate"
    stored = read_scores(folder / "default" / "scores.npz")
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
    assert found.best.encoding == again.best.encoding
