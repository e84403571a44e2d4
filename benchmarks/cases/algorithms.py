"""Memory, training time and search time of the algorithms (Table 7).

Ratios to single path, at the tool's defaults: path dropout keeps half of the
branches; of gumbel and two_path every fifth step of the weights is followed by
one of the architecture parameters.

`memory_*`: what training adds at most to the memory of tensors, one process
an algorithm (see `memory`). `time_*`: five steps of the weights and what goes
with them, in turn with five of single path, 32 px. `search_*`: the paper's
1,050 evaluations (20,000 images to recalibrate on and 50,000 to score on)
over its training (150,000 steps of 1,024 images) by the same algorithm, from
the seconds of an evaluation and of a step here, 32 px; gumbel and two_path
have no search. `total_*`: training and search over those of single path.
"""

import json
import pathlib
import statistics
import subprocess
import sys

import measuring
import subjects

_WORKER = pathlib.Path(__file__).parent / "_algorithm_worker.py"
_SIZES = {"32px_b64": (32, 64), "224px_b16": (224, 16)}
_PIXELS, _BATCH = 32, 64
_PAIRS = 8
_SCORING_BATCH = 256
_EVALUATIONS = 1050
_RECALIBRATED, _SCORED = 20_000, 50_000
_TRAINED = 150_000 * 1024


def measure() -> list[measuring.Case]:
    """Table 7 as ratios in one run."""
    return [*_memory(), *_times()]


def _memory() -> list[measuring.Case]:
    from algorithm_steps import ALGORITHMS

    cases = []
    for size, (pixels, batch) in _SIZES.items():
        peaks = {name: _peak(name, pixels, batch) for name in ALGORITHMS}
        note = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
        cases += [
            measuring.case_of(
                f"memory_{name}_{size}",
                [peaks[name] / peaks["single_path"]],
                None,
                note=f"MiB: {note}",
            )
            for name in ALGORITHMS[1:]
        ]
    return cases


def _peak(algorithm: str, pixels: int, batch_size: int) -> float:
    done = subprocess.run(
        [
            sys.executable,
            str(_WORKER),
            algorithm,
            str(pixels),
            str(batch_size),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    mebibytes: float = json.loads(done.stdout)["mebibytes"]
    return mebibytes


def _times() -> list[measuring.Case]:
    from algorithm_steps import ALGORITHMS, EVERY, Rounds

    single = Rounds("single_path", _PIXELS, _BATCH)
    # Every branch has run before anything counts.
    for _ in range(4):
        single()
    evaluation = _seconds_of_an_evaluation(single.supernet)
    times: dict[str, list[tuple[float, float]]] = {}
    for name in ALGORITHMS[1:]:
        other = Rounds(name, _PIXELS, _BATCH)
        for _ in range(4):
            other()
        times[name] = measuring.alternating(other, single, _PAIRS)
    rounds = _TRAINED / (EVERY * _BATCH)
    training = {
        "single_path": rounds
        * statistics.median(one for pairs in times.values() for _, one in pairs)
    }
    for name, pairs in times.items():
        # In seconds of the same minutes as single path's.
        ratio = statistics.median(measuring.ratios(pairs))
        training[name] = ratio * training["single_path"]
    searched = {"single_path", "path_dropout"}
    search = {
        name: _EVALUATIONS * evaluation * (name in searched)
        for name in ALGORITHMS
    }
    total = {name: training[name] + search[name] for name in ALGORITHMS}
    note = f"an evaluation {evaluation:.1f} s"
    return [
        *(
            measuring.case_of(f"time_{name}", measuring.ratios(pairs), None)
            for name, pairs in times.items()
        ),
        *(
            measuring.case_of(
                f"search_{name}",
                [search[name] / training[name]],
                None,
                note=note,
            )
            for name in ALGORITHMS
        ),
        *(
            measuring.case_of(
                f"total_{name}", [total[name] / total["single_path"]], None
            )
            for name in ALGORITHMS[1:]
        ),
    ]


def _seconds_of_an_evaluation(supernet) -> float:
    """An evaluation of the paper's size, from batches of random paths."""
    from spos_tf.evaluation.evaluator import Evaluator

    batches = [subjects.random_batch(_PIXELS, _SCORING_BATCH)]
    evaluator = Evaluator(supernet, batches, batches)
    # As late in a long search.
    evaluator.passes_by_branch = 0
    paths = subjects.random_paths(supernet.blueprint, 32)
    for path in paths[:16]:
        evaluator(path)
    recalibration, scoring = [], []
    for path in paths[16:]:
        found = []

        def recalibrate(path=path, found=found):
            found.append(evaluator.recalibrate(path))

        recalibration.append(measuring.seconds_of(recalibrate))
        scoring.append(
            measuring.seconds_of(
                lambda path=path, found=found: evaluator.score(path, found[0])
            )
        )
    return (
        _RECALIBRATED * statistics.median(recalibration)
        + _SCORED * statistics.median(scoring)
    ) / _SCORING_BATCH
