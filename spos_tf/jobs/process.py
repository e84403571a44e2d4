"""What a job sets in its process, and puts back when it ends."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf
from tensorflow.python.framework import config as framework_config

from spos_tf.keras_settings import check_keras


def threads() -> int | None:
    """CPU threads that TensorFlow was told to use; None: all cores."""
    return tf.config.threading.get_intra_op_parallelism_threads() or None


@contextlib.contextmanager
def process_settings(
    *, deterministic: bool, dtype_policy: str = "float32"
) -> Iterator[None]:
    """Sets determinism and precision, and leaves them as they were found.

    Args:
        deterministic: Whether TensorFlow's operations have to be.
        dtype_policy: Keras's name of a precision.

    Raises:
        UserError: Keras has settings of another project.
    """
    check_keras()
    was_deterministic = framework_config.is_op_determinism_enabled()
    _set_determinism(deterministic)
    try:
        with precision(dtype_policy):
            yield
    finally:
        _set_determinism(was_deterministic)


@contextlib.contextmanager
def precision(dtype_policy: str) -> Iterator[None]:
    """Sets the precision of networks that are built in the block.

    Args:
        dtype_policy: Keras's name of it.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype_policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _set_determinism(wanted: bool) -> None:
    # TensorFlow has no public function that ends it.
    if wanted:
        framework_config.enable_op_determinism()
    else:
        framework_config.disable_op_determinism()
