"""How a tensor loses bits: values on few levels, with gradients through.

Importing this package registers its layers and quantizers with Keras, which
low-bit `.keras` files need to be loaded.
"""

from spos_tf.quantization.layers import Pact, QuantizedFeatures, QuantizedKernel
from spos_tf.quantization.quantizers import (
    DorefaQuantizer,
    GridQuantizer,
    PactQuantizer,
)
from spos_tf.quantization.tfmot_adapter import TfmotQuantizer

__all__ = [
    "DorefaQuantizer",
    "GridQuantizer",
    "Pact",
    "PactQuantizer",
    "QuantizedFeatures",
    "QuantizedKernel",
    "TfmotQuantizer",
]
