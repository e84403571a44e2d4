"""Keeps what libraries of C++ say until something goes wrong."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

from spos_tf.errors import Preempted, UserError

_LOGGERS = ("absl", "tensorflow", "tf2onnx")


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Holds back standard error and Python's logs below ERROR.

    For converters and runtimes; see `held_back`.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with held_back(2):
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def held_back(descriptor: int) -> Iterator[Callable[[], None]]:
    """Holds back what is written to a file descriptor, by the whole process.

    C++ code writes there whatever the log level. If the block raises, what
    was held back is written first: it is often the only explanation. A
    `UserError` and the end explain themselves.

    Args:
        descriptor: 1, standard output, or 2, standard error.

    Yields:
        A function that shows what was held back so far.
    """
    stream = (sys.stdout, sys.stderr)[descriptor - 1]
    stream.flush()
    real = os.dup(descriptor)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), descriptor)

        def show() -> None:
            stream.flush()
            held.seek(0)
            os.write(real, held.read())
            held.truncate(0)

        try:
            yield show
        except (UserError, Preempted):
            raise
        except BaseException:
            show()
            raise
        finally:
            stream.flush()
            os.dup2(real, descriptor)
            os.close(real)
