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


class Functions:
    """All functions that a compiled function consists of.

    Args:
        concrete: The function.
    """

    def __init__(self, concrete: Any) -> None:
        definition = concrete.graph.as_graph_def()
        # By name; the function itself has none here.
        self._nodes: dict[str, dict[str, Any]] = {
            "": {node.name: node for node in definition.node}
        }
        self._arguments: dict[str, list[str]] = {"": []}
        self._definitions = {}
        for function in definition.library.function:
            name = function.signature.name
            self._nodes[name] = {node.name: node for node in function.node_def}
            self._arguments[name] = [
                one.name for one in function.signature.input_arg
            ]
            self._definitions[name] = function
        # By function, the (function, inputs) of everyone who calls it.
        self._callers: dict[str, list[tuple[str, list[str]]]] = {}
        for where, nodes in self._nodes.items():
            for node in nodes.values():
                for called, inputs in _calls(node):
                    self._callers.setdefault(called, []).append((where, inputs))

    @property
    def nodes(self) -> list[Any]:
        """Every node."""
        return [n for nodes in self._nodes.values() for n in nodes.values()]

    def index_devices(self) -> set[str]:
        """Devices that the indexes of all Cases are computed on."""
        kinds = ("Case", "StatelessCase", "If", "StatelessIf")
        return {
            device
            for where, nodes in self._nodes.items()
            for node in nodes.values()
            if node.op in kinds
            for device in self._devices(where, node.input[0])
        }

    def _devices(self, where: str, name: str) -> set[str]:
        """Where a value is computed, through calls and arguments."""
        producer, *rest = name.split(":")
        if producer in self._arguments[where]:
            place = self._arguments[where].index(producer)
            return {
                device
                for caller, inputs in self._callers.get(where, [])
                for device in self._devices(caller, inputs[place])
            }
        node = self._nodes[where][producer]
        if node.op == "Placeholder":
            # An argument of the whole: whoever calls has it on the host.
            return set()
        if node.op == "Identity":
            # On a GPU too, integers that pass through stay on the host.
            return self._devices(where, node.input[0])
        calls = [called for called, _ in _calls(node)]
        if not calls:
            return {node.device}
        position = int(rest[-1]) if rest else 0
        found: set[str] = set()
        for called in calls:
            found |= self._devices(called, self._returned(called, position))
        return found

    def _returned(self, name: str, position: int) -> str:
        function = self._definitions[name]
        return function.ret[function.signature.output_arg[position].name]


def _calls(node: Any) -> list[tuple[str, list[str]]]:
    """Functions that a node calls, and the inputs that they get."""
    inputs = [one for one in node.input if not one.startswith("^")]
    attributes = node.attr
    if "branches" in attributes:
        branches = attributes["branches"].list.func
        return [(one.name, inputs[1:]) for one in branches]
    if "then_branch" in attributes:
        names = ("then_branch", "else_branch")
        return [(attributes[one].func.name, inputs[1:]) for one in names]
    if "f" in attributes and attributes["f"].HasField("func"):
        return [(attributes["f"].func.name, inputs)]
    return []
