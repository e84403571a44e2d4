"""What trainings leave, taken up again: supernets and single networks."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np

from spos_tf.data.sources import DataSource
from spos_tf.errors import UserError, check_kind, said_of
from spos_tf.jobs.blueprints import found_blueprint
from spos_tf.jobs.notes import tell, warn
from spos_tf.jobs.run_folder import options_of_run
from spos_tf.networks.blueprint import Blueprint, plain_arguments
from spos_tf.options import (
    ScoringOptions,
    SourceOptions,
    SpaceOptions,
    SupernetOptions,
    WeightsOptions,
)
from spos_tf.paths import local_path
from spos_tf.plain_arrays import digest_of
from spos_tf.space import Architecture
from spos_tf.spaces import at_its_place, build_blueprint, stored_blueprint
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    import keras

    from spos_tf.data.examples import AnySplit
    from spos_tf.data.preprocessing import PreprocessingOptions

SUPERNET_STAGE, SUBNET_STAGE = "supernet", "subnet"
SUBNET_FILE, ARCHITECTURE_FILE = "subnet.keras", "architecture.json"
LABELS_FILE = "labels.json"

Weights = Literal["averaged", "last"]
# What is read where nobody says: it ranks better (docs/results.md).
_USUAL: Weights = "last"

Kind = TypeVar("Kind", bound=ScoringOptions)


@dataclasses.dataclass(frozen=True, eq=False)
class SearchData:
    """The images that paths of a supernet are recalibrated and scored on.

    Attributes:
        validation: Images that paths are scored on.
        preprocessing: How images become inputs.
        draw: `(count, seed)` -> a random subset of the training images; all
            of them where there are fewer.
        inputs: Fingerprints for `run.json`, by name of an argument.
        class_names: In the order of the outputs.
        confirmation: Images that neither training nor search uses, on which a
            winner is confirmed; None where there are none.
    """

    validation: "AnySplit"
    preprocessing: "PreprocessingOptions"
    draw: "Callable[[int, int], AnySplit]"
    inputs: Mapping[str, str]
    class_names: tuple[str, ...]
    confirmation: "AnySplit | None" = None

    def recalibration(self, count: int, seed: int) -> "AnySplit":
        """Training images that batch norm is recalibrated on.

        Args:
            count: Most images.
            seed: Seed of the draw.
        """
        found = self.draw(count, seed)
        tell_of_fewer(len(found), count)
        return found


def tell_of_fewer(found: int, wanted: int) -> None:
    """Says that there are not as many images to recalibrate on."""
    if found < wanted:
        tell(
            "Batch norm is recalibrated on all training images there are: "
            f"{found:,}."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedSupernet:
    """The weights of a supernet, and the description of its training.

    Attributes:
        blueprint: The description, with the choices that were fixed in the
            training.
        weights: The last weights, arrays by name; see
            `Supernet.named_variables`.
        description: What the training wrote about itself.
        step: Training steps of these weights.
        work_dir: Folder of all results; None where there is none.
        name: Name of the training run.
        holdout: Images for the search, as the training had them; None for a
            supernet that was loaded.
        source: The data set of the training; None where it was given arrays
            or a `tf.data.Dataset`.
        averages: The averaged weights, likewise; None where the training
            kept none.
        read: Which of the two a job reads if its options do not say; None for
            the last.
    """

    blueprint: Blueprint
    weights: Mapping[str, np.ndarray] = dataclasses.field(repr=False)
    description: Mapping[str, Any] = dataclasses.field(repr=False)
    step: int
    work_dir: pathlib.Path | None = None
    name: str = "default"
    holdout: SearchData | None = dataclasses.field(default=None, repr=False)
    source: DataSource | None = None
    averages: Mapping[str, np.ndarray] | None = dataclasses.field(
        default=None, repr=False
    )
    read: Weights | None = None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Classes in the order of the outputs; None where they are unknown."""
        names = self.description.get("class_names")
        return None if names is None else tuple(map(str, names))

    @property
    def folder(self) -> pathlib.Path | None:
        """The run's folder; None if it was trained without a `work_dir`."""
        if self.work_dir is None:
            return None
        return pathlib.Path(self.work_dir) / SUPERNET_STAGE / self.name

    @property
    def training_options(self) -> dict[str, Any]:
        """What its training's `run.json` says; nothing where there is none."""
        return {} if self.folder is None else options_of_run(self.folder)

    @property
    def recalibration_images(self) -> int:
        """How many images its training recalibrated batch norm on, at most."""
        name = "recalibration_images"
        options = self.training_options
        return int(options.get(name) or getattr(SupernetOptions(), name))

    def words(self) -> str:
        """What messages call it."""
        if self.folder is None:
            return "the supernet"
        return f"the supernet in {str(self.folder)!r}"

    def chosen(self, asked: Weights | None = None) -> Weights:
        """Which weights a job reads.

        Args:
            asked: What its options say; None if they do not.

        Raises:
            UserError: Averaged ones are asked for and there are none.
        """
        which = asked or self.read or _USUAL
        if which == "averaged" and self.averages is None:
            raise UserError(
                "`weights=averaged` needs a training that kept averages; that "
                f"of {self.words()} kept none. Train with `average_every` "
                "above 0, or use `weights=last`."
            )
        return which

    def decided(self, options: Kind) -> Kind:
        """The same options with what the training leaves open for them.

        Args:
            options: How paths are scored.

        Returns:
            With the weights that are read, and a number of images to
            recalibrate on.
        """
        count = options.recalibration_images
        return dataclasses.replace(
            options,
            weights=self.chosen(options.weights),
            recalibration_images=(
                self.recalibration_images if count is None else count
            ),
        )

    def arrays(self, asked: Weights | None = None) -> Mapping[str, np.ndarray]:
        """The weights that a job reads, by name; see `chosen`."""
        averaged = self.chosen(asked) == "averaged"
        if averaged and self.averages is not None:
            return self.averages
        return self.weights

    def to_send(self, options: WeightsOptions) -> "TrainedSupernet":
        """A copy for a worker, with nothing but the weights that it reads."""
        arrays = self.arrays(options.weights)
        averaged = self.chosen(options.weights) == "averaged"
        return dataclasses.replace(
            self,
            weights={} if averaged else arrays,
            averages=arrays if averaged else None,
            holdout=None,
            source=None,
        )

    def fingerprint(self, asked: Weights | None = None) -> str:
        """SHA-256 of the weights that a job reads; see `chosen`."""
        return digest_of(self.arrays(asked)).hex()


