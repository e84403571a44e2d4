import matplotlib.image
import numpy as np
import pytest

from spos_tf.errors import UserError
from truth_plot import AtLimit, plot_truth

COSTS, TRUTH = np.random.default_rng(0).uniform(10, 90, (2, 200))
WAYS = {
    "evolution": [AtLimit(40, 80, 2), AtLimit(60, 85, 1)],
    "best": [AtLimit(40, 88, 0), AtLimit(60, 89, 0)],
}


def test_draws_a_png_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "truth.png"
    plot_truth(COSTS, TRUTH, WAYS, path, cost_label="MACs", lowest=50)
    image = matplotlib.image.imread(path)
    assert image.shape[0] > 250 and image.shape[1] > 800
    assert image[..., :3].std() > 0.02
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("costs", "ways", "message"),
    [
        (COSTS[:0], WAYS, "at least one"),
        (COSTS, dict.fromkeys("abcdef", WAYS["best"]), "tells 5 ways .* got 6"),
    ],
)
def test_what_cannot_be_drawn(tmp_path, costs, ways, message):
    path = tmp_path / "truth.png"
    with pytest.raises(UserError, match=message):
        plot_truth(costs, TRUTH[: len(costs)], ways, path, cost_label="MACs")
    assert not path.exists()
