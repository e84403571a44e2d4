r"""Prints what a search space, or one network of it, consists of and costs.

Example:
  spos describe --search_space=shufflenet_blocks \
      --encoding=2,1,0,1,2,0,2,0,2,0,2,3,0,0,0,0,3,2,3,3 --format=json

Builds no network, so it answers at once. Without a network it prints the least,
the median and the most of every cost, so that a limit can be chosen. With
--format=json standard output holds one JSON object and nothing else.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Literal

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given, aligned
from spos_tf.options import NetworkOptions, Options, SpaceOptions, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options(Options):
    list: bool = option(
        False, "Only print the names of the search spaces and networks."
    )
    format: Literal["table", "json"] = option(
        "table", "table: for people. json: for programs."
    )


def _described(given: Given) -> dict[str, Any]:
    from spos_tf.cli.objects import blueprint_of, chosen_network
    from spos_tf.cost.description import describe

    space = given(SpaceOptions)
    network = chosen_network(space, given(NetworkOptions))
    return (
        describe(blueprint_of(space)) if network is None else describe(*network)
    )


def _table(data: dict[str, Any]) -> str:
    arguments = json.dumps(data["space_arguments"])
    lines = [
        f"space     {data['search_space']}, arguments {arguments}",
        f"choices   {data['num_choices']}, "
        f"10^{data['size_log10']:.2f} networks",
    ]
    one = data["architecture"] is not None
    if data["encoding"] is not None:
        lines.append(f"encoding  {','.join(map(str, data['encoding']))}")
    if one:
        lines += [
            f"MACs      {data['macs']:,}",
            f"params    {data['params']:,} ({data['params_without_bn']:,} "
            "without batch norm)",
        ]
        if data["bit_ops"] is not None:
            lines.append(f"BitOps    {data['bit_ops']:.4f} Gi (2^30)")
    if data["ranges"] is not None:
        lines += ["", *aligned(_range_rows(data["ranges"]), 2)]
    rows: list[Sequence[str]] = [
        ("slot", "choice", "input", "output", "MACs", "params")
    ]
    for slot in data["slots"]:
        choices = " ".join(
            str(choice["chosen"])
            if one
            else f"{name}: {'|'.join(map(str, choice['options']))}"
            for name, choice in slot["choices"].items()
        )
        counts = (
            [f"{slot[key]:,}" for key in ("macs", "params")]
            if one
            else ["", ""]
        )
        rows.append(
            (
                slot["name"],
                choices,
                "x".join(map(str, slot["input_shape"])),
                "x".join(map(str, slot["output_shape"])),
                *counts,
            )
        )
    if one:
        fixed = [
            data[key] - sum(slot[key] for slot in data["slots"])
            for key in ("macs", "params")
        ]
        rows.append(("the rest", "", "", "", *[f"{n:,}" for n in fixed]))
    return "\n".join([*lines, "", *aligned(rows, 2)])


def _range_rows(ranges: dict[str, Any]) -> list[Sequence[str]]:
    """What the networks of a space cost."""
    rows: list[Sequence[str]] = [("cost", "", "least", "median", "most")]
    for name, range_ in ranges.items():
        form = ",.4f" if name == "bit_ops" else ",.0f"
        unit = "Gi (2^30)" if name == "bit_ops" else ""
        ends = (range_[end] for end in ("least", "median", "most"))
        rows.append((name, unit, *(f"{value:{form}}" for value in ends)))
    return rows


def _list(form: str) -> str:
    from spos_tf.spaces import network_names, preset_names, space_names

    if form == "json":
        return json.dumps(space_names())
    lines = [
        f"{name:25} presets {', '.join(preset_names(name))}"
        for name in space_names()
    ]
    networks = ", ".join(network_names())
    return "\n".join([*lines, "", f"--network={{{networks}}}"])


def main(given: Given) -> str | None:
    """Prints what the flags ask for."""
    options = given(_Options)
    if options.list:
        print(_list(options.format))
    elif options.format == "json":
        print(json.dumps(_described(given)))
    else:
        data = _described(given)
        print(_table(data))
        return command_line(
            "train_supernet" if data["ranges"] else "train_subnet",
            dataset="folder:PATH",
            work_dir="DIR",
            **{
                name: value
                for kind in (SpaceOptions, NetworkOptions)
                for name, value in given.values(kind).items()
                if given.is_typed(name)
            },
        )
    return None


COMMAND = Command(__doc__, (SpaceOptions, NetworkOptions, _Options), main)
