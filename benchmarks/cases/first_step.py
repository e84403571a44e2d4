"""Seconds from a tool's start to its first result, the full supernet at 224 px.

`first_step`: `tools/train_supernet.py` until the first checkpoint is written,
that is one training step and a little more. `first_score`: `tools/search.py`
until the first candidate stands in the record.
"""

import measuring
import runs

_REPEATS = 3
_MARK = 20.0


def measure() -> list[measuring.Case]:
    """Both, in new processes."""
    steps, scores = [], []
    for _ in range(_REPEATS):
        with runs.TrainedInOneStep() as run:
            steps.append(run.seconds)
            scores.append(run.first_score())
    return [
        measuring.case_of("first_step", steps, _MARK, unit="s"),
        measuring.case_of("first_score", scores, _MARK, unit="s"),
    ]
