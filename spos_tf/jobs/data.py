"""The images of a job: what is trained on, and what is scored on."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from spos_tf.data.dataset_images import STREAMED
from spos_tf.data.inputs import Images, SplitImages, images_of
from spos_tf.data.pipeline import TrainingData
from spos_tf.data.preprocessing import (
    PreprocessingOptions,
    default_augmentation,
)
from spos_tf.data.sources import DataSource
from spos_tf.data.splits import MOST_HELD_OUT
from spos_tf.errors import UserError
from spos_tf.jobs.notes import tell
from spos_tf.jobs.run_folder import inputs_of_run
from spos_tf.jobs.trained import SearchData, TrainedSupernet
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import ImageOptions, Options

# How long files are decoded for, before a training begins, that are first
# needed at its end: minutes of work are not lost, and a resume does not wait.
_DECODING_SECONDS = 20.0


@dataclasses.dataclass(frozen=True, eq=False)
class JobData:
    """The images of a training.

    Attributes:
        training: What the weights are trained on.
        images: The same images, to take a subset of.
        scored: Images that the weights do not see; None where there are none.
        confirmation: Images that neither the weights nor a search see,
            likewise.
        confirm_per_class: How many of a class they are.
        preprocessing: How images become inputs.
        class_names: In the order of the outputs.
        inputs: Fingerprints for `run.json`, by name of an argument.
    """

    training: TrainingData
    images: Images
    scored: Images | None
    confirmation: Images | None
    confirm_per_class: int
    preprocessing: PreprocessingOptions
    class_names: tuple[str, ...]
    inputs: dict[str, str]


def preprocessing_of(
    blueprint: Blueprint, options: ImageOptions
) -> PreprocessingOptions:
    """How images become inputs of the blueprint's networks."""
    size = blueprint.image_size
    return PreprocessingOptions(
        image_size=size,
        augmentation=options.augmentation or default_augmentation(size),
        color_jitter=options.color_jitter,
        eval_resize=options.eval_resize,
    )


def source_options(*given: Any) -> tuple[Options, ...]:
    """The options that name a data set; none for other images."""
    return tuple(
        one.options for one in given[:1] if isinstance(one, DataSource)
    )


def training_data(
    train: Any,
    blueprint: Blueprint,
    options: ImageOptions,
    *,
    holdout_per_class: int,
    confirm_per_class: int | None = 0,
    validation: Any = None,
    class_names: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    way_out: str = "",
) -> JobData:
    """The images that a network is trained on.

    Args:
        train: `(images, labels)`, a data set, or a `tf.data.Dataset`.
        blueprint: Of the network.
        options: How images become inputs.
        holdout_per_class: Images of a class that are kept back where no
            `validation` is given.
        confirm_per_class: Images of a class that are kept back besides to
            confirm a winner on; None for as many as is usual.
        validation: Images that are scored on, likewise.
        class_names: Replace those of the data.
        outputs: Names of the classes in the order of the outputs, where the
            weights that the training starts with have it.
        way_out: See `images_of`.

    Raises:
        UserError: The images cannot be had, or do not fit the network.
    """
    images = images_of(
        train,
        argument="train",
        num_classes=blueprint.num_classes,
        class_names=class_names,
        outputs=outputs,
        way_out=way_out,
    )
    refuse_bad_files(images)
    preprocessing = preprocessing_of(blueprint, options)
    inputs = {"train": images.fingerprint()}
    scored: Images | None = None
    confirmation: Images | None = None
    if validation is not None:
        _refuse_the_same(train, validation)
        scored = images_of(
            validation,
            argument="validation",
            num_classes=blueprint.num_classes,
            class_names=class_names,
            outputs=images.class_names,
        )
        refuse_bad_files(scored)
        inputs["validation"] = scored.fingerprint()
    elif holdout_per_class:
        images, scored, confirmation, confirm_per_class = kept_back(
            images, holdout_per_class, confirm_per_class
        )
    for late in (scored, confirmation):
        refuse_undecodable(late)
    if isinstance(train, tf.data.Dataset):
        tell(
            "A tf.data.Dataset is not augmented here: map your augmentation "
            "over it."
        )
    return JobData(
        training=images.training(preprocessing),
        images=images,
        scored=scored,
        confirmation=confirmation,
        confirm_per_class=0 if confirmation is None else confirm_per_class or 0,
        preprocessing=preprocessing,
        class_names=_names(blueprint, images),
        inputs=inputs,
    )


def usual_holdout(images: Images) -> tuple[int, str]:
    """How many images of a class paths are scored on, where nobody says.

    Returns:
        The number, and a line that says why.
    """
    count = images.holdout_count()
    return count, (
        f"holdout_per_class={count}: a fifth of the smallest class, at least "
        f"1 and at most {MOST_HELD_OUT}."
    )


def kept_back(
    images: Images, holdout_per_class: int, confirm_per_class: int | None
) -> tuple[Images, Images, Images | None, int]:
    """Keeps images back from a training.

    Args:
        images: All training images.
        holdout_per_class: Images of a class that paths are scored on.
        confirm_per_class: Images of a class that a winner is confirmed on;
            None for the usual ones.

    Returns:
        What is left, both kinds of images, and how many of a class the
        second ones are.

    Raises:
        UserError: There are not as many as were asked for.
    """
    count = confirm_per_class
    if count is None:
        count = images.confirmation_count(holdout_per_class)
    left, scored = images.hold_out(holdout_per_class)
    if not count:
        return left, scored, None, 0
    try:
        left, confirmation = left.hold_out(count, "confirm_per_class")
    except UserError as error:
        if confirm_per_class is not None:
            raise
        # The mean size of a class said nothing of the smallest.
        tell(f"No images are kept back to confirm a winner on: {error}")
        return left, scored, None, 0
    return left, scored, confirmation, count


