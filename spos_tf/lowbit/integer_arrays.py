"""What the writers of integer files take from a deploy form."""

from typing import Any, NamedTuple

import numpy as np

from spos_tf.lowbit.deploy_form import (
    classifier_weights,
    feature_step,
    integer_weights,
)
from spos_tf.lowbit.integer_nodes import Classifier, Conv, Image


class ConvArrays(NamedTuple):
    """A convolution as a file has it, whole numbers in float32.

    Attributes:
        kernel: `[height, width, in, out]`, from -127 to 127.
        step: `[out]`, of the kernel.
        bias: `[out]`.
        bias_step: `[out]`, of the bias.
        around: For each channel of the first convolution's image the pixel
            that pads it; None where that is zero.
    """

    kernel: np.ndarray
    step: np.ndarray
    bias: np.ndarray
    bias_step: np.ndarray
    around: np.ndarray | None


def conv_arrays(conv: Conv) -> ConvArrays:
    """The numbers of a convolution, of its variables of now.

    A file's first convolution takes pixels as they are: their mean, which
    `integer_weights` takes off, is in the bias, and around the image.
    """
    kernel, step, bias = (as_array(one) for one in integer_weights(conv))
    bias_step = step * as_array(feature_step(conv.source))
    around = None
    if isinstance(conv.source, Image):
        # Files take R, G, B; each order there is is its own inverse.
        order = list(conv.source.order)
        kernel = kernel[:, :, order]
        mean = np.array(conv.source.mean, np.float32)[order]
        bias = bias - (kernel * mean[:, np.newaxis]).sum((0, 1, 2))
        around = mean if mean.any() else None
    return ConvArrays(kernel, step, bias, bias_step, around)


def classifier_arrays(
    node: Classifier,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel `[in, out]` as integers, their one step, and the float bias."""
    kernel, step = classifier_weights(node)
    return as_array(kernel), as_array(step), as_array(node.layer.bias)


def as_array(value: Any) -> np.ndarray:
    """A tensor's value now, float32."""
    return np.asarray(value, np.float32)


def same_padding(length: int, size: int, strides: int) -> tuple[int, int]:
    """Pixels before and after, of TensorFlow's `"same"` padding.

    Args:
        length: Of the image.
        size: Of the window.
        strides: Of the window.
    """
    missing = max((-(-length // strides) - 1) * strides + size - length, 0)
    return missing // 2, missing - missing // 2