def load_supernet(
    work_dir: str | os.PathLike[str],
    blueprint: Blueprint | None = None,
    *,
    name: str = "default",
    step: int | None = None,
    weights: Weights | None = None,
    space: SpaceOptions | None = None,
) -> TrainedSupernet:
    """Loads a supernet that `train_supernet` has trained.

    Args:
        work_dir: Folder of all results.
        blueprint: The description; needed if it was built in Python, so that
            no registry knows it.
        name: Name of the training run.
        step: Training step of the checkpoint; the newest if None.
        weights: "averaged" or "last": which weights a job reads if its
            options do not say; the last if None. A training keeps averages
            if its `average_every` is above 0.
        space: Options of the search space that the supernet must agree with,
            for example those of a command line.

    Returns:
        The weights and their description.

    Raises:
        UserError: There is no such checkpoint, it is damaged, it is of
            another blueprint, or it has no averaged weights.

    Example:
        >>> supernet = spos_tf.load_supernet("runs/x")  # doctest: +SKIP
    """
    from spos_tf.training.checkpoints import (
        checkpoint_path,
        latest_checkpoint,
        read_checkpoint,
    )

    asked = WeightsOptions(weights=weights)
    run = local_path(work_dir, "work_dir") / SUPERNET_STAGE / name
    folder = run / "checkpoints"
    if step is None:
        found = latest_checkpoint(folder, warn=warn)
    else:
        found = read_checkpoint(checkpoint_path(folder, step))
    if found is None:
        given = pathlib.Path(work_dir).absolute()
        way_out = (
            "or name another one by `supernet_name` (the name= of "
            "load_supernet)."
        )
        if (given / "checkpoints").is_dir():
            above = str(given.parents[1])
            way_out = f"or give its `work_dir`, which is {above!r} here."
        raise UserError(
            f"There is no supernet checkpoint in {str(folder)!r}. Run "
            f"train_supernet first, {way_out}"
        )
    described = found.description
    kind = described.get("kind")
    if kind != "supernet":
        raise UserError(
            f"A supernet's checkpoint is needed; {str(folder)!r} has one of "
            f"kind {kind!r}. Name another by `supernet_name` or `work_dir`."
        )
    space = space or SpaceOptions()
    with said_of(folder):
        whole = found_blueprint(
            described.get("search_space", ""),
            described.get("space_arguments", {}),
            blueprint,
            space.search_space,
        )
        _check_choices(whole, described.get("choices"))
        # There are no weights of the options that were excluded.
        trained = whole.pinned(described.get("pins", {}))
    _check_agrees(trained, space)
    steps = described.get("steps", found.step)
    if step is None and found.step < steps:
        warn(
            f"The supernet in {folder} has done {found.step} of its {steps} "
            "steps."
        )
    supernet = TrainedSupernet(
        trained,
        found.weights(),
        described,
        found.step,
        work_dir=pathlib.Path(work_dir),
        name=name,
        source=source_of_run(run),
        averages=found.averages(),
        read=asked.weights,
    )
    supernet.chosen()
    return supernet


