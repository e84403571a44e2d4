"""Progress bars."""

import sys
from collections.abc import Iterable
from typing import Any

import tqdm

# A terminal shows every state; a log file gets a line now and then, not ten a
# second.
_SECONDS_ON_TERMINALS, _SECONDS_IN_FILES = 0.5, 10.0


def progress(
    items: Iterable[Any] | None = None, **arguments: Any
) -> "tqdm.tqdm[Any]":
    """A progress bar on standard error.

    Args:
        items: What it goes through, if it does so by itself.
        **arguments: Those of `tqdm`: `total`, `desc`, `unit`, `initial`.
    """
    seconds = (
        _SECONDS_ON_TERMINALS if sys.stderr.isatty() else _SECONDS_IN_FILES
    )
    return tqdm.tqdm(items, mininterval=seconds, **arguments)
