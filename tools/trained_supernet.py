"""The supernet that a tool takes from `work_dir/supernet/<name>/`."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from absl import flags, logging

import shared_flags
from spos_tf.errors import UserError, said_of

if TYPE_CHECKING:
    import numpy as np

    from spos_tf.networks.blueprint import Blueprint

FLAGS = flags.FLAGS


def define_supernet() -> None:
    """--supernet_name."""
    flags.DEFINE_string(
        "supernet_name", "default", "Sub-folder below work_dir/supernet."
    )


@dataclasses.dataclass(frozen=True)
class TrainedSupernet:
    """Weights of a supernet and what they are of.

    Attributes:
        blueprint: The description, with what its training settled.
        weights: By name; see `Supernet.named_variables`.
        description: What the training run wrote of itself.
        step: Training steps of these weights.
    """

    blueprint: "Blueprint"
    weights: Mapping[str, "np.ndarray"]
    description: Mapping[str, Any]
    step: int

    def words(self) -> str:
        """What messages call it."""
        return f"the supernet in {str(supernet_folder(FLAGS.work_dir))!r}"

    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(self.weights[name].tobytes())
        return digest.hexdigest()


def supernet_folder(work_dir: str) -> pathlib.Path:
    """Of the supernet that the flags name."""
    return pathlib.Path(work_dir) / "supernet" / FLAGS.supernet_name


def read_supernet(work_dir: str, step: int | None = None) -> TrainedSupernet:
    """Reads a checkpoint of the supernet that the flags name.

    Args:
        work_dir: Folder of all results.
        step: Of the checkpoint; the newest if None.

    Raises:
        UserError: There is none, it is damaged, it is no supernet's, or the
            space's flags name another.
    """
    from spos_tf.networks.blueprint import plain_arguments
    from spos_tf.spaces import (
        at_its_place,
        build_blueprint,
        stored_blueprint,
    )
    from spos_tf.training.checkpoints import (
        checkpoint_path,
        latest_checkpoint,
        read_checkpoint,
    )

    folder = supernet_folder(work_dir) / "checkpoints"
    if step is None:
        found = latest_checkpoint(folder, warn=logging.warning)
    else:
        found = read_checkpoint(checkpoint_path(folder, step))
    if found is None:
        raise UserError(
            f"There is no supernet checkpoint in {str(folder)!r}. Run "
            "tools/train_supernet.py first, or name one by --supernet_name."
        )
    kind = found.description.get("kind")
    if kind != "supernet":
        raise UserError(
            f"A supernet's checkpoint is needed; {str(folder)!r} has one of "
            f"kind {kind!r}."
        )
    name = found.description.get("search_space", "")
    with said_of(folder):
        if FLAGS.search_space is not None:
            name = at_its_place(name, FLAGS.search_space)
        blueprint = stored_blueprint(
            name, found.description.get("space_arguments", {})
        )
        # Of what its training settled there are no other weights.
        blueprint = blueprint.pinned(found.description.get("pins", {}))
    if FLAGS.search_space is not None or shared_flags.space_arguments():
        given = shared_flags.space_arguments()
        if FLAGS.search_space is None:
            asked = stored_blueprint(name, given)
        else:
            asked = build_blueprint(FLAGS.search_space, **given)
        if (
            asked.search_space.name != blueprint.search_space.name
            or plain_arguments(asked.space_arguments)
            != plain_arguments(blueprint.space_arguments)
        ):
            raise UserError(
                "The supernet is of space "
                f"{blueprint.search_space.name!r} with "
                f"{plain_arguments(blueprint.space_arguments)}; the flags say "
                f"{asked.search_space.name!r} with "
                f"{plain_arguments(asked.space_arguments)}. Leave the space's "
                "flags out, or choose another supernet."
            )
    steps = found.description.get("steps", found.step)
    if step is None and found.step < steps:
        logging.warning(
            "The supernet in %s has done %s of its %s steps.",
            folder,
            found.step,
            steps,
        )
    return TrainedSupernet(
        blueprint, found.weights(), found.description, found.step
    )
