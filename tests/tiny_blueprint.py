"""The network of tests: a few narrow blocks on 8 x 8 pixels."""

from typing import Any

from spos_tf.networks.blueprint import Blueprint
from spos_tf.spaces import build_blueprint


def tiny_blueprint(
    space: str = "shufflenet_blocks", **arguments: Any
) -> Blueprint:
    """A ShuffleNet space at its `demo` preset, made small.

    Args:
        space: Name of the space.
        **arguments: Of the space, in place of those here.
    """
    small = {
        "stem_width": 8,
        "stage_widths": [12, 16],
        "stage_strides": [1, 2],
        "stage_repeats": [1, 2],
        "last_width": 16,
    }
    return build_blueprint(space, preset="demo", **{**small, **arguments})
