"""Python files of the user's own, which are run once a process."""

import importlib.util
import pathlib
import sys
import traceback
from types import ModuleType

from spos_tf.errors import UserError


def is_loaded(path: str) -> bool:
    """Whether this very file was run in this process."""
    return _module_name(path) in sys.modules


def _module_name(path: str) -> str:
    # Dataclasses look the module of their class up by its name.
    return f"spos_tf user file {pathlib.Path(path).resolve()}"


def load_module(path: str, what: str, hint: str = "") -> ModuleType:
    """Runs a file as a module that no import can meet.

    Args:
        path: Of the file, relative to the working directory or absolute.
        what: Is taken from it, with an article, for messages.
        hint: A further sentence where the file is missing.

    Raises:
        UserError: There is no such file, it is no Python file, or it fails.
    """
    resolved = pathlib.Path(path).resolve()
    name = _module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    if not resolved.is_file():
        raise UserError(
            f"There is no file {path!r} to take {what} from. Paths are "
            "relative to the folder that the tool is started in."
            f"{hint and ' '}{hint}"
        )
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise UserError(
            f"{path!r} is no Python file to take {what} from. Name a file "
            "that ends in .py."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    # Whatever the user's code may raise.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(
            f"File {path!r}, which {what} is taken from, does not run: "
            f"{told(error, path)}."
        ) from None
    return module


def told(error: BaseException, path: str) -> str:
    """What an exception says and where in the file, on one line."""
    resolved = str(pathlib.Path(path).resolve())
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if str(pathlib.Path(frame.filename).resolve()) == resolved
    ]
    if isinstance(error, SyntaxError) and error.lineno:
        lines.append(error.lineno)
    where = f" (line {lines[-1]})" if lines else ""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    words = " ".join(text.split()).rstrip(".")
    return f"{type(error).__name__}: {words}{where}"
