import matplotlib.image
import numpy as np
import pytest

from spos_tf.analysis.correlation import RankCorrelation
from spos_tf.errors import UserError
from spos_tf.report.correlation_plots import (
    TrainedTau,
    plot_beside,
    plot_over_training,
    plot_scatter,
)

SOME = RankCorrelation(0.5, 0.4, 0.6, 100)
NONE = RankCorrelation(None, None, None, 100)
BARE = RankCorrelation(0.5, None, None, 0)


def scatter(path, count=50):
    scores, accuracies = np.random.default_rng(0).random((2, count))
    plot_scatter(
        scores, accuracies, path, title="tau", accuracy_label="test200"
    )


def over_training(path):
    series = {
        "recalibrated": [TrainedTau(200, SOME), TrainedTau(100, SOME)],
        "shared": [TrainedTau(100, NONE), TrainedTau(200, BARE)],
        "nothing": [],
    }
    plot_over_training(series, path, amount_label="steps")


def beside(path):
    plot_beside({"one": SOME, "two": BARE, "three": NONE}, path)


@pytest.mark.parametrize("draw", [scatter, over_training, beside])
def test_draws_a_png_and_leaves_nothing_else(draw, tmp_path):
    path = tmp_path / "drawn.png"
    path.write_text("old")
    draw(path)
    image = matplotlib.image.imread(path)
    assert image.shape[0] > 250 and image.shape[1] > 800
    assert image[..., :3].std() > 0.02  # not an empty page
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match="Cannot write"):
        draw(tmp_path / "no" / "drawn.png")


def test_nothing_to_draw(tmp_path):
    path = tmp_path / "drawn.png"
    with pytest.raises(UserError, match="at least one architecture"):
        scatter(path, count=0)
    undefined = {"a": [TrainedTau(1, NONE)], "b": []}
    with pytest.raises(UserError, match="at least one point where tau"):
        plot_over_training(undefined, path, amount_label="steps")
    with pytest.raises(UserError, match="at least one run"):
        plot_beside({}, path)
    assert not list(tmp_path.iterdir())
