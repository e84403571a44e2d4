"""One block of a network as a Keras model of its own, to be measured."""

import keras

from spos_tf.networks.subnet import KerasOps
from spos_tf.ops.protocol import Block
from spos_tf.ops.shape_ops import Shape


def build_part(
    block: Block, input_shape: Shape, *, name: str, seed: int = 0
) -> keras.Model:
    """Builds a block just as `build_subnet` builds it within a network.

    Args:
        block: At its final size.
        input_shape: (height, width, channels).
        name: Of the segment; layers are named after it.
        seed: Seed of the initial weights.

    Returns:
        A functional model of Keras's own layers: float32
        `[batch, height, width, channels]` -> the block's output.
    """
    inputs = keras.Input(input_shape, name="image")
    return keras.Model(inputs, block(KerasOps(name, seed, False), inputs))
