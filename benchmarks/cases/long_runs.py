"""Memory, open files and threads near a long run's end / near its start.

20,000 training steps with checkpoints, events and validations, and searches of
2,000 candidates, scored one by one and as trees: the tools as people run them,
on tiny networks and scikit-learn's digits, seen from outside (`watched.py`).
What Python or TensorFlow keeps of a step or a candidate does not depend on the
network's size. Some 15 minutes on two cores.

The first tenth of the steps or candidates is not counted: functions are
traced, the input's buffers fill, the first validation is traced too, and
malloc makes an arena for every new thread. Compared are the second tenth and
the last one; in each all that comes round comes twice at least (checkpoints,
validations). After the last step or candidate nothing is counted either: plots
and files are made then.

Memory is resident memory, as the operating system counts it when it ends a
program that takes too much: tensors, Python's objects, what malloc keeps, and
garbage that Python's collector, whose thresholds the tools raise, has not come
to; of each tenth the median. What was freed after tracing is used first, so a
small leak shows late: that is why the runs are long. Open files and threads go
up and down with every checkpoint and validation, so of each tenth the smallest
number counts: what is left open is there at the quietest moment too.
"""

import functools
import json
import pathlib
import statistics
import tempfile
from collections.abc import Sequence

import measuring
import watched

_STEPS = 20_000
_POPULATION, _GENERATIONS = 50, 40
_CANDIDATES = _POPULATION * _GENERATIONS

_MARKS = {"mebibytes": 1.02, "files": 1.0, "threads": 1.0}
# Names and repeats: the training, and the supernet that is searched, whose
# 4,096 architectures are enough for 2,000 different candidates.
_TRAINED, _TRAINED_REPEATS = "long", 1
_SEARCHED, _SEARCHED_REPEATS = "searched", 3
_DATA = ("--dataset=digits", "--holdout_per_class=20")


def _space(repeats: int) -> tuple[str, str, str]:
    """Two stages of as many choices of four operations, 8 px."""
    arguments = {
        "stem_width": 8,
        "stage_widths": [12, 16],
        "stage_repeats": [repeats, repeats],
        "stage_strides": [1, 2],
        "last_width": 16,
    }
    return (
        "--search_space=shufflenet_blocks",
        "--preset=demo",
        f"--space_arguments={json.dumps(arguments)}",
    )


def measure() -> list[measuring.Case]:
    """Nine ratios: three runs, three figures each."""
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        work_dir = pathlib.Path(folder)
        samples = _train(
            work_dir, _TRAINED, _TRAINED_REPEATS, _STEPS, rounds=100
        )
        cases += _cases("training", samples, _STEPS)
        _train(work_dir, _SEARCHED, _SEARCHED_REPEATS, 20, rounds=1)
        for scoring in ("single", "tree"):
            samples = _search(work_dir, scoring)
            # Or the next search would know every score.
            (work_dir / "search/scores.jsonl").unlink()
            cases += _cases(f"search_{scoring}", samples, _CANDIDATES)
    return cases


def _train(
    work_dir: pathlib.Path, name: str, repeats: int, steps: int, *, rounds: int
) -> list[watched.Sample]:
    """Trains with a checkpoint a round and a validation every five."""
    checkpoints = work_dir / "supernet" / name / "checkpoints"
    return watched.watch(
        functools.partial(_newest_step, checkpoints),
        "train_supernet.py",
        f"--work_dir={work_dir}",
        f"--name={name}",
        *_space(repeats),
        *_DATA,
        "--sampler=uniform",
        f"--steps={steps}",
        "--batch_size=16",
        "--learning_rate=0.01",
        "--log_every=50",
        f"--checkpoint_every={steps // rounds}",
        f"--validate_every={5 * steps // rounds}",
    )


def _newest_step(checkpoints: pathlib.Path) -> int:
    steps = [int(p.stem.split("-")[1]) for p in checkpoints.glob("step-*.npz")]
    return max(steps, default=0)


def _search(work_dir: pathlib.Path, scoring: str) -> list[watched.Sample]:
    record = work_dir / "search" / scoring / "record.jsonl"
    return watched.watch(
        functools.partial(_lines, record),
        "search.py",
        f"--work_dir={work_dir}",
        f"--name={scoring}",
        f"--supernet_name={_SEARCHED}",
        *_space(_SEARCHED_REPEATS),
        *_DATA,
        f"--scoring={scoring}",
        f"--population={_POPULATION}",
        f"--generations={_GENERATIONS}",
        "--recalibration_images=400",
    )


def _lines(path: pathlib.Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _cases(
    name: str, samples: Sequence[watched.Sample], total: int
) -> list[measuring.Case]:
    return [_case(name, samples, total, figure) for figure in _MARKS]


def _case(
    name: str, samples: Sequence[watched.Sample], total: int, figure: str
) -> measuring.Case:
    """The last tenth of the samples over the second."""

    def between(low: float, high: float) -> list[float]:
        return [
            getattr(sample, figure)
            for sample in samples
            if low * total <= sample.done < high * total
        ]

    first, last = between(0.1, 0.2), between(0.9, 1.0)
    if figure == "mebibytes":
        before, after = statistics.median(first), statistics.median(last)
        values = [value / before for value in last]
        note = f"MiB: {before:.1f}, then {after:.1f}"
    else:
        values = [min(last) / min(first)]
        note = f"{min(first)} to {max(first)}, then {min(last)} to {max(last)}"
    return measuring.case_of(
        f"{name}_{figure}", values, _MARKS[figure], note=note
    )
