"""The network that a tool takes from `work_dir/subnet/<name>/`."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from absl import flags

import shared_flags
from spos_tf.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from spos_tf.data.examples import AnySplit
    from spos_tf.data.preprocessing import PreprocessingOptions
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.space import Architecture

FLAGS = flags.FLAGS


def define_subnet() -> None:
    """--subnet_name, --architecture and the space's flags."""
    shared_flags.define_space()
    flags.DEFINE_string(
        "subnet_name",
        None,
        "Sub-folder of the network below work_dir/subnet; --name if unset.",
    )
    flags.DEFINE_string(
        "architecture",
        None,
        "Architecture file of the network; the architecture.json beside it if "
        "unset.",
    )


@dataclasses.dataclass(frozen=True)
class TrainedSubnet:
    """A trained network and what it is.

    Attributes:
        model: A functional `keras.Model`, images -> logits.
        architecture: Of the model.
        blueprint: Of the architecture's space.
    """

    model: Any
    architecture: "Architecture"
    blueprint: "Blueprint"


def read_subnet() -> TrainedSubnet:
    """Loads the network that the flags name.

    Raises:
        UserError: A file is missing or damaged, or the space's flags name
            another network family than the architecture file.
    """
    folder = subnet_folder()
    path = folder / "subnet.keras"
    if not path.is_file():
        raise UserError(
            f"A trained network is needed; there is none at {str(path)!r}. "
            "Run tools/train_subnet.py, or name one by --subnet_name."
        )
    blueprint, encoding = shared_flags.network_of(
        FLAGS.architecture or folder / "architecture.json"
    )
    architecture = blueprint.architecture(encoding)
    from spos_tf.networks.keras_file import load_keras_file

    model = load_keras_file(path)
    expected = (*blueprint.input_shape, blueprint.num_classes)
    found = (*model.input_shape[1:], *model.output_shape[1:])
    if found != expected:
        raise UserError(
            f"The architecture beside {str(path)!r} takes images "
            f"{list(expected[:3])} and gives {expected[3]} logits; the network "
            f"in the file has the shapes {list(found)}. Give its own "
            "--architecture."
        )
    return TrainedSubnet(model, architecture, blueprint)


def subnet_folder() -> pathlib.Path:
    """`work_dir/subnet/<subnet_name>`."""
    return (
        pathlib.Path(FLAGS.work_dir)
        / "subnet"
        / (FLAGS.subnet_name or FLAGS.name)
    )


def accuracy(
    predict: Callable[["np.ndarray"], "np.ndarray"],
    split: "AnySplit",
    preprocessing: "PreprocessingOptions",
    *,
    batch_size: int = 256,
) -> float:
    """Share of a split's images that a network classifies correctly.

    Args:
        predict: float32 images `[batch, height, width, 3]` -> logits
            `[batch, classes]`.
        split: At least one image.
        preprocessing: How they become inputs.
        batch_size: Images at once.

    Raises:
        UserError: An image cannot be read, or a logit is not finite.
    """
    import numpy as np

    from spos_tf.data.pipeline import evaluation_batches

    correct = total = 0
    for images, labels in evaluation_batches(
        split, preprocessing, batch_size=batch_size
    ).as_numpy_iterator():
        logits = predict(images)
        if not np.isfinite(logits).all():
            raise UserError(
                "Logits are finite numbers; the network gives NaN or infinity "
                f"among images {total} to {total + len(labels) - 1} of "
                f"{split.name!r}. Train it again."
            )
        correct += int((logits.argmax(axis=1) == labels).sum())
        total += len(labels)
    return correct / total
