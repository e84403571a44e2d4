"""Stage widths that bring a network to a given number of multiply-adds."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy.typing as npt

from spos_tf.cost.counts import network_cost
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint

_MULTIPLE = 8
_MAX_FACTOR = 20


def fit_stage_widths(
    build: Callable[[tuple[int, ...]], Blueprint],
    widths: Sequence[int],
    encoding: npt.ArrayLike,
    macs: float,
) -> Blueprint:
    """Scales all stage widths by one factor, to multiples of 8.

    The paper's baselines of Table 3 are adjusted so; its own widths are
    published nowhere. Every network that a factor of up to 20 gives is
    tried, from the narrowest on, until one is above `macs`.

    Args:
        build: Makes the blueprint of given widths.
        widths: Stage widths at factor 1.
        encoding: int32 `[num_choices]`.
        macs: Multiply-adds to come near, from below.

    Returns:
        The blueprint with most MACs at or below `macs`.

    Raises:
        UserError: Even the narrowest network is above, or `build` refuses
            all widths; then it is what `build` raised.
    """
    best, least = None, None
    refusal: UserError | None = None
    for scaled in scaled_widths(widths):
        try:
            blueprint = build(scaled)
        except UserError as error:
            # Stages that rounding made equally wide are no network. What is
            # wrong with all widths alike is raised in the end.
            refusal = error
            continue
        count = network_cost(blueprint, encoding).macs
        least = count if least is None else min(least, count)
        if count > macs:
            # Wider stages have more MACs: none that follows fits.
            break
        if best is None or count > best[0]:
            best = (count, blueprint)
    if best is not None:
        return best[1]
    if least is None and refusal is not None:
        raise refusal
    raise UserError(
        f"No scaled network has at most {macs:,.0f} MACs; the narrowest has "
        f"{least:,}. Raise `fit_macs`."
    )


def scaled_widths(widths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All different `widths * factor`, rounded, by rising factor up to 20.

    Rounded to the nearest multiple of 8 and halves up, but never to 0. A
    width changes where `width * factor / 8` passes a half; between two such
    factors, one stands for all.

    >>> list(scaled_widths([8, 16]))[:3]
    [(8, 8), (8, 16), (8, 24)]
    """
    # In fractions: stages meet at common factors, exactly.
    passed = {
        Fraction(_MULTIPLE * (2 * k + 1), 2 * width)
        for width in widths
        for k in range(_MAX_FACTOR * width // _MULTIPLE)
    }
    edges = [Fraction(0), *sorted(passed), Fraction(_MAX_FACTOR)]
    last = None
    for low, high in itertools.pairwise(edges):
        factor = (low + high) / 2
        scaled = tuple(
            max(1, math.floor(width * factor / _MULTIPLE + Fraction(1, 2)))
            * _MULTIPLE
            for width in widths
        )
        # Below the first multiple the widths stay the same.
        if scaled != last:
            yield scaled
        last = scaled
