"""Keeps what converters and runtimes say until something goes wrong."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

from spos_tf.errors import Preempted, UserError

_LOGGERS = ("absl", "tensorflow", "tf2onnx")


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Holds back standard error and Python's logs below ERROR.

    The converters' C++ code writes to file descriptor 2 whatever the log
    level, so the descriptor itself is redirected, for the whole process. If
    the block raises, what was held back is written to standard error first:
    it is often the only explanation. A `UserError` and the end explain
    themselves.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with tempfile.TemporaryFile() as held, _redirected(held.fileno()) as real:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        except (UserError, Preempted):
            raise
        except BaseException:
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _redirected(target: int) -> Iterator[int]:
    sys.stderr.flush()
    real = os.dup(2)
    os.dup2(target, 2)
    try:
        yield real
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)
        os.close(real)
