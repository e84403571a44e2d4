"""Carries a path's weights from a supernet into its stand-alone network."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.supernet import Supernet, branch_name
from spos_tf.ops.protocol import Block
from spos_tf.ops.shape_ops import Count, Shape, ShapeOps
from spos_tf.quantization.quantizers import check_clip_level


def load_weights(supernet: Supernet, weights: Mapping[str, Any]) -> None:
    """Sets all of a supernet's weights from arrays by name.

    Raises:
        UserError: A weight is missing or has another shape, or a clip level
            is not above 0.
    """
    for name, variable in supernet.named_variables.items():
        _assign(variable, weights, name)
        if name.endswith(".alpha"):
            check_clip_level(variable, repr(name))


def inherit_weights(
    subnet: keras.Model,
    blueprint: Blueprint,
    encoding: npt.ArrayLike,
    weights: Mapping[str, Any],
    statistics: Sequence[npt.ArrayLike] | None = None,
) -> None:
    """Sets a subnet's weights to those of its path in a supernet.

    Args:
        subnet: From `build_subnet` with the same blueprint and encoding.
        blueprint: The description.
        encoding: int32 `[num_choices]`.
        weights: `Supernet.named_variables`, or arrays by the same names.
        statistics: Recalibrated batch-norm statistics of this path, float32
            `[2, channels]` a segment; None leaves the moving statistics. Beta
            is set to 0 and gamma to 1, as in the supernet.

    Raises:
        UserError: A weight is missing or has another shape.
    """
    for index, (segment, options, shape) in enumerate(
        zip(
            blueprint.segments,
            blueprint.settings(encoding),
            blueprint.input_shapes,
            strict=True,
        )
    ):
        option, _ = segment.branch_of(options)
        prefix = branch_name(blueprint, segment.name, option)
        used = 0
        for count, whole in zip(
            _counts(segment.block(options), shape),
            _counts(segment.branches[option], shape),
            strict=True,
        ):
            layer = subnet.get_layer(f"{segment.name}.{count.name}")
            if count.weights:
                # Quantizers have variables of their own besides.
                for variable in layer.trainable_variables:
                    name = f"{prefix}.{count.name}.{variable.name}"
                    _assign(
                        variable,
                        weights,
                        name,
                        first=count.weights < whole.weights,
                    )
            if count.clip_levels:
                (level,) = count.clip_levels
                shared = len(whole.clip_levels) == 1
                place = 0 if shared else whole.clip_levels.index(level)
                name = f"{prefix}.{count.name}.alpha"
                _assign(layer.alpha, weights, name, index=place)
            channels = count.batch_norm_channels
            if channels:
                layer.gamma.assign(np.ones(channels))
                layer.beta.assign(np.zeros(channels))
                if statistics is not None:
                    both = np.asarray(statistics[index])
                    layer.moving_mean.assign(both[0, used : used + channels])
                    layer.moving_variance.assign(
                        both[1, used : used + channels]
                    )
                used += whole.batch_norm_channels


def _counts(block: Block | None, shape: Shape) -> list[Count]:
    counted = ShapeOps()
    if block is not None:
        block(counted, shape)
    return counted.counts


def _assign(
    variable: keras.Variable,
    weights: Mapping[str, Any],
    name: str,
    *,
    first: bool = False,
    index: int | None = None,
) -> None:
    """Sets a weight: to the `first` channels of its source, or one `index`."""
    if name not in weights:
        raise UserError(
            f"The supernet's weights have no {name!r}: they belong to another "
            "space or preset. Choose another supernet."
        )
    value = weights[name]
    dtype = str(getattr(value, "dtype", "float32"))
    if "float" not in dtype:
        raise UserError(
            f"Weight {name!r} of the supernet is of type {dtype}, not float: "
            "the checkpoint is damaged. Choose another supernet."
        )
    if first and len(value.shape) == len(variable.shape):
        value = value[tuple(slice(size) for size in variable.shape)]
    if index is not None:
        value = value[index]
    if tuple(value.shape) != tuple(variable.shape):
        raise UserError(
            f"Weight {name!r} has shape {tuple(value.shape)} in the supernet "
            f"and {tuple(variable.shape)} in the network: they belong to "
            "different presets. Choose another supernet."
        )
    variable.assign(value)
