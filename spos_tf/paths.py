"""Paths that users name: folders and files of this machine."""

import os
import pathlib
import re

from spos_tf.errors import UserError

# How an address of another program begins, also where pathlib took a slash.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(path: str | os.PathLike[str], name: str) -> pathlib.Path:
    """The path, if it is one of this machine that text can hold.

    Args:
        path: What the user gave.
        name: Of the parameter.

    Raises:
        UserError: It is an address such as `gs://bucket/run`, or no UTF-8.
    """
    text = os.fspath(path)
    check_text(text, name)
    # The name of a data set may say a folder.
    if _SCHEME.match(text.removeprefix("folder:")):
        raise UserError(
            f"`{name}` is a path of this machine; got {text!r}. Give a local "
            "folder, or one where that storage is mounted."
        )
    return pathlib.Path(text)


def check_text(text: str, name: str) -> None:
    """Refuses bytes that are no UTF-8: files of results could not hold them.

    Raises:
        UserError: There are some.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(text).decode("utf-8", "backslashreplace")
        raise UserError(
            f"`{name}` is text in UTF-8; got '{shown}'. Rename the file or "
            "folder, or give another path."
        ) from None
