"""Scores of a supernet that are kept beside a figure made of them.

An NPZ file of plain arrays: `encodings`, `scores`, `settings` (a JSON text
that says what scored them, and of which table), and `truth`, the table's
accuracies, where there are some. `numpy.load` reads it.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError, system_errors
from spos_tf.plain_arrays import read_arrays
from spos_tf.strict_json import parse_json


@dataclasses.dataclass(frozen=True, eq=False)
class StoredScores:
    """Architectures with their scores.

    Attributes:
        encodings: Option indices, int32 `[architectures, num_choices]`.
        scores: float64 `[architectures]`.
        settings: JSON values: what scored them.
        truth: float64 `[architectures]`, in the table's unit; None where the
            file has none.
        sha256: Of the file; empty where there is none yet.
    """

    encodings: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    settings: Mapping[str, Any]
    truth: npt.NDArray[np.float64] | None = None
    sha256: str = ""

    @property
    def merits(self) -> npt.NDArray[np.float64]:
        """Scores turned so that more is better."""
        sign = -1 if self.settings["direction"] == "min" else 1
        return sign * self.scores

    def write(self, path: str | pathlib.Path) -> None:
        """Writes the file; it appears whole or not at all.

        Raises:
            UserError: It cannot be written.
        """
        kind = np.uint8 if self.encodings.max(initial=0) < 256 else np.int32
        arrays: dict[str, Any] = {
            "encodings": self.encodings.astype(kind),
            "scores": self.scores,
            "settings": np.array(json.dumps(self.settings, sort_keys=True)),
        }
        if self.truth is not None:
            arrays["truth"] = self.truth
        with (
            system_errors("write", path),
            unfinished(path) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez_compressed(file, **arrays)


def read_scores(path: str | pathlib.Path) -> StoredScores:
    """Reads a file of stored scores.

    Raises:
        UserError: It cannot be read, or is none.

    Example:
        >>> read_scores("docs/results/macro.npz").scores  # doctest: +SKIP
    """
    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
        arrays = read_arrays(path)
        settings = parse_json(str(arrays["settings"]))
        found = StoredScores(
            arrays["encodings"].astype(np.int32),
            arrays["scores"].astype(np.float64),
            settings,
            arrays["truth"].astype(np.float64) if "truth" in arrays else None,
            hashlib.sha256(content).hexdigest(),
        )
        _check(found)
    except OSError as error:
        raise UserError(
            f"Cannot read scores {str(path)!r}: {error.strerror}."
        ) from None
    except KeyError as error:
        raise UserError(
            "A file of scores has encodings, scores and settings; "
            f"{str(path)!r} has no {error}. It is made by `correlate`."
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{str(path)!r} is damaged, or is no file of scores ({error}). "
            "Such files are made by `correlate`."
        ) from None
    return found


def _check(stored: StoredScores) -> None:
    rows = len(stored.encodings)
    if stored.encodings.ndim != 2 or not rows:
        raise ValueError(f"encodings are {list(stored.encodings.shape)}")
    for name in ("scores", "truth"):
        values = getattr(stored, name)
        if values is not None and (
            values.shape != (rows,) or not np.isfinite(values).all()
        ):
            raise ValueError(f"{name} are not {rows} finite numbers")
    if not isinstance(stored.settings, Mapping) or stored.settings.get(
        "direction"
    ) not in ("min", "max"):
        raise ValueError("its settings do not say which scores are better")
