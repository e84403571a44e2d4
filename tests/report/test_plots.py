import collections
import types

import matplotlib.image
import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.report.plots import plot_front, plot_search

Point = collections.namedtuple(
    "Point", "i generation score metric direction", defaults=["accuracy", "max"]
)


def record(count, size=10, seed=0):
    accuracies = np.random.default_rng(seed).random(count)
    return [Point(i, i // size, a) for i, a in enumerate(accuracies)]


@pytest.mark.parametrize(
    "records",
    [
        {"evolution": record(60), "random": record(60, seed=1)},
        {"evolution": record(25), "random": record(7)},
        {"random": record(1)},
        {"evolution": record(12)[::-1], "empty": []},
        {str(number): record(11, seed=number) for number in range(6)},
    ],
)
def test_draws_a_png_and_leaves_nothing_else(records, tmp_path):
    path = tmp_path / "search.png"
    path.write_text("old")
    plot_search(records, path)
    image = matplotlib.image.imread(path)
    assert image.shape[0] > 400 and image.shape[1] > 800
    assert image[..., :3].std() > 0.02  # not an empty page
    assert list(tmp_path.iterdir()) == [path]


def test_colours_tell_the_searches_apart(tmp_path):
    path = tmp_path / "search.png"
    plot_search({"a": record(40), "b": record(40, seed=1)}, path)
    pixels = (matplotlib.image.imread(path)[..., :3] * 255).round()
    for color in ((0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)):
        assert (pixels == color).all(axis=-1).sum() > 100


@pytest.mark.parametrize("records", [{}, {"evolution": []}])
def test_nothing_to_draw(records, tmp_path):
    with pytest.raises(UserError, match="at least one evaluated candidate"):
        plot_search(records, tmp_path / "search.png")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(UserError, match="Cannot write"):
        plot_search({"a": record(3)}, tmp_path / "no" / "search.png")


def test_a_front_is_drawn_over_its_cost(tmp_path):
    def one(macs, accuracy):
        return types.SimpleNamespace(
            costs={"macs": macs},
            score=accuracy,
            metric="accuracy",
            direction="max",
        )

    candidates = [one(3, 0.5), one(1, 0.2), one(2, 0.1)]
    path = tmp_path / "front.png"
    plot_front(candidates, [candidates[1], candidates[0]], "macs", path)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="at least one candidate"):
        plot_front([], [], "macs", path)
