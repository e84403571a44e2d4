"""Measures every distinct part of a space's networks, for a latency table.

Each part (a block with its options settled, the stem, the head) is exported
and timed as a network of its own. Alone it has costs that it has not within a
network: the call itself, threads that wake up, cold caches. Several whole
networks (the anchors) are timed in the same rounds; what the sum of an
anchor's parts exceeds its own time by, divided by the number of its parts, is
the overhead of a call, and every part's latency is what it took alone minus
that overhead.

Chosen among the schemes tried on `shufflenet_blocks` at 224 px under TFLite
with one thread, on two busy cores, against 20 networks from 7.9 to 30 ms
measured end to end (mean error, Kendall tau):

- parts alone, in random turns, summed: 12 %, 0.98;
- the same minus the overhead (here 0.06 ms a part): 0.6 %, 0.98;
- differences of three-block chains that hold the part and that hold the
  first option instead, minus the overhead: 0.6 %, 0.97, for three times the
  work;
- each part called five times in a row (warm caches), summed: 2.3 % too fast.

So a part is called once in a round: between two calls of it others have used
the caches, as within a network. With two threads on the same machine the
plain sum was off by 35 %, less the overhead by 3 %.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

import keras
import numpy as np

from spos_tf.cost.latency_entries import LatencyEntry
from spos_tf.cost.table import CostTable, SlotOption, slot_options, tabulate
from spos_tf.export import measure_parts
from spos_tf.export.timing import Session, Timing, interleaved, timing_of
from spos_tf.networks.blueprint import Blueprint
from spos_tf.networks.subnet import build_part

# Networks beside the first options everywhere and the last ones.
_UNIFORM_ANCHORS = 3

# Milliseconds of every call, by the name of what was called.
Samples = dict[str, list[float]]


def merged(passes: Iterable[Samples]) -> Samples:
    """All samples of several passes."""
    found: Samples = {}
    for samples in passes:
        for key, values in samples.items():
            found.setdefault(key, []).extend(values)
    return found


@dataclasses.dataclass(frozen=True)
class Part:
    """A distinct part: the same block on the same input is one part.

    Attributes:
        option: The first slot and options that give this part.
        slots: Names of all slots where the same options give it.
    """

    option: SlotOption
    slots: tuple[str, ...]

    @property
    def key(self) -> str:
        """A name that no other part has."""
        chosen = [f"{k}={v}" for k, v in self.option.choices.items()]
        return " ".join([self.option.name, *chosen])

    @functools.cached_property
    def does_something(self) -> bool:
        """False for a skip: no layer comes after its input."""
        return len(self.build().layers) > 1

    def build(self) -> keras.Model:
        """The part as a network of its own."""
        option = self.option
        return build_part(option.block, option.input_shape, name=option.name)


def distinct_parts(blueprint: Blueprint) -> list[Part]:
    """Every distinct part, in the network's order."""
    found: dict[object, tuple[SlotOption, list[str]]] = {}
    for option in slot_options(blueprint):
        key = (
            option.block,
            option.input_shape,
            tuple(sorted(option.choices.items())),
        )
        _, slots = found.setdefault(key, (option, []))
        slots.append(option.name)
    return [Part(option, tuple(slots)) for option, slots in found.values()]


def anchors(blueprint: Blueprint) -> np.ndarray:
    """Whole networks that tell a call's overhead, int32 `[n, num_choices]`.

    The first legal options everywhere, the last, and uniform ones.
    """
    space = blueprint.search_space
    legal = space.legal_options
    ends = [[options[end] for options in legal] for end in (0, -1)]
    drawn = space.sample(np.random.default_rng(0), _UNIFORM_ANCHORS)
    return np.unique(np.concatenate([ends, drawn]).astype(np.int32), axis=0)


def measure(
    sessions: Mapping[str, Session],
    companions: Mapping[str, Session],
    rounds: int,
    *,
    warmup: int,
    seed: int,
) -> Samples:
    """Times parts and, in the same rounds, the anchors.

    Args:
        sessions: Of parts, by key.
        companions: Of anchors, by key.
        rounds: Calls of each.
        warmup: Rounds before.
        seed: Of the order within the rounds.
    """
    both = {**sessions, **companions}
    times = interleaved([*both.values()], rounds, warmup=warmup, seed=seed)
    return measure_parts.by_key(both, times)


def entries(
    parts: Sequence[Part], samples: Samples
) -> tuple[LatencyEntry, ...]:
    """The table's entries.

    Args:
        parts: All of a space.
        samples: Of every part that does something.
    """
    made = []
    for part in parts:
        timing = Timing(0.0, 0.0, 0.0, 0)
        if part.does_something:
            timing = timing_of(np.array(samples[part.key]))
        made.append(
            LatencyEntry(
                slots=part.slots,
                choices=part.option.choices,
                input_shape=part.option.input_shape,
                output_shape=part.option.output_shape,
                macs=part.option.macs,
                **timing._asdict(),
            )
        )
    return tuple(made)


def overhead_ms(
    blueprint: Blueprint,
    measured: Sequence[LatencyEntry],
    encodings: np.ndarray,
    network_ms: np.ndarray,
) -> float:
    """A call's overhead: the median over anchors of excess / parts.

    Args:
        blueprint: The networks.
        measured: Entries of all parts.
        encodings: Of the anchors, int32 `[n, num_choices]`.
        network_ms: Milliseconds of the anchors end to end, `[n]`.
    """
    by_slot = {
        (slot, tuple(sorted(entry.choices.items()))): entry
        for entry in measured
        for slot in entry.slots
    }

    def table(number: Callable[[LatencyEntry], float]) -> CostTable:
        return tabulate(
            blueprint,
            "latency_ms",
            lambda option: number(
                by_slot[option.name, tuple(sorted(option.choices.items()))]
            ),
        )

    alone = table(lambda entry: float(entry.median_ms))(encodings)
    parts = table(lambda entry: float(entry.does_something))(encodings)
    return float(np.median((alone - network_ms) / parts))
