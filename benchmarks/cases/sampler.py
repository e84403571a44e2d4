"""Drawing a path under the official code's FLOPs ranges / a training step.

Both in the graph: a hundred draws are one function call.
"""

import tensorflow as tf

import measuring
import subjects

_DRAWS = 100
_PAIRS = 15


def measure() -> list[measuring.Case]:
    """Ratios at both sizes; the ranges are those of the 224 px networks."""
    from spos_tf.cost.table import cost_table
    from spos_tf.networks.supernet import Supernet
    from spos_tf.training.samplers import ConstraintSampler, parse_ranges

    paper = subjects.blueprint_at(224)
    sampler = ConstraintSampler(
        paper.search_space,
        cost_table(paper, "macs"),
        parse_ranges("290e6:360e6:10e6"),
        seed=0,
    )

    @tf.function(autograph=False)
    def draws(first: tf.Tensor) -> tf.Tensor:
        steps = tf.range(first, first + _DRAWS)
        return tf.map_fn(
            lambda step: sampler(step).path.options,
            steps,
            fn_output_signature=tf.int32,
            parallel_iterations=1,
        )

    cases = []
    for size, (pixels, batch_size) in subjects.STEP_SIZES.items():
        blueprint = subjects.blueprint_at(pixels)
        step = subjects.SupernetStep(Supernet(blueprint), batch_size)
        batch = subjects.random_batch(pixels, batch_size)
        path = subjects.random_paths(blueprint, 1)[0]
        times = measuring.alternating(
            lambda: draws(tf.constant(0, tf.int64)).numpy(),
            lambda s=step, b=batch, p=path: s(b, p),
            _PAIRS,
        )
        values = [ratio / _DRAWS for ratio in measuring.ratios(times)]
        cases.append(measuring.case_of(size, values, 0.01))
    return cases