def _check_choices(blueprint: Blueprint, stored: Any) -> None:
    own = choices_of(blueprint)
    if stored is not None and stored != own:
        raise UserError(
            f"The weights are of a blueprint {blueprint.search_space.name!r} "
            f"with the choices {stored}; the given one has {own}. Give the "
            "`blueprint` that was trained."
        )


def choices_of(blueprint: Blueprint) -> dict[str, list[str]]:
    """Every choice and its options, as a checkpoint says them."""
    return {
        choice.name: [str(option) for option in choice.options]
        for choice in blueprint.search_space.choices
    }


def _check_agrees(blueprint: Blueprint, space: SpaceOptions) -> None:
    """Refuses what the command line says of another space."""
    given = space.arguments
    if space.search_space is None and not given:
        return
    if space.search_space is None:
        asked = stored_blueprint(blueprint.search_space.name, given)
    else:
        asked = build_blueprint(space.search_space, **given)
    theirs, ours = (
        (one.search_space.name, plain_arguments(one.space_arguments))
        for one in (asked, blueprint)
    )
    if theirs != ours:
        raise UserError(
            f"The supernet is of space {ours[0]!r} with {ours[1]}; the "
            f"options say {theirs[0]!r} with {theirs[1]}. Leave the options "
            "of the space out, or choose another supernet."
        )


def source_of_run(folder: pathlib.Path) -> DataSource | None:
    """The data set that a run says it read; None where none has a name.

    Args:
        folder: Of the run.
    """
    options = options_of_run(folder)
    given = {
        one.name: options[one.name]
        for one in SourceOptions.described()
        if options.get(one.name) is not None
    }
    if "dataset" not in given:
        return None
    return DataSource.of(SourceOptions(**given))


class TrainedSubnet(NamedTuple):
    """A trained network and what it is.

    Attributes:
        model: A functional `keras.Model`, images -> logits.
        blueprint: Of the network's space.
        encoding: int32 `[num_choices]`.
        class_names: In the order of the outputs; None where not known.
    """

    model: "keras.Model"
    blueprint: Blueprint
    encoding: np.ndarray
    class_names: tuple[str, ...] | None = None

    @property
    def architecture(self) -> Architecture:
        """The named form of the encoding."""
        return self.blueprint.architecture(self.encoding)


# What a Keras model keeps; no plain attribute, which Keras would track.
_KNOWN = "_spos_tf_network"


def remember(subnet: TrainedSubnet) -> "keras.Model":
    """Keeps with a model which network it is; returns the model."""
    _, *known = subnet
    setattr(subnet.model, _KNOWN, _Known(tuple(known)))
    return subnet.model


@dataclasses.dataclass(frozen=True, eq=False)
class _Known:
    # Keras wraps lists, dicts and tuples that a model is given; not this.
    values: tuple[Any, ...]


def check_supernet(supernet: object) -> None:
    """Refuses an argument `supernet` that is none.

    Raises:
        UserError: It is of another kind, for example a folder.
    """
    check_kind(
        supernet,
        TrainedSupernet,
        "supernet",
        "what spos_tf.train_supernet(...) or spos_tf.load_supernet(work_dir) "
        "returns",
    )


def subnet_of(model: "keras.Model") -> TrainedSubnet | None:
    """What `train_subnet` or `load_subnet` knows of its model.

    Args:
        model: Any model.

    Returns:
        None for a model from elsewhere.
    """
    known = getattr(model, _KNOWN, None)
    return None if known is None else TrainedSubnet(model, *known.values)


