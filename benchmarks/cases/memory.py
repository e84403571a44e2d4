"""Peak memory of a training step by how many paths it runs.

What a step adds at most to the memory of tensors: activations, gradients and
temporary values, without weights and optimizer slots, which are there before.
TensorFlow's own allocator counts (resident memory counts what malloc keeps as
well); one process a kind of step.
"""

import json
import pathlib
import subprocess
import sys

import measuring

_WORKER = pathlib.Path(__file__).parent / "_memory_worker.py"
_KINDS = ("single", "two", "all", "standalone")
_REPEATS = 2


def measure() -> list[measuring.Case]:
    """Three ratios at 224 px, batch 16."""
    peaks: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for _ in range(_REPEATS):
        for kind in _KINDS:
            done = subprocess.run(
                [sys.executable, str(_WORKER), kind],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
            )
            peaks[kind].append(json.loads(done.stdout)["mebibytes"])
    shown = ", ".join(f"{kind} {min(peaks[kind]):.0f}" for kind in _KINDS)

    def ratio(name, kind, other, mark, better):
        values = [a / b for a, b in zip(peaks[kind], peaks[other], strict=True)]
        note = f"MiB: {shown}"
        return measuring.case_of(name, values, mark, better=better, note=note)

    return [
        ratio("all_over_single", "all", "single", 2.6, "higher"),
        ratio("two_over_single", "two", "single", 1.5, "higher"),
        ratio("single_over_standalone", "single", "standalone", 1.15, "lower"),
    ]
