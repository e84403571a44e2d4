"""Restart to the first step after restoring / start to the first step."""

import measuring
import runs

_REPEATS = 3


def measure() -> list[measuring.Case]:
    """Ratios of `tools/train_supernet.py`, killed after its first step."""
    times = []
    for _ in range(_REPEATS):
        with runs.TrainedInOneStep() as run:
            times.append((run.next_step(), run.seconds))
    return [measuring.case_of("224px_b16", measuring.ratios(times), 1.2)]
