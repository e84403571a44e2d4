"""Whether a file's weights are as few different ones as their bits allow."""

import os
from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from spos_tf.errors import UserError
from spos_tf.lowbit.deploy_form import integer_weights
from spos_tf.lowbit.integer_nodes import Conv, IntegerGraph


def onnx_kernels(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Integers of the kernels in an ONNX file, `[out, ...]`, by layer.

    What the file stores less its zero point, int16.
    """
    stored = {
        tensor.name: onnx.numpy_helper.to_array(tensor).astype(np.int16)
        for tensor in onnx.load(str(path)).graph.initializer
        if ".kernel." in tensor.name
    }
    kernels = {}
    for name, integers in stored.items():
        layer, _, kind = name.partition(".kernel.")
        if kind.endswith("integers"):
            zeros = stored.get(f"{layer}.kernel.zero", np.zeros(1, np.int16))
            # One for all channels, however often it is stored.
            kernels[layer] = integers - zeros.flat[0]
    return kernels


def most_levels(
    graph: IntegerGraph,
    kernels: Mapping[str, np.ndarray] | Iterable[np.ndarray],
) -> dict[str, int]:
    """Counts the weights that a file's channels tell apart.

    Args:
        graph: What the file was made of.
        kernels: The file's integers, the first axis the output channels', by
            name of the layer; or, without names, the deploy form's as
            `[out, height, width, in]`.

    Returns:
        For each layer with few bits, the most different weights that an
        output channel has.

    Raises:
        UserError: The file lacks a kernel, or a channel of it has more than
            2^bits different weights.
    """
    if not isinstance(kernels, Mapping):
        kernels = _named(graph, list(kernels))
    most = {}
    for conv in graph.convolutions:
        if conv.bits is None:
            continue
        if conv.name not in kernels:
            raise UserError(
                f"The file lacks the weights of {conv.name!r} as they are in "
                "the network: the converter changed them. Leave its format "
                "out of `formats`, and report a bug."
            )
        found = max(len(np.unique(one)) for one in kernels[conv.name])
        if found > 2**conv.bits:
            raise UserError(
                f"{conv.name!r} has {found} different weights in a channel; "
                f"{conv.bits} bits allow {2**conv.bits}. Leave the format out "
                "of `formats`, and report a bug."
            )
        most[conv.name] = found
    return most


def _named(
    graph: IntegerGraph, stored: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """A file's kernels by the layer that has the very same integers."""

    def same(conv: Conv) -> np.ndarray | None:
        kernel = np.asarray(integer_weights(conv).kernel).transpose(3, 0, 1, 2)
        return next((k for k in stored if np.array_equal(kernel, k)), None)

    found = {conv.name: same(conv) for conv in graph.convolutions}
    return {name: one for name, one in found.items() if one is not None}
