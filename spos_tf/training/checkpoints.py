"""Checkpoint files: one NPZ each, written atomically, read without pickle."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError, system_errors
from spos_tf.plain_arrays import read_arrays
from spos_tf.strict_json import parse_json

_DESCRIPTION = "description.json"
_PATTERN = "step-*.npz"
# What the description may hold: type and word.
_KINDS: dict[str, tuple[type, str]] = {
    "kind": (str, "a text"),
    "search_space": (str, "a text"),
    "space_arguments": (dict, "an object"),
    "pins": (dict, "an object"),
    "class_names": (list, "a list"),
    "steps": (int, "a whole number"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """All of a training run after some steps.

    Attributes:
        step: Steps done.
        description: Whose run it is (tool, space, arguments); JSON values.
        arrays: By name: weights as `weights/NAME`, their averages as
            `average/NAME`, optimizer variables as `optimizer/NAME/SLOT`, and
            what else the run keeps.
    """

    step: int
    description: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def weights(self) -> dict[str, np.ndarray]:
        """The network's weights by name."""
        return self._below("weights/")

    def averages(self) -> dict[str, np.ndarray] | None:
        """Its averaged weights by name; None where none were kept."""
        return self._below("average/") or None

    def _below(self, prefix: str) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(prefix): value
            for name, value in self.arrays.items()
            if name.startswith(prefix)
        }


def checkpoint_path(folder: pathlib.Path, step: int) -> pathlib.Path:
    """Where the checkpoint after so many steps is."""
    return folder / f"step-{step:08d}.npz"


def checkpoint_steps(folder: pathlib.Path) -> list[int]:
    """Steps of all checkpoints in a folder, ascending, whole or damaged."""
    stems = [path.stem.removeprefix("step-") for path in folder.glob(_PATTERN)]
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def write_checkpoint(
    folder: pathlib.Path, checkpoint: Checkpoint, *, keep: int
) -> pathlib.Path:
    """Writes a checkpoint under its final name at once, or not at all.

    Args:
        folder: Made if absent.
        checkpoint: What to write.
        keep: Newest checkpoints to leave in the folder.

    Raises:
        UserError: The folder cannot be written or the disk is full; older
            checkpoints are intact.
    """
    path = checkpoint_path(folder, checkpoint.step)
    text = json.dumps(
        {"step": checkpoint.step, **checkpoint.description}, sort_keys=True
    )
    intact = "The checkpoints before it are intact."
    with system_errors("write checkpoint", path, intact):
        folder.mkdir(parents=True, exist_ok=True)
        # A run that was killed while it wrote a step that this one does not
        # write may have left these.
        for left in folder.glob(f".unfinished-{_PATTERN}"):
            left.unlink(missing_ok=True)
        with unfinished(path) as temporary, temporary.open("wb") as file:
            arrays: dict[str, Any] = {
                _DESCRIPTION: np.array(text),
                **checkpoint.arrays,
            }
            np.savez(file, **arrays)
    prune(folder, checkpoint.step, keep=keep)
    return path


def prune(folder: pathlib.Path, newest: int, *, keep: int) -> None:
    """Removes old checkpoints.

    Args:
        folder: Where checkpoints are.
        newest: Steps of one that is whole; later ones are left alone.
        keep: Checkpoints to leave, that one and those before it.
    """
    done = [step for step in checkpoint_steps(folder) if step <= newest]
    for step in done[:-keep]:
        checkpoint_path(folder, step).unlink(missing_ok=True)


def read_checkpoint(path: pathlib.Path) -> Checkpoint:
    """Reads and verifies one checkpoint.

    Raises:
        UserError: Missing, truncated, corrupt, or not a checkpoint.
    """
    try:
        arrays = read_arrays(path)
        if _DESCRIPTION not in arrays:
            raise ValueError(f"it has no {_DESCRIPTION}")
        description = parse_json(str(arrays.pop(_DESCRIPTION)))
        if not isinstance(description, dict):
            raise ValueError(f"its {_DESCRIPTION} holds no object")
        step = description.pop("step", None)
        if type(step) is not int or step < 0:
            raise ValueError(f"it says it is of step {step!r}")
        named = path.stem.removeprefix("step-")
        if named.isdecimal() and int(named) != step:
            raise ValueError(f"it says it is of step {step}, not {named}")
        for name, (kind, words) in _KINDS.items():
            if not isinstance(description.get(name, kind()), kind):
                raise ValueError(f"its {name!r} is not {words}")
        return Checkpoint(step, description, arrays)
    except FileNotFoundError:
        raise UserError(
            f"There is no checkpoint {str(path)!r}. Name one that exists."
        ) from None
    except OSError as error:
        raise UserError(
            f"Cannot read checkpoint {str(path)!r}: {error.strerror}."
        ) from None
    except ValueError as error:
        raise UserError(
            f"{str(path)!r} is damaged or no checkpoint of this program "
            f"({error})."
        ) from None


def latest_checkpoint(
    folder: pathlib.Path, *, warn: Callable[[str], None]
) -> Checkpoint | None:
    """The newest checkpoint that can be read.

    Args:
        folder: Where checkpoints are.
        warn: Called with a line for every damaged newer one.

    Returns:
        None where the folder holds none at all.

    Raises:
        UserError: There are checkpoints and all are damaged.
    """
    damaged: list[str] = []
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        try:
            found = read_checkpoint(path)
        except UserError as error:
            damaged.append(str(error))
            continue
        for line in damaged:
            warn(f"{line} Falling back to the one before.")
        return found
    if damaged:
        raise UserError(
            f"All {len(damaged)} checkpoints in {str(folder)!r} are damaged. "
            "Delete the folder to start anew."
        )
    return None
