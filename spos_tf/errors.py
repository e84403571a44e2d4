"""What ends a program that is no bug: wrong input, and being told to stop."""

import contextlib
import os
from collections.abc import Iterator


class UserError(ValueError):
    """A rule that the user's input breaks.

    The message says the rule, what came, and the way out, in one line. Tools
    print it on stderr and exit with 2; anything else is a bug and keeps its
    traceback.

    Example:
        >>> import spos_tf
        >>> try:
        ...     spos_tf.SearchOptions(population=0)
        ... except spos_tf.UserError as error:
        ...     print(error)
        `population` is at least 1; got 0.
    """


class UnknownOption(UserError, TypeError):
    """An option that does not exist, for which Python's own is a TypeError."""


class Preempted(BaseException):
    """The machine is wanted back: SIGTERM came.

    Like `KeyboardInterrupt` it is nothing that `except Exception` is for.

    Args:
        saved: What the run can go on from, in words; empty: whatever it has
            written so far.
    """

    def __init__(self, saved: str = "") -> None:
        super().__init__(saved)
        self.saved = saved


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


@contextlib.contextmanager
def system_errors(
    verb: str, path: str | os.PathLike[str], way_out: str = ""
) -> Iterator[None]:
    """Turns what the system refuses to do with a file into a UserError.

    Args:
        verb: What was to be done, for example `"write scores"`.
        path: The file.
        way_out: Further sentences.

    Raises:
        UserError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        said = f"Cannot {verb} {os.fspath(path)!r}: {error.strerror}."
        raise UserError(f"{said}{way_out and ' '}{way_out}") from None


def check_kind(
    value: object, kind: type, parameter: str, expected: str
) -> None:
    """Refuses an argument of another kind, which would fail later on.

    Args:
        value: What came.
        kind: Of a right value.
        parameter: What the argument is called.
        expected: How one gets a right value, a part of a sentence.

    Raises:
        UserError: The value is of another kind.
    """
    if not isinstance(value, kind):
        raise UserError(
            f"`{parameter}` is {expected}; got {type(value).__name__}."
        )


def missing_extra(what: str, extra: str) -> UserError:
    """The error of what needs packages that are not installed.

    Args:
        what: What needs them.
        extra: Name of the extra that they belong to.
    """
    return UserError(
        f"{what} needs the packages of the extra {extra!r}, which are not "
        f"installed. In the checkout run: pip install -e '.[{extra}]'; with "
        f"the wheel: pip install 'PATH/TO/spos_tf-VERSION-py3-none-any.whl"
        f"[{extra}]'{_alone(extra)}."
    )


def _alone(extra: str) -> str:
    """How to install the packages of an extra without the file of ours."""
    from importlib import metadata

    try:
        needed = metadata.requires("spos_tf") or []
    except metadata.PackageNotFoundError:
        return ""
    names = [
        one.partition(";")[0].strip()
        for one in needed
        if f'extra == "{extra}"' in one
    ]
    return f"; or alone: pip install {' '.join(map(repr, names))}" * bool(names)
