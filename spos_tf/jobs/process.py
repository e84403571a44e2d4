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
    policy = keras.config.dtype_policy()
    was_deterministic = framework_config.is_op_determinism_enabled()
    keras.config.set_dtype_policy(dtype_policy)
    _set_determinism(deterministic)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        _set_determinism(was_deterministic)


def _set_determinism(wanted: bool) -> None:
    # TensorFlow has no public function that ends it.
    if wanted:
        framework_config.enable_op_determinism()
    else:
        framework_config.disable_op_determinism()