def network_known(
    model: "keras.Model",
    architecture: Architecture | str | pathlib.Path | None = None,
    blueprint: Blueprint | None = None,
) -> TrainedSubnet:
    """What a model is of: as it was trained, or as the caller says.

    Args:
        model: Images -> logits.
        architecture: Of a model from elsewhere, or an architecture file.
        blueprint: The architecture's description; needed if it was built in
            Python, so that no registry knows it.

    Raises:
        UserError: Nobody says it.
    """
    import keras

    check_kind(
        model,
        keras.Model,
        "model",
        "a keras.Model, as spos_tf.train_subnet(...) or "
        "spos_tf.load_subnet(folder) returns it",
    )
    known = subnet_of(model)
    if architecture is None:
        if known is None:
            raise UserError(
                "This model is not from `train_subnet` or `load_subnet`, so "
                "its blocks are not known. Give its `architecture`."
            )
        return known
    if not isinstance(architecture, Architecture):
        family, encoding = read_network(architecture, blueprint)
    else:
        family = found_blueprint(
            architecture.search_space, architecture.space_arguments, blueprint
        )
        encoding = family.encode(architecture)
    names = None if known is None else known.class_names
    return TrainedSubnet(model, family, encoding, names)


def load_subnet(
    folder: str | os.PathLike[str],
    blueprint: Blueprint | None = None,
    *,
    architecture: str | pathlib.Path | None = None,
    space: SpaceOptions | None = None,
) -> "keras.Model":
    """Loads a network that `train_subnet` has trained.

    Args:
        folder: `work_dir/subnet/<name>`.
        blueprint: The description; needed if it was built in Python, so that
            no registry knows it.
        architecture: Architecture file; the one beside the network if None.
        space: Options of the search space that the network must agree with,
            for example those of a command line.

    Returns:
        A functional `keras.Model`, images float32 RGB 0..255 `[batch, height,
        width, 3]` -> logits `[batch, classes]`; not compiled. `export_subnet`
        knows its architecture.

    Raises:
        UserError: A file is missing or damaged, or they are of different
            networks.

    Example:
        >>> model = spos_tf.load_subnet(  # doctest: +SKIP
        ...     "runs/photos/subnet/default")
    """
    folder = local_path(folder, "folder")
    path = folder / SUBNET_FILE
    if not path.is_file():
        raise UserError(
            f"A trained network is needed; there is none at {str(path)!r}. Run "
            "train_subnet first, or name another folder, on the command line "
            "by `subnet_name`."
        )
    blueprint, encoding = read_network(
        architecture or folder / ARCHITECTURE_FILE, blueprint, space
    )
    from spos_tf.networks.keras_file import load_keras_file

    model = load_keras_file(path)
    expected = (*blueprint.input_shape, blueprint.num_classes)
    found = (*model.input_shape[1:], *model.output_shape[1:])
    if found != expected:
        raise UserError(
            f"The architecture beside {str(path)!r} takes images "
            f"{list(expected[:3])} and gives {expected[3]} logits; the network "
            f"in the file has the shapes {list(found)}. Give its own "
            "`architecture`."
        )
    names = read_labels(folder / LABELS_FILE)
    return remember(TrainedSubnet(model, blueprint, encoding, names))


def read_network(
    path: str | pathlib.Path,
    blueprint: Blueprint | None = None,
    space: SpaceOptions | None = None,
) -> tuple[Blueprint, np.ndarray]:
    """Reads an architecture file.

    Args:
        path: Of the file.
        blueprint: See `load_subnet`.
        space: What a command line says of the space. It may say the same as
            the file.

    Returns:
        The family, and the encoding int32 `[num_choices]`.

    Raises:
        UserError: The file is no architecture, or contradicts the others.
    """
    architecture = Architecture.read(path)
    space = space or SpaceOptions()
    arguments = {**architecture.space_arguments, **space.arguments}
    stored = architecture.search_space
    with said_of(path):
        if blueprint is None and space.search_space is not None:
            found = build_blueprint(space.search_space, **arguments)
        else:
            found = found_blueprint(stored, arguments, blueprint)
        # A file of the user's may have moved.
        stored = at_its_place(stored, found.search_space.name)
        architecture = dataclasses.replace(architecture, search_space=stored)
        return found, found.encode(architecture)


def read_labels(path: pathlib.Path) -> tuple[str, ...] | None:
    """Names of the classes in the order of the outputs.

    Returns:
        None where there is no such file.

    Raises:
        UserError: It is damaged.
    """
    try:
        names = parse_json(path.read_bytes())
        if not (
            isinstance(names, list) and all(isinstance(n, str) for n in names)
        ):
            raise ValueError("it holds no list of texts")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(path)!r} is damaged: {error}. Restore it."
        ) from None
    return tuple(names)
