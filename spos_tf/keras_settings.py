"""Settings of Keras that change what networks compute, refused before work.

Keras reads `keras.json` in its folder and `KERAS_BACKEND` when it is imported;
another project may have left its own there.
"""

import os
import pathlib
import sys
from typing import Any

from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

# What networks here are written for; Keras's own defaults.
_NEEDED = {
    "backend": "tensorflow",
    "image_data_format": "channels_last",
    "floatx": "float32",
    "epsilon": 1e-7,
}


def check_keras() -> None:
    """Checks the settings that Keras has, or will have when it is imported.

    Raises:
        UserError: One of them is another project's.
    """
    found, places = _settings()
    wrong = [
        f"{name}={found[name]} (by {places[name]})"
        for name, needed in _NEEDED.items()
        if found.get(name, needed) != needed
    ]
    if wrong:
        needed = ", ".join(f"{name}={one}" for name, one in _NEEDED.items())
        raise UserError(
            f"Networks here need the default settings of Keras, {needed}; got "
            f"{', '.join(wrong)}. Remove these settings, or set the "
            "environment variable KERAS_HOME to an empty folder."
        )


def _settings() -> tuple[dict[str, Any], dict[str, str]]:
    """Values by name, and where each comes from."""
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config"):
        found = {name: getattr(keras.config, name)() for name in _NEEDED}
        return found, dict.fromkeys(found, "keras.config of this process")
    path = _file()
    try:
        read = parse_json(path.read_bytes())
    except (OSError, ValueError):
        # Keras goes without such a file too.
        read = {}
    found = read if isinstance(read, dict) else {}
    places = dict.fromkeys(found, str(path))
    backend = os.environ.get("KERAS_BACKEND")
    if backend:
        found = {**found, "backend": backend}
        places["backend"] = "the environment variable KERAS_BACKEND"
    return found, places


def _file() -> pathlib.Path:
    """As Keras looks for it."""
    if "KERAS_HOME" in os.environ:
        return pathlib.Path(os.environ["KERAS_HOME"], "keras.json").expanduser()
    home = os.path.expanduser("~")
    if not os.access(home, os.W_OK):
        home = "/tmp"
    return pathlib.Path(home, ".keras", "keras.json")
