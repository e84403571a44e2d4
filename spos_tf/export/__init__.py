"""Networks as files for other programs, each checked in its own runtime.

Names are imported when they are first used: the table of formats does not
load TensorFlow.
"""

import importlib
from typing import Any

_MODULES = {
    "FORMATS": "formats",
    "ExportMismatch": "parity",
    "check_formats": "formats",
    "check_weight_bits": "formats",
    "compare": "parity",
    "default_formats": "exporting",
    "export_model": "exporting",
    "keras_predictor": "runtimes",
    "load": "runtimes",
    "possible_formats": "exporting",
    "predict": "runtimes",
    "predict_reference": "runtimes",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"{__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)
