"""Names of classes, and which of them is which output of a network."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from spos_tf.data.examples import AnySplit, Split
from spos_tf.errors import UserError

# Names of a list that a message shows.
_MOST_SHOWN = 20


def are_named(names: Sequence[str] | None) -> bool:
    """Whether classes have names: numbers in their order say nothing.

    >>> are_named(("cat", "dog")), are_named(("0", "1")), are_named(None)
    (True, False, False)
    """
    return names is not None and tuple(names) != tuple(
        map(str, range(len(names)))
    )


def outputs_of_classes(
    names: Sequence[str], outputs: Sequence[str], data: str, way_out: str = ""
) -> np.ndarray | None:
    """Which output of a network belongs to which class of some data.

    Args:
        names: Of the data's classes, in the order of its labels.
        outputs: Of the network's outputs, in their order.
        data: What messages call the data.
        way_out: What messages offer besides naming the classes alike.

    Returns:
        int32 `[num_classes]`, label -> output; None where they are equal.

    Raises:
        UserError: The names are others, or one stands for two classes.
    """
    names, outputs = tuple(names), tuple(outputs)
    if names == outputs:
        return None
    if sorted(names) != sorted(outputs) or len(set(names)) != len(names):
        raise UserError(
            f"The network's outputs are the classes {_listed(outputs)}; "
            f"{data} has the classes {_listed(names)}"
            f"{_differing(names, outputs)}. Name the classes alike"
            f"{way_out or ', or train a network on these classes'}."
        )
    place = {name: output for output, name in enumerate(outputs)}
    return np.array([place[name] for name in names], np.int32)


def relabelled(split: AnySplit, outputs: np.ndarray) -> AnySplit:
    """The same images with labels in the order of a network's outputs.

    Args:
        split: With labels of its own.
        outputs: From `outputs_of_classes`.
    """
    if isinstance(split, Split):
        return dataclasses.replace(split, labels=outputs[split.labels])
    opened = split.open_range

    def open_range(start, stop):
        # Commands that read no images are to start at once.
        import tensorflow as tf

        return opened(start, stop).map(
            lambda image, label: (image, tf.gather(outputs, label))
        )

    return dataclasses.replace(split, open_range=open_range)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_MOST_SHOWN]))
    if len(names) > _MOST_SHOWN:
        return f"[{shown}, ...] ({len(names):,} in all)"
    return f"[{shown}]"


def _differing(names: Sequence[str], outputs: Sequence[str]) -> str:
    """What differs, where a list is too long to be shown."""
    parts = []
    for more, less, words in (
        (names, outputs, "not among the outputs"),
        (outputs, names, "missing in the data"),
    ):
        others = sorted({*more} - {*less})
        if others:
            parts.append(f"{words}: {_listed(others)}")
    return f"; {'; '.join(parts)}" if parts else ""
