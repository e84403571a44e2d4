"""A cost as a constant plus one table look-up a slot: vectorised, exact."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spos_tf.cost.counts import Cost, block_cost, network_cost
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.ops.protocol import Block
from spos_tf.ops.shape_ops import Shape, ShapeOps
from spos_tf.space.choice import Option

# What can be limited, and how it reads off a count.
COSTS: dict[str, Callable[[Cost], int | float]] = {
    "macs": lambda cost: cost.macs,
    "params": lambda cost: cost.params,
    # In 2^30; a part that stays float has none.
    "bit_ops": lambda cost: cost.bit_ops or 0.0,
    # Spaces that name it have it: a benchmark's own figure.
    "flops_benchmark": lambda cost: cost.flops_benchmark,
}
_EVERYWHERE = ("macs", "params")


def cost_names(blueprint: Blueprint) -> tuple[str, ...]:
    """The keys of `COSTS` that a blueprint's networks have.

    BitOps are of networks with bits only.
    """
    any_encoding = blueprint.search_space.legal_table[:, 0]
    quantized = network_cost(blueprint, any_encoding).bit_products is not None
    bits = ("bit_ops",) if quantized else ()
    return (*_EVERYWHERE, *bits, *blueprint.further_costs)


class SlotOption(NamedTuple):
    """A part of a network with its choices settled: what a cost is asked of.

    Attributes:
        name: Of the part, for example `"stage1.block2"`, `"stem"`.
        choices: `{short name of the choice: option}`, for example
            `{"op": "3x3", "width": 0.4}`; empty for a part without choices.
            See `short_names`.
        block: The description.
        input_shape: (height, width, channels).
    """

    name: str
    choices: Mapping[str, Option]
    block: Block
    input_shape: Shape

    @property
    def output_shape(self) -> Shape:
        """(height, width, channels), or (classes,) of the head."""
        shape: Shape = self.block(ShapeOps(), self.input_shape)
        return shape

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return block_cost(self.block, self.input_shape).macs

    @property
    def params(self) -> int:
        """Trainable weights, gamma and beta included."""
        return block_cost(self.block, self.input_shape).params


# One choice that a slot reads: its index in the encoding, and by how much one
# option more moves the slot's entry.
_Read = tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class CostTable:
    """`cost(encoding) = constant + sum of table[slot, its options]`.

    Exact, since in these spaces a slot's cost depends on its own options
    alone. Options of several choices of one slot (operation and width) are
    one entry: the first choice counts slowest.

    Attributes:
        name: Name of the cost, as in flags and records.
        constant: What every network of the space pays.
        table: int64 or float64 `[slots, most entries]`; entries that are not
            legal are 0.
        legal: Of every slot the entries that can be taken, ascending int64.
        reads: Of every slot the choices that it reads; no choice is read by
            two slots.
    """

    name: str
    constant: int | float
    table: npt.NDArray[Any]
    legal: tuple[npt.NDArray[np.int64], ...]
    reads: tuple[tuple[_Read, ...], ...]

    def __call__(self, encodings: npt.ArrayLike) -> npt.NDArray[Any]:
        """Costs of int32 `[n, num_choices]` encodings, `[n]`."""
        entries = self.entries(np.asarray(encodings))
        # take() on the flat table is several times faster than 2-d indexing.
        parts = self.table.ravel().take(entries)
        total: npt.NDArray[Any] = self.constant + parts.sum(axis=-1)
        return total

    def entries(
        self, encodings: Any, take: Callable[..., Any] = np.take
    ) -> Any:
        """Indexes into the flat table.

        Args:
            encodings: `[n, num_choices]`.
            take: `np.take`, or `tf.gather` where encodings are a tensor.

        Returns:
            `[n, slots]`.
        """
        offsets = np.arange(len(self.reads), dtype=np.int32)
        total = offsets * self.table.shape[1]
        for positions, strides in self._columns:
            column = encodings
            if positions != tuple(range(encodings.shape[-1])):
                column = take(encodings, np.array(positions), axis=-1)
            if set(strides) != {1}:
                column = column * np.array(strides, np.int32)
            total = column + total
        return total

    @functools.cached_property
    def _columns(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        # By rank within the slot; a slot that reads fewer adds 0 times one.
        ranks = range(max(map(len, self.reads), default=0))
        padded = [
            [reads[rank] if rank < len(reads) else (0, 0) for rank in ranks]
            for reads in self.reads
        ]
        return [
            (
                tuple(row[rank][0] for row in padded),
                tuple(row[rank][1] for row in padded),
            )
            for rank in ranks
        ]

    def write(
        self,
        encodings: npt.NDArray[np.int32],
        slot: int,
        entries: npt.NDArray[np.int64],
    ) -> None:
        """Sets a slot's choices to those of its entries.

        Args:
            encodings: int32 `[n, num_choices]`, changed in place.
            slot: Index of the slot.
            entries: `[n]`.
        """
        for position, stride in self.reads[slot]:
            encodings[:, position] = entries // stride
            entries = entries % stride

    @functools.cached_property
    def minimum(self) -> int | float:
        """Cost of the cheapest network, exact for whole numbers."""
        return self._end(np.min)

    @functools.cached_property
    def maximum(self) -> int | float:
        """Cost of the dearest network, exact for whole numbers."""
        return self._end(np.max)

    def _end(self, pick: Callable[..., Any]) -> int | float:
        ends = [
            pick(row[legal])
            for row, legal in zip(self.table, self.legal, strict=True)
        ]
        total: int | float = (self.constant + np.sum(ends)).item()
        return total


def cost_table(blueprint: Blueprint, name: str) -> CostTable:
    """Tabulates a cost over a space.

    Args:
        blueprint: The description.
        name: One of `cost_names`.

    Raises:
        UserError: No such cost, or not of networks without bits.
    """
    if name not in COSTS:
        raise UserError(
            f"Unknown cost {name!r}. The costs are: {', '.join(COSTS)}."
        )
    known = cost_names(blueprint)
    if name not in known:
        raise UserError(
            f"Networks of space {blueprint.search_space.name!r} have no "
            f"{name}. Their costs are: {', '.join(known)}."
        )
    read = COSTS[name]

    @functools.cache
    def count(block: Any, shape: Shape) -> int | float:
        return read(block_cost(block, shape))

    def cost_of(slot: SlotOption) -> int | float:
        block: Any = slot.block
        return count(block, slot.input_shape)

    return tabulate(blueprint, name, cost_of)


def slot_options(blueprint: Blueprint) -> Iterator[SlotOption]:
    """Every part of the network with every legal setting of its choices."""
    for index in range(len(blueprint.segments)):
        for _, option in _settings(blueprint, index):
            yield option


def tabulate(
    blueprint: Blueprint,
    name: str,
    cost_of: Callable[[SlotOption], int | float],
) -> CostTable:
    """Tabulates any cost that is a sum over the parts of a network.

    Args:
        blueprint: The description.
        name: Of the cost.
        cost_of: Cost of a part; asked once for each of `slot_options`.

    Raises:
        ValueError: Two slots share some of their choices, but not all.
    """
    rows: dict[tuple[int, ...], dict[int, int | float]] = {}
    constant: int | float = 0
    for index, reads in enumerate(blueprint.reads):
        costs = {
            entry: cost_of(option)
            for entry, option in _settings(blueprint, index)
        }
        if not reads:
            constant += costs[0]
            continue
        row = rows.setdefault(reads, dict.fromkeys(costs, 0))
        for entry, cost in costs.items():
            row[entry] += cost
    read = [position for reads in rows for position in reads]
    if len(set(read)) != len(read):
        raise ValueError("Slots share all of their choices or none.")
    real = any(
        isinstance(cost, float)
        for row in rows.values()
        for cost in row.values()
    )
    # Beyond, whole numbers would wrap around.
    most = abs(constant) + sum(
        max(map(abs, row.values()), default=0) for row in rows.values()
    )
    if most >= 2**63:
        constant, real = float(constant), True
    options = blueprint.search_space.num_options
    sizes = [int(np.prod(options[list(reads)])) for reads in rows]
    table = np.zeros((len(rows), max(sizes)), np.float64 if real else np.int64)
    for line, row in zip(table, rows.values(), strict=True):
        line[list(row)] = list(row.values())
    return CostTable(
        name,
        constant,
        table,
        tuple(np.array(sorted(row), np.int64) for row in rows.values()),
        tuple(
            tuple(zip(reads, _strides(blueprint, reads), strict=True))
            for reads in rows
        ),
    )


def short_names(reads: Sequence[str]) -> tuple[str, ...]:
    """What the choices of one segment are called within it.

    >>> short_names(["stage1.block1.op", "stage1.block1.width"])
    ('op', 'width')
    >>> short_names(["first.op", "second.op", "width"])
    ('first.op', 'second.op', 'width')
    """
    last = [name.rpartition(".")[2] for name in reads]
    return tuple(
        name if last.count(word) > 1 else word
        for name, word in zip(reads, last, strict=True)
    )


def _strides(blueprint: Blueprint, reads: tuple[int, ...]) -> list[int]:
    options = blueprint.search_space.num_options
    return [
        int(np.prod(options[list(reads[rank + 1 :])], dtype=np.int64))
        for rank in range(len(reads))
    ]


def _settings(
    blueprint: Blueprint, index: int
) -> Iterator[tuple[int, SlotOption]]:
    """The legal settings of a segment, each with its entry in a table."""
    segment, reads = blueprint.segments[index], blueprint.reads[index]
    space = blueprint.search_space
    strides = _strides(blueprint, reads)
    legal = [space.legal_options[position] for position in reads]
    for indexes in itertools.product(*legal):
        named = {
            name: space.choices[position].options[option]
            for name, position, option in zip(
                short_names(segment.reads), reads, indexes, strict=True
            )
        }
        yield (
            sum(i * stride for i, stride in zip(indexes, strides, strict=True)),
            SlotOption(
                segment.name,
                named,
                segment.block(indexes),
                blueprint.input_shapes[index],
            ),
        )
