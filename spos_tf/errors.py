"""The one exception for a mistake of the user's: wrong input, not a bug."""

import contextlib
import os
from collections.abc import Iterator


class UserError(ValueError):
    """A rule that the user's input breaks.

    The message says the rule, what came, and the way out, in one line. Tools
    print it on stderr and exit with 2; anything else is a bug and keeps its
    traceback.
    """


@contextlib.contextmanager
def said_of(path: str | os.PathLike[str]) -> Iterator[None]:
    """Names a file in the message of whatever is wrong with what it says.

    Raises:
        UserError: The block did; the message begins with the file unless it
            names it already.
    """
    try:
        yield
    except UserError as error:
        if os.fspath(path) in str(error):
            raise
        raise UserError(f"{os.fspath(path)!r}: {error}") from None
