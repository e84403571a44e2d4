"""Seconds from a tool's start to its first result, the full supernet at 224 px.

`first_step`: `tools/train_supernet.py` until the first checkpoint is written,
that is one training step and a little more. `first_score`: `tools/search.py`
until the first candidate stands in the record. Both also as a multiple of
`import tensorflow` in a process of its own, which they contain: what a machine
takes for that says how fast it is with everything else here.
"""

import statistics

import measuring
import runs

_REPEATS = 5
_MARK = 20.0
_STEP_MARK = 4.5
_SCORE_MARK = 3.0


def measure() -> list[measuring.Case]:
    """Both, in new processes; the files are in the system's cache."""
    runs.import_tensorflow()
    imports, steps, scores = [], [], []
    for _ in range(_REPEATS):
        imports.append(runs.import_tensorflow())
        with runs.TrainedInOneStep() as run:
            steps.append(run.seconds)
            scores.append(run.first_score())
    unit = statistics.median(imports)
    return [
        measuring.case_of("import tensorflow", imports, None, unit="s"),
        measuring.case_of("first_step", steps, _MARK, unit="s"),
        measuring.case_of("first_score", scores, _MARK, unit="s"),
        measuring.case_of(
            "first_step / import", [one / unit for one in steps], _STEP_MARK
        ),
        measuring.case_of(
            "first_score / import", [one / unit for one in scores], _SCORE_MARK
        ),
    ]
