"""SavedModel: for TensorFlow itself and TensorFlow Serving."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator

import keras
import tensorflow as tf

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError
from spos_tf.silence import silenced

# What the system says of a file that cannot be written; TensorFlow passes on
# the words, not the number.
_REFUSALS = tuple(
    os.strerror(number)
    for number in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EIO,
    )
)
# What is not itself in a pattern of file names.
_PATTERN = set("[]*?\\")


def write_saved_model(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes a network as a SavedModel folder, for any batch size.

    The signature `serving_default` maps `image`, float32
    `[batch, height, width, 3]`, to `logits`, float32 `[batch, classes]`.
    `tf.saved_model.load(path).serve(images)` returns the logits themselves.

    Args:
        model: Images -> logits.
        path: The folder to make; replaced if it is there. Nothing is left of
            it when writing fails.

    Raises:
        UserError: The folder cannot be written or the disk is full.
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
    with unfinished(path) as temporary, silenced(), _refusals(path):
        tf.saved_model.save(
            module, str(temporary), signatures={"serving_default": signature}
        )


@contextlib.contextmanager
def readable_place(path: str | os.PathLike[str]) -> Iterator[str]:
    """A path of a SavedModel that TensorFlow finds.

    It takes the path of the variables for a pattern of file names, so that it
    finds none in a folder whose name has a bracket or a star.

    Args:
        path: The folder.

    Yields:
        The path itself, or one of a link to it that lasts as long as the block.
    """
    text = os.fspath(path)
    if not _PATTERN & set(text):
        yield text
        return
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "saved_model")
        os.symlink(os.path.abspath(text), link, target_is_directory=True)
        yield link


@contextlib.contextmanager
def _refusals(path: str | os.PathLike[str]) -> Iterator[None]:
    """Tells what the system refuses from bugs."""
    try:
        yield
    except tf.errors.OpError as error:
        said = next((one for one in _REFUSALS if one in str(error)), None)
        if said is None:
            raise
        raise UserError(
            f"Cannot write {os.fspath(path)!r}: {said}. Nothing of it is left; "
            "free some space, or choose a folder on another disk."
        ) from None
