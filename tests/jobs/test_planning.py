"""What is picked for images of one's own."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.cost.description import cost_ranges
from spos_tf.data.examples import NoTestImages, Source, Split
from spos_tf.data.sources import DataSource
from spos_tf.jobs import planning
from spos_tf.jobs.planning import plan_supernet
from spos_tf.options import SupernetOptions

CLASSES = 5
# Seconds of a step: the network, and reading.
PACE = (0.5, 0.1)


@pytest.fixture
def pictures(monkeypatch):
    """`pictures(count, side)` -> a folder's name; it takes no memory."""

    def made(count, side, tested=True):
        def split(number, name):
            pixel = np.zeros((1, 1, 1, 1), np.uint8)
            items = np.broadcast_to(pixel, (number, side, side + 20, 3))
            labels = np.arange(number, dtype=np.int32) % CLASSES
            return Split(items, labels, "pixels", name)

        def load(source):
            if not tested and not source.test_fraction:
                raise NoTestImages("no test images")
            train = count * 4 // 5
            return Source(
                "pictures",
                CLASSES,
                tuple("abcde"),
                split(train, "train"),
                split(count - train, "test"),
            )

        monkeypatch.setattr(DataSource, "load", load)
        monkeypatch.setattr(Split, "select", _selected)
        return DataSource("folder:pictures")

    return made


def _selected(split, rows, name=None):
    """`Split.select` of images that are all the same; it copies none."""
    items = np.broadcast_to(
        split.items[:1], (len(rows), *split.items.shape[1:])
    )
    return Split(items, split.labels[rows], split.kind, name or split.name)


@pytest.fixture
def pace(monkeypatch):
    """Steps take what is said, not what they take on this machine."""
    monkeypatch.setattr(
        planning, "_measured", lambda *_: planning._Pace(*PACE, True)
    )


@pytest.mark.parametrize(
    ("count", "side", "preset", "size", "holdout", "batch", "steps"),
    [
        # 300 passes over 400 - 5 * (16 + 8) images, in batches of 64.
        (500, 480, "imagenet", 96, 16, 64, 1313),
        # What fits into 0.9 of an hour.
        (5_000, 480, "imagenet", 64, 50, 64, 5400),
        (50_000, 480, "imagenet", 64, 50, 64, 5400),
        # Images are not enlarged, or hardly.
        (50_000, 32, "cifar", 32, 50, 64, 5400),
        (1_000, 28, "cifar", 32, 32, 64, 2625),
        (1_000, 8, "demo", 8, 32, 64, 2625),
        (500, 70, "imagenet", 64, 16, 64, 1313),
        # 60 - 5 * (2 + 1) images, in batches of 11.
        (75, 480, "imagenet", 96, 2, 11, 1228),
    ],
)
def test_sizes_and_steps_follow_the_images(
    pictures, pace, count, side, preset, size, holdout, batch, steps
):
    plan = plan_supernet(pictures(count, side))
    assert (
        plan.blueprint.space_arguments["preset"] == preset
        if (preset != "imagenet")
        else "preset" not in plan.blueprint.space_arguments
    )
    assert plan.blueprint.image_size == size
    assert plan.blueprint.num_classes == CLASSES
    assert plan.options.holdout_per_class == holdout
    assert plan.options.recalibration_images == 2_000
    assert plan.options.validate_every == steps // 4
    values = plan.recipe.values
    assert (values["batch_size"], values["steps"]) == (batch, steps)
    assert values["learning_rate"] == pytest.approx(0.05 * batch / 64)
    assert values["initialization"] == "aligned"
    said = "\n".join(plan.reasons)
    least = cost_ranges(plan.blueprint)["macs"]["least"]
    for part in (
        f"image_size={size}:",
        f"Networks of this size take {least:,} to ",
        f"steps={steps:,}",
        f"holdout_per_class={holdout}:",
        "A step took 0.60 s here (0.50 s for the network, 0.10 s to read",
    ):
        assert part in said
    assert "test_fraction" not in said
    # 0.6 s a step, and a tenth for the rest.
    minutes = steps * 0.6 / 0.9 / 60
    assert f"at most about {minutes:.0f} minutes" in said and minutes <= 60


def test_a_gpu_takes_larger_images(pictures, pace, monkeypatch):
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind=None: ["a GPU"]
    )
    assert plan_supernet(pictures(5_000, 480)).blueprint.image_size == 224
    assert plan_supernet(pictures(5_000, 200)).blueprint.image_size == 160


def test_what_is_said_is_not_picked(pictures, pace):
    given = SupernetOptions(
        steps=70,
        batch_size=16,
        holdout_per_class=3,
        recalibration_images=99,
        validate_every=7,
    )
    plan = plan_supernet(pictures(5_000, 480), options=given)
    assert plan.options == given
    said = "\n".join(plan.reasons)
    for name in ("steps=", "holdout_per_class=", "recalibration_images="):
        assert name not in said
    assert "at most about a minute for 0 passes" in said
    epochs = SupernetOptions(epochs=2)
    plan = plan_supernet(pictures(5_000, 480), options=epochs)
    assert "about a minute for 2 passes over 3,500 images" in plan.reasons[-1]


def test_where_all_branches_run_a_step_takes_longer(pictures, pace):
    options = SupernetOptions(algorithm="gumbel")
    plan = plan_supernet(pictures(50_000, 480), options=options)
    # Four options: 2.1 s a step.
    assert plan.recipe.values["steps"] == int(0.9 * 3600 / 2.1)
    assert "A step took 2.10 s here (2.00 s for the network" in plan.reasons[-1]


def test_without_test_images_a_fifth_is_taken(pictures, pace):
    plan = plan_supernet(pictures(500, 480, tested=False))
    assert plan.train.test_fraction == 0.2
    assert plan.reasons[0].startswith("test_fraction=0.2: ")
    assert "400 of 500 images are left" in plan.reasons[0]
