"""What three spaces compute, against values that are committed.

Renew them by `python -m pytest tests/golden --renew`, which says what changed;
the commit that renews says why.

Paths, costs and all of a search's record but its accuracies are exact. The
rest comes from float32 kernels, whose last bits differ between processors and
versions of TensorFlow, and training enlarges them: see `TOLERANCES`. Between
two processors the same code differed, as shares of 1 + value, by 0.03 in
weights and 0.06 in statistics of `shufflenet_blocks`, and by 0.36 in statistics
of `resnet18_bits`. A change of 1e-6 of the initial weights moved losses by 0.06
and scores by 0.13, hence `LOOSE_TOLERANCES` for it and `nasbench201`.

On one machine they are equal to the last bit: renewing says so.
"""

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from golden import runs

VALUES = pathlib.Path(__file__).with_name("values.json")
Values = dict[str, Any]
# Absolute and relative at once; see above.
TOLERANCES = {
    "losses": 0.01,
    "weights": 0.05,
    "statistics": 0.1,
    "scores": 0.1,
}
LOOSE_TOLERANCES = {
    "losses": 0.15,
    "weights": 0.05,
    "statistics": 0.75,
    "scores": 0.3,
}


class Trained(NamedTuple):
    losses: list[float]
    weights: Values
    evaluator: Any


@pytest.fixture(scope="module", params=runs.SPACES)
def space(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(space: str) -> Trained:
    supernet, losses = runs.train(space)
    return Trained(
        losses, runs.weights(supernet), runs.make_evaluator(supernet)
    )


@pytest.fixture
def committed(
    request: pytest.FixtureRequest, space: str
) -> Callable[[str, Values], Values]:
    """Gives the committed values of a kind; or renews them and skips."""

    def values(kind: str, computed: Values) -> Values:
        # A line each, so that a difference can be read.
        everything = json.loads(VALUES.read_text())
        start = f"{space}/{kind}/"
        found = {
            key.removeprefix(start): value
            for key, value in everything.items()
            if key.startswith(start)
        }
        if not request.config.getoption("--renew", default=False):
            return found
        changed = [
            key
            for key in sorted({*found, *computed})
            if found.get(key) != computed.get(key)
        ]
        everything = {
            key: value
            for key, value in everything.items()
            if not key.startswith(start)
        } | {start + key: value for key, value in computed.items()}
        lines = [
            f"{json.dumps(key)}: {json.dumps(everything[key])}"
            for key in sorted(everything)
        ]
        VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        said = ", ".join(changed) or "nothing"
        return pytest.skip(f"{space}, {kind}: {said} changed")

    return values


def test_paths(space, committed):
    drawn = runs.paths(space)
    assert drawn == committed("paths", drawn)


def test_costs(space, committed):
    counted = runs.costs(space)
    assert counted == committed("costs", counted)


def test_losses(space, trained, committed):
    found = {"steps": trained.losses}
    _assert_close(space, "losses", found, committed("losses", found))


def test_weights(space, trained, committed):
    found = trained.weights
    _assert_close(space, "weights", found, committed("weights", found))


def test_statistics(space, trained, committed):
    found = runs.statistics(trained.evaluator, space)
    _assert_close(space, "statistics", found, committed("statistics", found))


def test_scores(space, trained, committed):
    found = {"fixed": runs.scores(trained.evaluator, space)}
    _assert_close(space, "scores", found, committed("scores", found))


def test_search(request, space, trained, committed, tmp_path):
    # The algorithm is told the committed accuracies, so that no last bit
    # decides who becomes a parent; they are compared with what is computed.
    told = None
    if not request.config.getoption("--renew", default=False):
        told = [line["score"] for line in committed("search", {}).values()]
    record, computed = runs.search(trained.evaluator, space, tmp_path, told)
    values = committed("search", record)
    assert record == values
    accuracies = [line["score"] for line in values.values()]
    _assert_close(space, "scores", {"all": computed}, {"all": accuracies})


def _assert_close(
    space: str, kind: str, computed: Values, wanted: Values
) -> None:
    loose = space != "shufflenet_blocks"
    tolerance = (LOOSE_TOLERANCES if loose else TOLERANCES)[kind]
    assert computed.keys() == wanted.keys()
    for name, values in computed.items():
        np.testing.assert_allclose(
            values, wanted[name], rtol=tolerance, atol=tolerance, err_msg=name
        )
