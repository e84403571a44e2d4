"""What a training takes on images of one's own, where nobody says it."""

import dataclasses
import io
import math
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spos_tf.cost.description import cost_ranges
from spos_tf.data.examples import AnySplit, NoTestImages, Source, Split
from spos_tf.data.inputs import Images, images_of
from spos_tf.data.sources import DataSource
from spos_tf.errors import UserError
from spos_tf.jobs.data import kept_back, preprocessing_of, usual_holdout
from spos_tf.jobs.notes import tell
from spos_tf.jobs.process import process_settings
from spos_tf.jobs.run_folder import options_of_run, recipe_name_of_run
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.subnet import build_subnet
from spos_tf.options import (
    Recipe,
    SubnetOptions,
    SupernetOptions,
    TrainingOptions,
    recipe_of,
)
from spos_tf.spaces import build_blueprint, preset_names

# The name of a recipe that was made for the images at hand.
PLANNED = "planned"
TEST_FRACTION = 0.2
# A training takes at most so long, with what it does besides steps.
_SECONDS, _SHARE_OF_STEPS = 3600.0, 0.9
# Passes over the images after which more time is better spent otherwise.
_MOST_EPOCHS = 300
_BATCH, _LEAST_BATCH = 64, 8
_RECALIBRATION_IMAGES = 2_000
# Options that have no recipe and are picked.
_PICKED = ("holdout_per_class", "recalibration_images", "validate_every")
_VALIDATIONS = 4
# Images whose sizes are looked at, and steps that are timed.
_LOOKED_AT, _TIMED = 64, 3
# Image sizes: below these sides images are enlarged and hold no more.
_SIZES = (224, 160, 128, 96, 64, 32)
_FEW = 2_000
_SIZE_OF_FEW, _SIZE_OF_MANY, _SIZE_ON_GPU = 96, 64, 224


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What `train_supernet` takes, and why.

    Attributes:
        blueprint: The search space and its networks.
        train: The images.
        options: Values that the caller set, and those without a recipe.
        recipe: Values of the options that are still None.
        reasons: Lines that say what was picked and why, and how long the
            training takes.
    """

    blueprint: Blueprint
    train: DataSource
    options: SupernetOptions
    recipe: Recipe
    reasons: tuple[str, ...]


def plan_supernet(
    train: DataSource,
    *,
    search_space: str = "shufflenet_blocks",
    options: TrainingOptions | None = None,
) -> TrainingPlan:
    """Picks sizes and steps of a supernet for the images and this device.

    Images are read, and a few steps of one network are timed.

    Args:
        train: A folder or a TFDS set.
        search_space: Name of the search space, as for `build_blueprint`.
        options: Values that you set yourself; those that are None are picked.

    Returns:
        The arguments of `train_supernet`.

    Raises:
        UserError: The images cannot be read.

    Example:
        >>> plan = spos_tf.plan_supernet(  # doctest: +SKIP
        ...     spos_tf.folder("photos"))
        >>> spos_tf.train_supernet(  # doctest: +SKIP
        ...     plan.blueprint, plan.train, options=plan.options,
        ...     recipe=plan.recipe, work_dir="runs/photos")
    """
    given = SupernetOptions.of(options or SupernetOptions())
    train, source, reasons = _with_test_images(train)
    preset, pixels, reason = _size_for(source, search_space)
    blueprint = build_blueprint(
        search_space,
        preset=preset,
        image_size=pixels,
        num_classes=source.num_classes,
    )
    reasons.extend([reason, _limits_of(blueprint)])
    images = images_of(
        train, argument="train", num_classes=blueprint.num_classes
    )
    changes: dict[str, Any] = {}
    if given.holdout_per_class is None:
        count, reason = usual_holdout(images)
        changes["holdout_per_class"] = count
        reasons.append(reason)
    if given.recalibration_images == SupernetOptions().recalibration_images:
        changes["recalibration_images"] = _RECALIBRATION_IMAGES
        reasons.append(
            f"recalibration_images={_RECALIBRATION_IMAGES}: a tenth of the "
            "paper's, so that a score takes seconds on a CPU."
        )
    given = dataclasses.replace(given, **changes)
    if given.holdout_per_class:
        images, *_ = kept_back(
            images, given.holdout_per_class, given.confirm_per_class
        )
    encoding = blueprint.search_space.sample(np.random.default_rng(0), 1)[0]
    recipe, steps_reasons = _recipe(blueprint, encoding, images, given)
    if given.validate_every == SupernetOptions().validate_every:
        steps = given.steps or recipe.values.get("steps") or _VALIDATIONS
        every = max(1, steps // _VALIDATIONS)
        given = dataclasses.replace(given, validate_every=every)
    return TrainingPlan(
        blueprint, train, given, recipe, (*reasons, *steps_reasons)
    )


def stored_plan(
    folder: pathlib.Path,
    train: DataSource,
    *,
    search_space: str,
    options: TrainingOptions,
) -> TrainingPlan | None:
    """The plan of a run that is resumed; None where none was planned.

    Args:
        folder: Of the run.
        train: The images.
        search_space: As in `plan_supernet`.
        options: As in `plan_supernet`.
    """
    recipe = stored_recipe(folder, SupernetOptions)
    if recipe is None:
        return None
    before = options_of_run(folder)
    usual, given = SupernetOptions(), SupernetOptions.of(options)
    changes = {
        name: before[name]
        for name in _PICKED
        if getattr(given, name) == getattr(usual, name)
    }
    return TrainingPlan(
        build_blueprint(search_space, **before["space_arguments"]),
        train,
        dataclasses.replace(given, **changes),
        recipe,
        (),
    )


def stored_recipe(
    folder: pathlib.Path, kind: type[TrainingOptions]
) -> Recipe | None:
    """What was picked for a run; None where nothing was.

    Args:
        folder: Of the run.
        kind: Of its options.
    """
    if recipe_name_of_run(folder) != PLANNED:
        return None
    options = options_of_run(folder)
    return Recipe(
        PLANNED,
        {
            one.name: options.get(one.name)
            for one in kind.described()
            if one.about.from_recipe
        },
    )


def planned_subnet(
    network: Any,
    train: DataSource,
    options: TrainingOptions,
    folder: pathlib.Path,
    supernet: pathlib.Path,
) -> tuple[Recipe | None, tuple[str, ...]]:
    """What is picked for a single network, where its supernet's was.

    Args:
        network: As in `plan_subnet`.
        train: The images.
        options: As in `plan_subnet`.
        folder: Of the run; one that is resumed keeps its own.
        supernet: Folder of the supernet.

    Returns:
        `recipe` of `train_subnet`, and lines that say why.
    """
    own = stored_recipe(folder, SubnetOptions)
    if own is not None or recipe_name_of_run(supernet) != PLANNED:
        return own, ()
    if options_of_run(folder):
        return None, ()
    return plan_subnet(network, train, options)


def plan_subnet(
    network: Any, train: DataSource, options: TrainingOptions | None = None
) -> tuple[Recipe, tuple[str, ...]]:
    """Picks the steps of a single network for the images and this device.

    Args:
        network: With a `blueprint` and an `encoding`.
        train: A folder or a TFDS set.
        options: What is not to be picked.

    Returns:
        `recipe` of `train_subnet`, and lines that say why.

    Raises:
        UserError: The images cannot be had.
    """
    blueprint, encoding = network.blueprint, network.encoding
    given = SubnetOptions.of(options or SubnetOptions())
    images = images_of(
        train, argument="train", num_classes=blueprint.num_classes
    )
    return _recipe(blueprint, encoding, images, given)


def _with_test_images(
    train: DataSource,
) -> tuple[DataSource, Source, list[str]]:
    """The data set, split where it has no test images, and what is in it."""
    try:
        return train, train.load(), []
    except NoTestImages:
        train = dataclasses.replace(train, test_fraction=TEST_FRACTION)
    source = train.load()
    reason = (
        f"test_fraction={TEST_FRACTION}: there are no test images of their "
        f"own; {len(source.train):,} of "
        f"{len(source.train) + len(source.test):,} images are left to train "
        "on."
    )
    return train, source, [reason]


def _size_for(source: Source, search_space: str) -> tuple[str, int, str]:
    """The preset and image size that suit data and device, and why."""
    side, count = _typical_side(source.train), len(source.train)
    if tf.config.list_physical_devices("GPU"):
        wanted, device = _SIZE_ON_GPU, "on a GPU images"
    elif count < _FEW:
        wanted = _SIZE_OF_FEW
        device = f"on a CPU fewer than {_FEW:,} images"
    else:
        wanted = _SIZE_OF_MANY
        device = f"on a CPU {_FEW:,} images and more"
    pixels = next((one for one in _SIZES if one <= min(side, wanted)), 8)
    if pixels == 8 and side >= 16:
        # Enlarged a little: that is the size that networks are made for.
        pixels = 32
    preset = "imagenet" if pixels >= 64 else "cifar" if pixels >= 32 else "demo"
    known = preset_names(search_space)
    if preset not in known:
        preset = known[0]
    reason = (
        f"preset={preset}, image_size={pixels}: the short side of the images "
        f"is {side} pixels (median), and {device} are trained at {wanted}."
    )
    return preset, pixels, reason


def _limits_of(blueprint: Blueprint) -> str:
    """What a search can be limited to, said before hours of training."""
    macs = cost_ranges(blueprint)["macs"]
    return (
        f"Networks of this size take {macs['least']:,} to {macs['most']:,} "
        f"multiply-adds, half of them at most {macs['median']:,}. If "
        "your limit is well below that, stop, and give a smaller "
        "`image_size`, or `space_arguments`."
    )


def _typical_side(split: AnySplit) -> int:
    """Median short side in pixels of some images."""
    if isinstance(split, Split) and split.kind == "pixels":
        return int(min(split.items.shape[1:3]))
    sides = [side for side in map(_side, _some(split)) if side]
    if not sides:
        raise UserError(
            f"None of {_LOOKED_AT} images of {split.name!r} can be read. "
            "`spos check_data` says why."
        )
    return int(np.median(sides))


def _some(split: AnySplit) -> Sequence[Any]:
    """Some images as Pillow opens them: paths, or files in memory."""
    if not isinstance(split, Split):
        records = split.records().take(_LOOKED_AT)
        return [io.BytesIO(image) for image, _ in records.as_numpy_iterator()]
    chosen = np.random.default_rng(0).permutation(len(split))[:_LOOKED_AT]
    opened = os.fsdecode if split.kind == "files" else io.BytesIO
    return [opened(split.items[index]) for index in chosen]


def _side(image: Any) -> int:
    """Short side of an image in pixels; 0 if it is none."""
    from PIL import Image

    try:
        with Image.open(image) as opened:
            return min(opened.size)
    except (OSError, ValueError):
        return 0


def _recipe(
    blueprint: Blueprint,
    encoding: np.ndarray,
    images: Images,
    given: TrainingOptions,
) -> tuple[Recipe, tuple[str, ...]]:
    """Steps, batch size and the rest, and the time that they take."""
    count = images.count or 0
    # Single networks' for supernets too: what Adam does for theirs was measured
    # on CIFAR-10 only.
    small = dict(recipe_of("subnet", "cifar", 32).values)
    batch = given.batch_size
    if batch is None:
        batch = min(_BATCH, max(_LEAST_BATCH, count // 4))
    share = batch / small["batch_size"]
    rates = {name: small[name] * share for name in small if "_rate" in name}
    values = {**small, **rates, "batch_size": batch}
    pace = _measured(blueprint, encoding, images, given, batch)
    pace = pace._replace(network=pace.network * _branches(blueprint, given))
    fits = int(_SECONDS * _SHARE_OF_STEPS / pace.seconds)
    enough = math.ceil(_MOST_EPOCHS * count / batch)
    values["steps"] = max(1, min(fits, enough))
    steps = given.steps or values["steps"]
    if given.epochs is not None:
        steps = math.ceil(given.epochs * count / batch)
    reasons = []
    if given.steps is None and given.epochs is None:
        why = (
            f"{_MOST_EPOCHS} passes over {count:,} images"
            if enough <= fits
            else f"what fits into {_SECONDS / 60:.0f} minutes"
        )
        reasons.append(f"steps={values['steps']:,}, batch_size={batch}: {why}.")
    minutes = steps * pace.seconds / _SHARE_OF_STEPS / 60
    passes = steps * batch / max(count, 1)
    reasons.append(
        f"Expected time: at most about {_duration(minutes)} for {passes:.0f} "
        f"passes over {count:,} images. A step took {pace.seconds:.2f} s here "
        f"({pace.network:.2f} s for the network, {pace.reading:.2f} s to read "
        "the images)."
    )
    return Recipe(PLANNED, values), tuple(reasons)


def _branches(blueprint: Blueprint, given: TrainingOptions) -> int:
    """How many options of a choice run in a step, at most."""
    if getattr(given, "algorithm", "single_path") == "single_path":
        return 1
    return int(blueprint.search_space.num_options.max())


def _duration(minutes: float) -> str:
    if minutes < 1.5:
        return "a minute"
    if minutes < 90:
        return f"{minutes:.0f} minutes"
    return f"{minutes / 60:.1f} hours"


class _Pace(NamedTuple):
    """Seconds of a step."""

    network: float
    reading: float
    shares_device: bool

    @property
    def seconds(self) -> float:
        """What a whole step takes."""
        if self.shares_device:
            return self.network + self.reading
        return max(self.network, self.reading)


def _measured(
    blueprint: Blueprint,
    encoding: np.ndarray,
    images: Images,
    options: TrainingOptions,
    batch_size: int,
) -> _Pace:
    """Times a few steps of one network, and of the reading.

    A step of a supernet runs one path and takes no longer than that of the
    network by itself.
    """
    tell(
        "Timing a few steps of one network, to see how many fit in. This takes "
        "a minute or two, and longer on a machine that is busy."
    )
    data = images.training(preprocessing_of(blueprint, options))
    taken: list[Any] = []
    with data.errors():
        started = 0.0
        for batch in data.batches(
            batch_size=batch_size, start_step=0, num_steps=_TIMED + 1, seed=0
        ):
            # Pipelines start with the first batch.
            started = started or time.perf_counter()
            taken.append(batch)
        reading = (time.perf_counter() - started) / _TIMED
    with process_settings(
        deterministic=options.deterministic, dtype_policy=options.dtype_policy
    ):
        network = build_subnet(blueprint, encoding)
        network.compile(
            keras.optimizers.SGD(0.0, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        # Traces, and makes what kernels prepare.
        for _ in range(2):
            network.train_on_batch(*taken[0])
        times = []
        for batch in taken[1:]:
            started = time.perf_counter()
            network.train_on_batch(*batch)
            times.append(time.perf_counter() - started)
    on_cpu = not tf.config.list_physical_devices("GPU")
    return _Pace(float(np.median(times)), reading, on_cpu)
