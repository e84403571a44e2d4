"""Says on what a measurement was made."""

from typing import Any

from spos_tf.export import measure_parts

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
    return measure_parts.describe_machine(_PACKAGES[runtime])
