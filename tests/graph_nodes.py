"""Reads what is in a compiled function, the functions it calls included."""

from collections.abc import Iterator
from typing import Any

_LOWERS = "_lower_using_switch_merge"


def all_nodes(concrete: Any) -> Iterator[Any]:
    """Every node of a concrete function and of its library."""
    definition = concrete.graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def cases(concrete: Any) -> list[Any]:
    """Nodes that choose a branch."""
    kinds = ("Case", "StatelessCase", "If", "StatelessIf")
    return [node for node in all_nodes(concrete) if node.op in kinds]


def choosing_from(nodes: list[Any], count: int) -> list[Any]:
    """Those with so many branches."""
    return [
        node for node in nodes if len(node.attr["branches"].list.func) == count
    ]


def lowered(nodes: list[Any]) -> list[Any]:
    """Those that become Switch and Merge, whose dead branches are walked."""
    return [node for node in nodes if node.attr[_LOWERS].b]
