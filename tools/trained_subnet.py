"""The network that a tool takes from `work_dir/subnet/<name>/`."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from absl import flags

import shared_flags
from spos_tf.errors import UserError

if TYPE_CHECKING:
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
    return TrainedSubnet(_load(path), architecture, blueprint)


def subnet_folder() -> pathlib.Path:
    """`work_dir/subnet/<subnet_name>`."""
    return (
        pathlib.Path(FLAGS.work_dir)
        / "subnet"
        / (FLAGS.subnet_name or FLAGS.name)
    )


def _load(path: pathlib.Path) -> Any:
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    # A zip, JSON or HDF5 error, by where the file is damaged.
    except Exception as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise UserError(
            f"{str(path)!r} is not a readable .keras file: {reason}. Train it "
            "again."
        ) from None
