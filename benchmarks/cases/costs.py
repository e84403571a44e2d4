"""Architectures whose cost is known after a second / 1,000,000."""

import numpy as np

import measuring
import subjects

_ARCHITECTURES = 1_000_000
_REPEATS = 7


def measure() -> list[measuring.Case]:
    """MACs and parameters of the paper's space, vectorised."""
    from spos_tf.cost.table import cost_table

    blueprint = subjects.blueprint_at(224)
    encodings = subjects.random_paths(blueprint, _ARCHITECTURES)
    cases = []
    for name in ("macs", "params"):
        table = cost_table(blueprint, name)
        assert table(encodings[:2]).shape == (2,)
        assert np.issubdtype(table(encodings[:2]).dtype, np.integer)
        rates = [
            _ARCHITECTURES
            / measuring.seconds_of(lambda t=table: t(encodings))
            / 1e6
            for _ in range(_REPEATS)
        ]
        cases.append(measuring.case_of(name, rates, 1.0, better="higher"))
    return cases
