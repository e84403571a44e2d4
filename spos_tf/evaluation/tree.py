"""The prefix tree of a generation's paths, as plain tuples.

A path is what every segment is set to: the options of its choices. Paths that
begin alike compute the same up to where they part: a node of the tree is a
prefix of paths, and it is computed once for all of them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

# What every segment is set to, or the first of them; any ordered values.
Path = tuple[Any, ...]
Prefix = tuple[Any, ...]
Output = TypeVar("Output")


def prefixes(paths: Iterable[Path]) -> list[Prefix]:
    """Nodes of the tree, each once, parents first and depth first.

    A prefix sorts before whatever it begins, and all of that stands together:
    the sorted prefixes are the depth-first order.

    >>> prefixes([(0, 2), (0, 1)])
    [(0,), (0, 1), (0, 2)]
    """
    return sorted(
        {path[:end] for path in paths for end in range(1, len(path) + 1)}
    )


def walk(
    nodes: Sequence[Prefix],
    root: Output,
    step: Callable[[Prefix, Output], Output],
) -> None:
    """Computes every node from its parent's output.

    At most one output a depth is held, those of the node's own ancestors:
    what another subtree gave is let go before the step that leaves it.

    Args:
        nodes: From `prefixes`.
        root: What the first segment takes.
        step: Takes a node and the output of its parent; gives its own.
    """
    outputs = [root]
    for node in nodes:
        del outputs[len(node) :]
        outputs.append(step(node, outputs[-1]))


def chunks(paths: Sequence[Path], size: int) -> list[list[int]]:
    """Cuts a generation into pieces whose paths share long prefixes.

    Args:
        paths: The generation.
        size: Most paths a piece; 0 does not cut.

    Returns:
        Positions in `paths`, ascending within a piece. The pieces follow
        each other as in the depth-first order.

    >>> chunks([(1, 0), (0, 0), (1, 1), (0, 1)], 2)
    [[1, 3], [0, 2]]
    """
    order = sorted(range(len(paths)), key=lambda position: paths[position])
    size = size or max(1, len(paths))
    return [
        sorted(order[start : start + size])
        for start in range(0, len(order), size)
    ]


def computed_share(paths: Sequence[Path]) -> float:
    """Nodes of the tree per segment of all paths; 1 where nothing is shared.

    >>> computed_share([(0, 2), (0, 1)])
    0.75
    """
    return len(prefixes(paths)) / sum(len(path) for path in paths)


def can_share(reads: Sequence[tuple[int, ...]]) -> bool:
    """Whether two different encodings can begin with the same segment.

    Not where the first segment reads every choice there is: its output then
    differs from candidate to candidate, and so does all that follows.

    Args:
        reads: For every segment the indexes of the choices that decide it;
            `Blueprint.reads`.
    """
    first = set(reads[0])
    return not first or first != first.union(*reads)