def refuse_bad_files(images: Images) -> None:
    """Refuses image files that are none before hours of training have passed.

    Raises:
        UserError: It names all of them.
    """
    if isinstance(images, SplitImages):
        images.refuse_bad_files()


def refuse_undecodable(images: Images | None) -> None:
    """Decodes image files that a training reads at its end alone.

    One that was cut off would otherwise be found after the last step.

    Raises:
        UserError: It names all that were found.
    """
    if not isinstance(images, SplitImages):
        return
    left = images.decode_files(_DECODING_SECONDS)
    if left:
        tell(
            f"{left:,} of {images.count:,} {images.split.name} images are not "
            "decoded before they are needed, after the last step; `spos "
            "check_data` looks at all of them."
        )


def _refuse_the_same(train: Any, validation: Any) -> None:
    if isinstance(validation, DataSource) and validation == train:
        raise UserError(
            "`validation` are images that the weights do not see; got the "
            "data set of `train`. Leave it out: `holdout_per_class` images of "
            "every class are then kept back."
        )


def _names(blueprint: Blueprint, images: Images) -> tuple[str, ...]:
    known = images.class_names
    return known or tuple(map(str, range(blueprint.num_classes)))


def search_data(
    supernet: TrainedSupernet,
    options: ImageOptions,
    *,
    validation: Any = None,
    recalibration: Any = None,
    source: DataSource | None = None,
) -> SearchData:
    """The images that paths of a supernet are recalibrated and scored on.

    What is given counts; else the images that the training of the supernet
    kept back; else the data set that its `run.json` names.

    Args:
        supernet: What is scored.
        options: How images become inputs. With `holdout_per_class=None` as
            many are kept back as in the training.
        validation: Images that are scored on: `(images, labels)`, a data set,
            or a `tf.data.Dataset`.
        recalibration: Training images, likewise; needed with `validation`.
        source: A data set that is split as in the training.

    Raises:
        UserError: There are no images, or not those of the training.
    """
    blueprint = supernet.blueprint
    if (validation is None) != (recalibration is None):
        raise UserError(
            "`validation` (images that paths are scored on) and "
            "`recalibration` (training images for batch norm) are given "
            "together. Give both, or neither."
        )
    preprocessing = preprocessing_of(blueprint, options)
    if validation is None and source is None and supernet.holdout is not None:
        return dataclasses.replace(
            supernet.holdout, preprocessing=preprocessing
        )
    confirmation: Images | None = None
    if validation is not None:
        scored, trained = (
            images_of(
                given,
                argument=argument,
                num_classes=blueprint.num_classes,
                outputs=supernet.class_names,
            )
            for given, argument in (
                (validation, "validation"),
                (recalibration, "recalibration"),
            )
        )
        inputs = {
            "validation": scored.fingerprint(),
            "recalibration": trained.fingerprint(),
        }
        _check_recalibration(supernet, inputs["recalibration"])
    else:
        source = source or supernet.source
        count = _holdout(supernet, options)
        if source is None or count is None:
            raise UserError(
                f"The training of {supernet.words()} was given images that "
                "are in no file. Give them again as `validation` and "
                "`recalibration`."
            )
        whole = images_of(
            source,
            argument="train",
            num_classes=blueprint.num_classes,
            outputs=supernet.class_names,
        )
        trained, scored = whole.hold_out(count)
        inputs = {"train": whole.fingerprint()}
        # As in the training.
        confirming = supernet.description.get("confirm_per_class")
        if count and confirming:
            trained, confirmation = trained.hold_out(
                int(confirming), "confirm_per_class"
            )
    return search_data_of(
        trained,
        scored,
        confirmation,
        preprocessing,
        inputs,
        _names(blueprint, trained),
    )


def _check_recalibration(supernet: TrainedSupernet, given: str) -> None:
    """Refuses other arrays than the training recalibrated batch norm on.

    Where the training held images back itself, nobody but it knows those that
    were left; and of a tf.data.Dataset only the form is known.
    """
    inputs = {} if supernet.folder is None else inputs_of_run(supernet.folder)
    if "validation" not in inputs or supernet.source is not None:
        return
    then = str(inputs.get("recalibration", inputs.get("train")))
    streamed = any(one.startswith(STREAMED) for one in (then, given))
    if then != given and not streamed:
        raise UserError(
            "Batch norm is recalibrated on the images that the training of "
            f"{supernet.words()} was given; these are others. Give them as "
            "`recalibration`; `recalibration_images` says how many are taken."
        )


def _holdout(supernet: TrainedSupernet, options: ImageOptions) -> int | None:
    """Images of a class that are kept back; None where others were given."""
    if options.holdout_per_class is not None:
        return options.holdout_per_class
    stored = supernet.description.get("holdout_per_class")
    return stored if isinstance(stored, int) else None


def search_data_of(
    trained: Images,
    scored: Images,
    confirmation: Images | None,
    preprocessing: PreprocessingOptions,
    inputs: dict[str, str],
    class_names: tuple[str, ...],
) -> SearchData:
    """See `SearchData`.

    Args:
        trained: Training images.
        scored: Images that the weights do not see.
        confirmation: Images that neither the weights nor a search see.
        preprocessing: How they become inputs.
        inputs: Fingerprints by name of an argument.
        class_names: In the order of the outputs.
    """
    return SearchData(
        validation=scored.everything(preprocessing),
        preprocessing=preprocessing,
        draw=lambda count, seed: trained.subset(preprocessing, count, seed),
        inputs=inputs,
        class_names=class_names,
        confirmation=None
        if confirmation is None
        else confirmation.everything(preprocessing),
    )
