"""A network of the space as a plain functional Keras model."""

from collections.abc import Callable
from typing import Any

import keras
import numpy.typing as npt

from spos_tf.networks.blueprint import Blueprint, check_blueprint
from spos_tf.ops.keras_ops import KerasOps
from spos_tf.ops.protocol import Block
from spos_tf.ops.shape_ops import Shape


def build_subnet(
    blueprint: Blueprint,
    encoding: npt.ArrayLike,
    *,
    seed: int = 0,
    synchronized: bool = False,
) -> keras.Model:
    """Builds the final network of an encoding.

    Args:
        blueprint: The description.
        encoding: int32 `[num_choices]`.
        seed: Seed of the initial weights.
        synchronized: Whether batch norm is over all replicas in training.

    Returns:
        A functional model, images float32 RGB 0..255 `[batch, height, width,
        3]` -> logits float32 `[batch, classes]`. Its layers are Keras's own,
        so it loads without this package, except where bits are few: then
        import `spos_tf.quantization` first. A layer is named
        `segment.operation`.

    Raises:
        UserError: The encoding is not one of this space.

    Example:
        >>> import spos_tf
        >>> blueprint = spos_tf.build_blueprint(
        ...     "shufflenet_blocks", preset="demo")
        >>> model = spos_tf.build_subnet(blueprint, [0, 1, 2, 3, 0])
        >>> model.input_shape, model.output_shape
        ((None, 8, 8, 3), (None, 10))
    """
    check_blueprint(blueprint)
    return assemble(
        blueprint, encoding, lambda name: KerasOps(name, seed, synchronized)
    )


def assemble(
    blueprint: Blueprint,
    encoding: npt.ArrayLike,
    ops_of: Callable[[str], KerasOps],
) -> keras.Model:
    """The network of an encoding, in operations that are given.

    Args:
        blueprint: The description.
        encoding: int32 `[num_choices]`.
        ops_of: From the name of a segment.

    Raises:
        UserError: The encoding is not one of this space.
    """
    inputs = keras.Input(blueprint.input_shape, name="image")
    blocks = blueprint.blocks(encoding)

    def apply(index: int, x: Any) -> Any:
        return blocks[index](ops_of(blueprint.segments[index].name), x)

    x = blueprint.flow(inputs, apply, lambda xs: keras.layers.Add()(list(xs)))
    # Without the path of a user's file: Keras takes no slash.
    name = blueprint.search_space.name.rpartition(":")[2]
    return keras.Model(inputs, x, name=name)


def build_part(block: Block, input_shape: Shape, *, name: str) -> keras.Model:
    """Builds one block alone, just as `build_subnet` builds it in a network.

    Args:
        block: At its final size.
        input_shape: (height, width, channels).
        name: Of the segment; layers are named after it.

    Returns:
        A functional model of Keras's own layers: float32
        `[batch, height, width, channels]` -> the block's output.
    """
    inputs = keras.Input(input_shape, name="image")
    return keras.Model(inputs, block(KerasOps(name, 0, False), inputs))
