"""Says on what a measurement was made."""

import importlib.metadata
import os
import pathlib
import platform
from typing import Any

_PACKAGES = {
    "tflite": "ai-edge-litert",
    "onnxruntime": "onnxruntime",
    "tensorflow": "tensorflow",
}


def describe_machine(runtime: str) -> dict[str, Any]:
    """Processor, cores, system, Python and the runtime's version.

    Args:
        runtime: A key of `spos_tf.export.timing.RUNTIMES`.
    """
    package = _PACKAGES[runtime]
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        package: importlib.metadata.version(package),
    }


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return platform.processor() or platform.machine()
