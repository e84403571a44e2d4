"""A candidate scored in bfloat16 / in float32.

Recalibration and scoring of the paper's network, on batches that are there
already. Which is faster depends on the processor: bfloat16 gains where it has
instructions of its own (AVX512-BF16, AMX, GPUs), and loses elsewhere. Whether
candidates rank alike is told by benchmarks/dtype_ranks.py.
"""

import functools

import measuring
import subjects

_BATCHES, _PAIRS = 4, 7
_POLICIES = ("mixed_bfloat16", "float32")


def measure() -> list[measuring.Case]:
    """Ratios of the times of one random candidate."""
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.jobs.process import precision
    from spos_tf.networks.supernet import Supernet

    cases = []
    for size, (pixels, batch_size) in subjects.SCORE_SIZES.items():
        blueprint = subjects.blueprint_at(pixels)
        path = subjects.random_paths(blueprint, 1)[0]
        batches = [subjects.random_batch(pixels, batch_size)] * _BATCHES
        runs = []
        for policy in _POLICIES:
            with precision(policy):
                evaluator = Evaluator(Supernet(blueprint), batches, batches)
            # As late in a long search.
            evaluator.passes_by_branch = 0
            runs.append(functools.partial(evaluator, path))
        times = measuring.alternating(*runs, _PAIRS)
        cases.append(measuring.case_of(size, measuring.ratios(times), None))
    return cases
