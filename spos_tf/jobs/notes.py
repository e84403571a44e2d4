"""Lines that a job says to people."""

import logging
import sys

_LOGGER = logging.getLogger("spos_tf")


def tell(message: str) -> None:
    """Says a line for people, once, at the level of a note.

    Where nobody has set up logging, as in a notebook, it goes to standard
    error by itself.
    """
    _set_up()
    _LOGGER.info(message)


def warn(message: str) -> None:
    """Says a line that people should not miss."""
    _set_up()
    _LOGGER.warning(message)


def _set_up() -> None:
    if _LOGGER.hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _LOGGER.addHandler(handler)
    # Libraries set up the root's handlers later, which would say it again.
    _LOGGER.propagate = False
    _LOGGER.setLevel(logging.INFO)
