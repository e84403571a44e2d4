"""Docstrings as the site shows them; an extension that mkdocstrings loads."""

import pathlib
import sys
from typing import Any

import griffe

# It is loaded by its path, and so is its neighbour as a hook.
sys.path.append(str(pathlib.Path(__file__).parent))

from site_pages import site_docstring


class SiteDocstrings(griffe.Extension):
    """Changes docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Is called with every object that is documented."""
        if obj.docstring is not None:
            obj.docstring.value = site_docstring(obj.docstring.value)
