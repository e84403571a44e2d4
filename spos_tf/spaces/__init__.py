"""Search spaces by name: one module a family; the folder is the registry.

A module lists its spaces in `SPACES`, a dict from name to a function that
takes the space's arguments by keyword and returns a `Blueprint`, and its
presets in `PRESETS`. Published networks of the space are in `NETWORKS`, where
there are any. A family whose architectures are usually written otherwise than
as an encoding has `parse_arch_string`. Adding a
space is adding a file; only modules whose name begins with an underscore are
no families.
"""

from spos_tf.spaces._registry import (
    at_its_place,
    blueprint_of,
    build_blueprint,
    named_network,
    network_names,
    parse_architecture,
    preset_names,
    space_names,
    stored_blueprint,
    uniform_network,
)

__all__ = [
    "at_its_place",
    "blueprint_of",
    "build_blueprint",
    "named_network",
    "network_names",
    "parse_architecture",
    "preset_names",
    "space_names",
    "stored_blueprint",
    "uniform_network",
]
