"""A training step that keeps averaged weights / the same step without.

A step in which the averages are updated is measured against one in which they
are not. Only every k-th step is one (`average_every`), so a k-th of what it
takes longer is what a step takes longer.
"""

import tensorflow as tf

import measuring
import subjects

_PATHS = 5
_PAIRS = {"224px_b16": 5, "32px_b64": 15}
_MARK = 1.02


def measure() -> list[measuring.Case]:
    """Ratios over a few random paths."""
    from spos_tf.networks.supernet import Supernet
    from spos_tf.options import SupernetOptions
    from spos_tf.training.averaging import AveragedWeights

    every = SupernetOptions().average_every
    cases = []
    for size, (pixels, batch_size) in subjects.STEP_SIZES.items():
        blueprint = subjects.blueprint_at(pixels)
        supernet = Supernet(blueprint)
        step = subjects.SupernetStep(supernet, batch_size)
        averages = AveragedWeights(
            supernet.named_variables,
            supernet.gates,
            step.optimizer,
            tf.distribute.get_strategy(),
        )
        batch = subjects.random_batch(pixels, batch_size)

        def averaged(path, step=step, averages=averages, batch=batch):
            before = averages.iterations()
            averages.update(step(batch, path), before)

        longer = []
        for path in subjects.random_paths(blueprint, _PATHS):
            times = measuring.alternating(
                lambda path=path: averaged(path),
                lambda path=path: step(batch, path),
                _PAIRS[size],
            )
            longer += measuring.ratios(times)
        cases.append(
            measuring.case_of(
                size,
                [1 + (ratio - 1) / every for ratio in longer],
                _MARK,
                note=f"updated every {every} steps",
            )
        )
    return cases
