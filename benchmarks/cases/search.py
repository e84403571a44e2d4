"""A search of 200 candidates / evaluating the same candidates alone.

What asking, telling, recording and counting costs spread over a search. Full
space at 32 px, 256 images to recalibrate on and 256 to score on.
"""

import pathlib
import tempfile
import time

import measuring
import subjects

_POPULATION, _GENERATIONS = 20, 10
_PAIRS = 3
_PIXELS, _IMAGES = 32, 256


def measure() -> list[measuring.Case]:
    """Ratios of whole searches, each into a record of its own."""
    from spos_tf.cost.constraint import Constraint
    from spos_tf.cost.table import COSTS, cost_table
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.evaluation.scorer import LocalScorer
    from spos_tf.networks.supernet import Supernet
    from spos_tf.options import SearchOptions
    from spos_tf.search.driver import run_search
    from spos_tf.search.evolution import Evolution
    from spos_tf.space.record import Record

    blueprint = subjects.blueprint_at(_PIXELS)
    space = blueprint.search_space
    batches = [subjects.random_batch(_PIXELS, _IMAGES)]
    evaluator = Evaluator(Supernet(blueprint), batches, batches)
    # As it is in all but the first candidates of a search.
    evaluator.passes_by_branch = 0
    tables = {name: cost_table(blueprint, name) for name in COSTS}
    # Half of all paths are within it.
    limit = Constraint(tables["macs"], maximum=_median_macs(tables, blueprint))

    def search(folder: str, seed: int) -> list:
        evaluated = []

        def evaluate(encoding):
            evaluated.append(encoding)
            return evaluator(encoding)

        options = SearchOptions(
            population=_POPULATION, generations=_GENERATIONS, seed=seed
        )
        run_search(
            Evolution(space, [limit], options),
            LocalScorer(evaluate),
            cost_functions=tables,
            record=Record.open(pathlib.Path(folder) / "record.jsonl"),
        )
        return evaluated

    times = []
    # Every branch has run before anything counts.
    for path in subjects.random_paths(blueprint, 12):
        evaluator(path)
    for seed in range(_PAIRS):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            candidates = search(folder, seed)
            searched = time.perf_counter() - start
        assert len(candidates) == _POPULATION * _GENERATIONS
        start = time.perf_counter()
        for candidate in candidates:
            evaluator(candidate)
        times.append((searched, time.perf_counter() - start))
    return [measuring.case_of("32px", measuring.ratios(times), 1.03)]


def _median_macs(tables, blueprint) -> float:
    paths = subjects.random_paths(blueprint, 1000)
    return float(sorted(tables["macs"](paths))[500])
