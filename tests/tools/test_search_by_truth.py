"""benchmarks/search_by_truth.py, on made-up scores whose truth is known."""

import itertools
import json
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from source_tree import REPO
from spos_tf.analysis.benchmark_table import read_table
from spos_tf.analysis.stored_scores import StoredScores
from spos_tf.cost.constraint import Constraint
from spos_tf.cost.table import cost_table
from spos_tf.cost.user_cost import load_cost, user_cost
from spos_tf.options import SearchOptions
from spos_tf.search.evolution import Evolution
from spos_tf.spaces import build_blueprint

FULL = build_blueprint("nas_bench_macro")
PROXY = build_blueprint("nas_bench_macro", stem_stride=2)
ALL = np.array(list(itertools.product(range(3), repeat=8)), np.int32)
NETWORKS = np.unique(FULL.canonical(ALL), axis=0)
# Each layer adds its own gain, for which multiply-adds are a poor guide.
GAINS = np.random.default_rng(3).uniform(0, 2, (8, 3))
TRUTH = 80 + GAINS[np.arange(8), NETWORKS].sum(axis=1)
SETTINGS = {
    "search_space": "nas_bench_macro",
    "space_arguments": {"stem_stride": 2},
    "direction": "max",
    "table": "made up",
}


def program(*flags, name="search_by_truth"):
    return subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *flags],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs the program on scores; gives what it printed and wrote."""

    def run(scores, *flags):
        folder = tmp_path_factory.mktemp("truth")
        StoredScores(NETWORKS, scores, SETTINGS, TRUTH).write(
            folder / "scores.npz"
        )
        done = program(
            f"--scores={folder / 'scores.npz'}",
            f"--output={folder / 'found'}",
            "--seeds=4",
            *flags,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads((folder / "found.json").read_text())
        return done.stdout, found, folder

    return run


def test_with_perfect_scores_evolution_comes_close_to_the_best(run):
    printed, found, folder = run(TRUTH)
    assert [one["limit"] for one in found["limits"]] == [40e6, 55e6, 70e6]
    macs = cost_table(FULL, "macs")(NETWORKS)
    for one in found["limits"]:
        mean = {name: value["mean"] for name, value in one["means"].items()}
        legal = macs <= one["limit"]
        assert mean["best"] == pytest.approx(TRUTH[legal].max())
        largest = legal & (macs == macs[legal].max())
        assert mean["largest"] == pytest.approx(TRUTH[largest].mean())
        near = legal & (macs >= 0.97 * one["limit"])
        assert mean["random networks"] == pytest.approx(TRUTH[near].mean())
        assert (
            mean["random networks"]
            < mean["random search"]
            < mean["evolution"]
            <= mean["best"]
        )
        assert one["way"]["evolution"]["mean"] > 0.8
        assert one["way"]["evolution"]["count"] == 4
        lead = one["lead"]["evolution"]["random search"]
        assert lead["mean"] == pytest.approx(
            mean["evolution"] - mean["random search"]
        )
        assert lead["low"] <= lead["mean"] <= lead["high"]
        # Where scores are sums of layers, the fit changes nothing.
        assert mean["evolution, additive"] == mean["evolution"]
    assert found["table"] == "made up"
    assert printed.count("\n") == 5 and "| 55 M | " in printed
    image = matplotlib.image.imread(folder / "found.png")
    assert image[..., :3].std() > 0.02


def test_scores_that_know_nothing_find_nothing(run):
    noise = np.random.default_rng(0).normal(size=len(TRUTH))
    _, found, _ = run(noise, "--limits=55e6", "--seeds=8")
    (one,) = found["limits"]
    assert abs(one["way"]["evolution"]["mean"]) < 0.5


def test_the_additive_fit_sees_through_noise(run):
    noise = np.random.default_rng(0).normal(size=len(TRUTH))
    printed, found, _ = run(TRUTH + noise, "--limits=55e6", "--seeds=8")
    (one,) = found["limits"]
    by_fit = one["lead"]["evolution, additive"]
    assert by_fit["evolution"]["low"] > 0 < by_fit["random networks"]["low"]
    assert one["way"]["evolution, additive"]["mean"] > 0.8
    assert "| way of evolution, additive |" in printed


def test_networks_without_a_score_are_refused(tmp_path):
    path = tmp_path / "scores.npz"
    StoredScores(NETWORKS[:50], TRUTH[:50], SETTINGS, TRUTH[:50]).write(path)
    done = program(f"--scores={path}", f"--output={tmp_path / 'found'}")
    assert done.returncode and "No network costs about" in done.stderr


def test_widths_of_a_part_of_a_table(tmp_path):
    """Networks without a truth are not proposed; the truth is in the table."""
    space = build_blueprint("channel_bench_macro").search_space
    rng = np.random.default_rng(0)
    encodings = np.unique(space.sample(rng, 700), axis=0)
    uniform = [[3, 1, 1, 1, 3, 1, 1]]
    encodings = np.unique(np.concatenate([encodings, uniform]), axis=0)
    truth = 90 + (encodings @ [0, 3, 1, 1, 0, 2, 1]) / 10
    table = tmp_path / "table.npz"
    np.savez(table, encodings=encodings, mean=truth)
    settings = {
        "search_space": "channel_bench_macro",
        "space_arguments": {"preset": "quarter"},
        "direction": "min",
        "table": read_table(table).sha256,
        "accuracy_column": "mean",
    }
    StoredScores(encodings, -truth, settings).write(tmp_path / "scores.npz")
    done = program(
        f"--scores={tmp_path / 'scores.npz'}",
        f"--output={tmp_path / 'found'}",
        *(f"--table={table}", "--limits=110e6", "--seeds=2"),
    )
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / "found.json").read_text())["limits"]
    mean = {name: value["mean"] for name, value in one["means"].items()}
    full = build_blueprint("channel_bench_macro")
    macs = cost_table(full, "macs")(encodings)
    assert mean["best"] == pytest.approx(truth[macs <= 110e6].max())
    assert mean["uniform"] == pytest.approx(90.8)
    assert mean["evolution"] > mean["random networks"]
    assert one["means"]["ten widest"]["count"] == 10
    assert "uniform" in one["lead"]["evolution"]


def test_without_a_supernet(tmp_path):
    """An additive truth is found by an additive model of few trainings."""
    table = tmp_path / "table.npz"
    noise = np.random.default_rng(0).normal(0, 0.5, (len(TRUTH), 3))
    trained = TRUTH[:, None] + noise
    np.savez(table, encodings=NETWORKS, exact=TRUTH[:, None] + [0, 0, 0])
    done = program(
        *("--search_space=nas_bench_macro", f"--table={table}"),
        *("--trainings=exact", "--networks=200", "--draws=2"),
        name="without_supernet",
    )
    assert done.returncode == 0, done.stderr
    assert "3969 networks, 3 trainings" in done.stdout
    assert "tau between two trainings: 1.000" in done.stdout
    assert "200 trained networks: tau 1.000" in done.stdout
    np.savez(table, encodings=NETWORKS, noisy=trained)
    done = program(
        *("--search_space=nas_bench_macro", f"--table={table}"),
        *("--trainings=noisy", "--networks=200", "--draws=2"),
        name="without_supernet",
    )
    (line,) = [one for one in done.stdout.splitlines() if "between" in one]
    assert 0.5 < float(line.rpartition(" ")[2]) < 0.95


def test_a_search_of_the_smaller_supernet_proposes_the_same():
    """`search` with the cost of benchmarks/table_macs.py."""
    loaded = load_cost(f"{REPO / 'benchmarks' / 'table_macs.py'}:table_macs")
    ours = user_cost(PROXY, loaded)
    theirs = cost_table(FULL, "macs")
    assert ours(ALL).tolist() == theirs(ALL).tolist()
    options = SearchOptions(population=20, generations=3, seed=5)
    found = []
    for blueprint, cost in ((PROXY, ours), (FULL, theirs)):
        search = Evolution(
            blueprint.search_space,
            [Constraint(cost, maximum=55e6)],
            options,
            blueprint.canonical,
        )
        proposed = []
        while encodings := search.ask():
            search.tell(encodings, [float(one.sum() % 5) for one in encodings])
            proposed += [one.tolist() for one in encodings]
        found.append(proposed)
    assert found[0] == found[1] and len(found[0]) == 60
