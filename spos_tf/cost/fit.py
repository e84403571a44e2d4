"""Stage widths that bring a network to a given number of multiply-adds."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from spos_tf.cost.counts import network_cost
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint

_MULTIPLE = 8


def fit_stage_widths(
    build: Callable[[tuple[int, ...]], Blueprint],
    widths: Sequence[int],
    encoding: npt.ArrayLike,
    macs: float,
) -> Blueprint:
    """Scales all stage widths by one factor, to multiples of 8.

    The paper's baselines of Table 3 are adjusted so; its own widths are
    published nowhere.

    Args:
        build: Makes the blueprint of given widths.
        widths: Stage widths at factor 1.
        encoding: int32 `[num_choices]`.
        macs: Multiply-adds to come near, from below.

    Returns:
        The blueprint with most MACs at or below `macs`.

    Raises:
        UserError: Even the narrowest network is above.
    """
    best, least = None, None
    seen = set()
    for factor in np.geomspace(0.05, 20.0, 2001):
        scaled = tuple(
            max(_MULTIPLE, round(width * factor / _MULTIPLE) * _MULTIPLE)
            for width in widths
        )
        if scaled in seen:
            continue
        seen.add(scaled)
        try:
            blueprint = build(scaled)
        except UserError:
            # Stages that rounding made equally wide are no network.
            continue
        count = network_cost(blueprint, encoding).macs
        least = count if least is None else min(least, count)
        if count > macs:
            break
        if best is None or count > best[0]:
            best = (count, blueprint)
    if best is None:
        raise UserError(
            f"No scaled network has at most {macs:,.0f} MACs; the narrowest "
            f"has {least:,}."
        )
    return best[1]
