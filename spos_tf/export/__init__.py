"""Networks as files for other programs, each checked in its own runtime."""

from spos_tf.export.exporting import (
    default_formats,
    export_model,
    possible_formats,
)
from spos_tf.export.formats import (
    FORMATS,
    check_formats,
    check_weight_bits,
)
from spos_tf.export.parity import ExportMismatch, compare
from spos_tf.export.runtimes import (
    keras_predictor,
    load,
    predict,
    predict_reference,
)

__all__ = [
    "FORMATS",
    "ExportMismatch",
    "check_formats",
    "check_weight_bits",
    "compare",
    "default_formats",
    "export_model",
    "keras_predictor",
    "load",
    "possible_formats",
    "predict",
    "predict_reference",
]
