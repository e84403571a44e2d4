"""Everything a training run consists of, as arrays."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from spos_tf.errors import UserError
from spos_tf.training.averaging import AveragedWeights
from spos_tf.training.checkpoints import Checkpoint
from spos_tf.training.path_optimizer import slots_by_name

# Groups of arrays that have to be exactly those of the run.
_OURS = ("weights/", "average", "optimizer/", "architecture/")


class RunState:
    """Copies a run's variables to a checkpoint and back.

    Path, batch and augmentation are functions of the step, so weights,
    optimizer variables and the step are all there is.

    Args:
        variables: The network's variables by name.
        optimizer: Built optimizer, from `path_optimizer`.
        trained: Names of the variables that it was built with, in its order.
        description: Whose run it is; a checkpoint of another is refused.
        further: What else is trained, by its whole name in the checkpoint,
            which begins with `architecture/`.
        averages: Of the weights, where they are averaged.
    """

    def __init__(
        self,
        variables: Mapping[str, keras.Variable],
        optimizer: keras.optimizers.Optimizer,
        trained: Sequence[str],
        description: Mapping[str, Any],
        further: Mapping[str, keras.Variable] | None = None,
        averages: AveragedWeights | None = None,
    ) -> None:
        self._variables = {
            **{f"weights/{name}": v for name, v in variables.items()},
            **{
                f"optimizer/{name}": variable
                for name, variable in slots_by_name(optimizer, trained).items()
            },
            **(further or {}),
            **(averages.variables if averages is not None else {}),
        }
        self._averages = averages
        self._description = description

    def capture(self, step: int, extra: Mapping[str, np.ndarray]) -> Checkpoint:
        """A copy of the run after `step` steps, `extra` arrays included."""
        arrays = {
            name: keras.ops.convert_to_numpy(variable.value)
            for name, variable in self._variables.items()
        }
        checkpoint = Checkpoint(step, self._description, {**arrays, **extra})
        if self._averages is None:
            return checkpoint
        standing_in = self._averages.stand_ins(checkpoint.weights())
        return dataclasses.replace(
            checkpoint, arrays={**checkpoint.arrays, **standing_in}
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Sets all variables.

        Raises:
            UserError: The checkpoint is of another run; nothing is changed.
        """
        for key, wanted in self._description.items():
            found = checkpoint.description.get(key)
            # What says nothing may have been left unsaid.
            if found != wanted and (found or wanted):
                raise UserError(
                    f"The checkpoint has {key} {found!r}; this run has "
                    f"{wanted!r}. Choose another `name` or `work_dir`."
                )
        for name in checkpoint.arrays:
            ours = name.startswith(_OURS)
            if ours and name not in self._variables:
                raise UserError(
                    f"The checkpoint has {name!r}, which this run does not "
                    "have: its network or optimizer is another. Choose another "
                    "`name` or `work_dir`."
                )
        for name, variable in self._variables.items():
            value = checkpoint.arrays.get(name)
            wanted = tuple(variable.shape), str(variable.dtype)
            found = None if value is None else (value.shape, str(value.dtype))
            if found != wanted:
                words = "missing" if found is None else "{1} {0}".format(*found)
                raise UserError(
                    f"The checkpoint's {name!r} is {words}; this run has "
                    "{1} {0}. Choose another `name` or `work_dir`.".format(
                        *wanted
                    )
                )
        for name, variable in self._variables.items():
            variable.assign(checkpoint.arrays[name])
        if self._averages is not None:
            self._averages.restored()
