"""Factories that the workers of `test_ray_pool` import by name."""

import os
import pathlib
import signal
import time

import numpy as np

from spos_tf.errors import UserError
from spos_tf.evaluation.measured import Measured


def accuracy(encoding):
    """What every judge here gives."""
    return float(np.sin(np.asarray(encoding) @ np.arange(1, 1 + len(encoding))))


class Formula:
    """Scores by a formula; writes down what it was asked."""

    def __init__(self, folder, described=None):
        self.described = described or {"weights": "w"}
        self._folder = pathlib.Path(folder)

    def __call__(self, encodings):
        log = self._folder / f"{os.getpid()}.log"
        with log.open("a") as file:
            file.writelines(f"{encoding}\n" for encoding in encodings)
        for encoding in encodings:
            # [9, 9]: the first worker that is asked is killed.
            marker = self._folder / "killed"
            if encoding == [9, 9] and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if encoding == [8, 8]:
                os.kill(os.getpid(), signal.SIGKILL)
            if encoding == [7, 7]:
                raise UserError("Encoding [7, 7] is refused.")
            if encoding == [6, 6]:
                raise KeyError("a bug")
        return [
            Measured(accuracy(encoding), (0.0, encoding[0]))
            for encoding in encodings
        ]


def formula(folder):
    """A judge that works."""
    return Formula(folder)


def odd(folder):
    """Every worker has other weights, and takes its time."""

    class Slow(Formula):
        def __call__(self, encodings):
            # So that the second has joined before the first has done it all.
            time.sleep(0.05)
            return super().__call__(encodings)

    return Slow(folder, {"images": 1, "weights": os.getpid()})


def refuses():
    """Loading ends with a mistake of the user's."""
    raise UserError("There is no supernet 'here'.")


def dies():
    """Loading ends with the process."""
    os.kill(os.getpid(), signal.SIGKILL)
