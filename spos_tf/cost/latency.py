"""Latency as a cost: what a table of measurements says of every part."""

import pathlib
from collections.abc import Hashable
from typing import Any

import yaml

from spos_tf.cost.latency_entries import MeasuredTable, is_measured_table
from spos_tf.cost.latency_layers import LayerTable, is_layer_table
from spos_tf.cost.table import CostTable, SlotOption, slot_options, tabulate
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint

NAME = "latency_ms"

# Missing entries that a message names; the rest it counts.
_NAMED = 5


# Measured milliseconds of the parts of networks.
LatencyTable = MeasuredTable | LayerTable


class _PlainYaml(yaml.SafeLoader):  # type: ignore[misc]
    """YAML that says everything once.

    A key that stands twice is an error, as YAML says. So is an alias: a few
    of them can say more than there is memory.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The node; see PyYAML."""
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                problem=f"the alias {event.anchor[:60]!r} is not read",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """The mapping; see PyYAML."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            # What cannot be a key is refused below.
            if not isinstance(key, Hashable):
                continue
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{str(key)[:60]!r} stands twice",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_latency_table(path: str | pathlib.Path) -> LatencyTable:
    """Reads a table in our format or in that of ProxylessNAS and OFA.

    Args:
        path: A YAML file; see docs/latency.md for the formats.

    Raises:
        UserError: The file is missing, is not such a table, or holds a
            latency that is none (negative, NaN, infinite, not a number).
    """
    source = repr(str(path))
    try:
        text = pathlib.Path(path).read_text("utf-8")
        data = yaml.load(text, _PlainYaml)
    except OSError as error:
        raise UserError(
            f"Cannot read latency table {source}: {error.strerror}. Build one "
            "with spos build_latency_table."
        ) from None
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
        # PyYAML's, of a tag that does not fit its value.
        AttributeError,
        KeyError,
        TypeError,
    ) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None)
        where = f" (line {mark.line + 1}: {problem})" if mark else ""
        raise UserError(
            f"A latency table is YAML; {source} is not{where}. Build it "
            "again with spos build_latency_table."
        ) from None
    if is_measured_table(data):
        return MeasuredTable.from_dict(data, source=source)
    if is_layer_table(data):
        return LayerTable.from_dict(data, source=source)
    raise UserError(
        "A latency table has `kind: latency_ms` and `entries`, or keys such "
        "as 'Conv-input:224x224x3-output:112x112x32' with a `mean`; "
        f"{source} has neither. Build one with spos build_latency_table."
    )


def latency_table(blueprint: Blueprint, table: LatencyTable) -> CostTable:
    """Milliseconds of one inference, as a cost of every architecture.

    Args:
        blueprint: The networks.
        table: Has to have an entry for every part they can be made of.

    Returns:
        A float64 table named `"latency_ms"`.

    Raises:
        UserError: Entries are missing; the message names them.
    """
    missing = dict.fromkeys(
        table.name_of(option)
        for option in slot_options(blueprint)
        if table.latency_of(option) is None
    )
    if missing:
        names = [*missing]
        named = ", ".join(repr(name) for name in names[:_NAMED])
        more = len(names) - _NAMED
        rest = f" and {more} more" if more > 0 else ""
        raise UserError(
            f"A latency table has an entry for every part of space "
            f"{blueprint.search_space.name!r}; {table.source} lacks "
            f"{len(names)}: {named}{rest}. Build a table for this space, "
            "preset and size with spos build_latency_table."
        )

    def cost_of(option: SlotOption) -> float:
        return float(table.latency_of(option) or 0.0)

    return tabulate(blueprint, NAME, cost_of)
