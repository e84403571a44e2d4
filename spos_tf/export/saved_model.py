"""SavedModel: for TensorFlow itself and TensorFlow Serving."""

import os

import keras
import tensorflow as tf

from spos_tf.atomic_write import unfinished
from spos_tf.export.silence import silenced


def write_saved_model(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes a network as a SavedModel folder, for any batch size.

    The signature `serving_default` maps `image`, float32
    `[batch, height, width, 3]`, to `logits`, float32 `[batch, classes]`.
    `tf.saved_model.load(path).serve(images)` returns the logits themselves.

    Args:
        model: Images -> logits.
        path: The folder to make; replaced if it is there. Nothing is left of
            it when writing fails.
    """
    spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, "image")
    module = tf.Module()
    # Keras's own `model.export` stores every variable twice.
    module.weights = [variable.value for variable in model.variables]
    module.serve = tf.function(
        lambda image: model(image, training=False), input_signature=[spec]
    )
    signature = tf.function(
        lambda image: {"logits": module.serve(image)}, input_signature=[spec]
    )
    with unfinished(path) as temporary, silenced():
        tf.saved_model.save(
            module, str(temporary), signatures={"serving_default": signature}
        )
