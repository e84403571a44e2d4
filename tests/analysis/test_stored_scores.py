import re

import numpy as np
import pytest

from mean_interval import mean_interval
from source_tree import REPO
from spos_tf.analysis.stored_scores import StoredScores, read_scores
from spos_tf.errors import UserError

COMMITTED = sorted((REPO / "docs" / "results").glob("*.npz"))
# Tables whose licence allows to show what is in them.
SHOWN = ("nas_bench_macro", "nasbench201")
STORED = StoredScores(
    np.array([[0, 1], [2, 0]], np.int32),
    np.array([0.5, 0.25]),
    {"direction": "max", "table": "abc"},
    np.array([91.0, 90.0]),
)


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "scores.npz"
    STORED.write(path)
    found = read_scores(path)
    assert found.encodings.dtype == np.int32
    assert found.encodings.tolist() == [[0, 1], [2, 0]]
    assert found.scores.tolist() == found.merits.tolist() == [0.5, 0.25]
    assert found.settings == STORED.settings
    assert found.truth.tolist() == [91, 90]
    assert len(found.sha256) == 64
    # Anybody can read it.
    with np.load(path) as arrays:
        assert str(arrays["settings"]) == (
            '{"direction": "max", "table": "abc"}'
        )


def test_without_truth_and_where_less_is_better(tmp_path):
    path = tmp_path / "scores.npz"
    StoredScores(STORED.encodings, STORED.scores, {"direction": "min"}).write(
        path
    )
    found = read_scores(path)
    assert found.truth is None
    assert found.merits.tolist() == [-0.5, -0.25]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scores": None}, "has no 'scores'"),
        ({"settings": None}, "has no 'settings'"),
        ({"scores": np.zeros(3)}, "scores are not 2 finite numbers"),
        ({"truth": np.array([1, np.nan])}, "truth are not 2 finite"),
        ({"encodings": np.zeros(2, np.uint8)}, "encodings are"),
        ({"settings": np.array("{}")}, "do not say which scores are better"),
        ({"settings": np.array("{")}, "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path, changed, message):
    path = tmp_path / "scores.npz"
    STORED.write(path)
    with np.load(path) as file:
        arrays = {**file, **changed}
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(UserError, match=message):
        read_scores(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="Cannot read scores"):
        read_scores(tmp_path / "no.npz")
    with pytest.raises(UserError, match="Cannot write"):
        STORED.write(tmp_path / "no" / "scores.npz")


def test_the_interval_of_a_mean():
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = mean_interval(values)
    assert found.mean == pytest.approx(values.mean())
    # Of a normal mean: 1.96 standard errors on either side.
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.1, rel=0.1)
    assert found.spread == pytest.approx(values.std(ddof=1))
    assert found.count == 400
    alone = mean_interval([7.0])
    assert (alone.mean, alone.low, alone.high, alone.spread) == (7, 7, 7, 0)
    with pytest.raises(ValueError, match="repetitions"):
        mean_interval([])


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_scores_behind_the_results_say_what_they_are(path):
    assert path.stat().st_size <= 300_000
    with np.load(path) as arrays:
        assert {*arrays.files} - {"truth"} == {
            *("encodings", "scores", "settings")
        }
    found = read_scores(path)
    assert re.fullmatch("[0-9a-f]{64}", found.settings["table"])
    assert found.truth is None or path.stem.startswith(SHOWN)


def test_there_are_scores_behind_the_results():
    assert COMMITTED
