"""Learning-rate schedules and optimizers by name."""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import keras

from spos_tf.errors import UserError
from spos_tf.options import TrainingOptions

Schedule = Literal["linear", "cosine", "constant"]


@keras.saving.register_keras_serializable("spos_tf")
class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, then a decay over the rest of the run.

    Args:
        kind: `"linear"` (the paper's), `"cosine"` or `"constant"`.
        peak: Highest rate.
        steps: Steps of the whole run.
        warmup_steps: Steps from 0 to the peak.
        final: Rate that `linear` and `cosine` end at; `constant` has none.
    """

    def __init__(
        self,
        kind: Schedule,
        peak: float,
        steps: int,
        warmup_steps: int = 0,
        final: float = 0.0,
    ) -> None:
        if kind not in get_args(Schedule):
            raise UserError(
                f"Unknown schedule {kind!r}. The schedules are: "
                f"{', '.join(get_args(Schedule))}."
            )
        if not 0 <= warmup_steps < steps:
            raise UserError(
                f"`warmup_steps` is in [0, steps); got {warmup_steps} of "
                f"{steps} steps."
            )
        if not 0 <= final <= peak:
            raise UserError(
                "A learning rate decays to a final one from 0 to its peak; got "
                f"{final} with a peak of {peak}."
            )
        self._kind = kind
        self._peak = peak
        self._steps = steps
        self._warmup_steps = warmup_steps
        self._final = final

    def __call__(self, step: Any) -> Any:
        ops = keras.ops
        step = ops.cast(step, "float32")
        left = self._steps - self._warmup_steps
        share = ops.clip((step - self._warmup_steps) / left, 0.0, 1.0)
        fall = self._peak - self._final
        if self._kind == "linear":
            rate = self._final + fall * (1.0 - share)
        elif self._kind == "cosine":
            half = 0.5 * fall * (1.0 + ops.cos(math.pi * share))
            rate = self._final + half
        else:
            rate = self._peak * ops.ones_like(share)
        if not self._warmup_steps:
            return rate
        warm = self._peak * (step + 1.0) / self._warmup_steps
        return ops.where(step < self._warmup_steps, warm, rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "kind": self._kind,
            "peak": self._peak,
            "steps": self._steps,
            "warmup_steps": self._warmup_steps,
            "final": self._final,
        }


def make_optimizer(
    name: str, learning_rate: Any, arguments: Mapping[str, Any]
) -> keras.optimizers.Optimizer:
    """A Keras optimizer by its lower-case name.

    Args:
        name: `"sgd"`, `"adamw"`, ...
        learning_rate: A number or a schedule.
        arguments: Further arguments of its class.

    Raises:
        UserError: No such optimizer, or it does not take the arguments.
    """
    try:
        return keras.optimizers.get(
            {
                "class_name": name,
                "config": {"learning_rate": learning_rate, **arguments},
            }
        )
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"Keras cannot make `optimizer={name}` with "
            f"`optimizer_arguments={json.dumps(dict(arguments))}`: {reason}. "
            "Change `optimizer`, or change or leave out `optimizer_arguments`."
        ) from None


def run_optimizer(options: TrainingOptions) -> keras.optimizers.Optimizer:
    """The optimizer of a run, not built yet; for float16 it scales the loss.

    Args:
        options: Complete ones.

    Raises:
        UserError: See `make_optimizer` and `LearningRate`.
    """
    rate = LearningRate(
        options.schedule or "constant",
        options.learning_rate or 0.0,
        options.steps or 0,
        options.warmup_steps,
        options.final_learning_rate or 0.0,
    )
    made = make_optimizer(
        options.optimizer_name, rate, options.all_optimizer_arguments
    )
    return scaled(made, options)


def scaled(
    optimizer: keras.optimizers.Optimizer, options: TrainingOptions
) -> keras.optimizers.Optimizer:
    """The same; for float16 inside one that scales the loss."""
    if options.dtype_policy != "mixed_float16":
        return optimizer
    # Small gradients would be zeros in float16.
    return keras.optimizers.LossScaleOptimizer(optimizer)
