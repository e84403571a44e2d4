"""Scoring a generation one by one / as a tree of prefixes; higher is better.

Generations of a real search: the paper's supernet at 32 px, trained for a
while on digits, then Algorithm 1 with its own numbers (50 candidates, 20
generations). An early, a middle and a late generation are scored both ways,
with 2 recalibration and 2 scoring batches; at 224 px the same generations are
scored with untrained weights, which take as long.
"""

import numpy as np
import tensorflow as tf

import measuring
import subjects

_GENERATIONS = {"early": 1, "middle": 9, "late": 19}
_TRAINING_STEPS = 100
_BATCHES = 2
# Pixels and images a batch.
_SIZES = {"224px_b16": (224, 16), "32px_b16": (32, 16), "32px_b256": (32, 256)}
_PAIRS = 3
_MARK = 1.5


def measure() -> list[measuring.Case]:
    """Ratios by size and generation, and how much of the work is shared."""
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.evaluation.tree import prefixes
    from spos_tf.evaluation.tree_evaluator import TreeEvaluator
    from spos_tf.networks.supernet import Supernet

    generations = _recorded_generations()
    cases = []
    for size, (pixels, batch_size) in _SIZES.items():
        blueprint = subjects.blueprint_at(pixels)
        supernet = Supernet(blueprint)
        batches = [
            subjects.random_batch(pixels, batch_size) for _ in range(_BATCHES)
        ]
        single = Evaluator(supernet, batches, batches)
        single.passes_by_branch = 0
        tree = TreeEvaluator(supernet, batches, batches)
        # Every branch has run both ways before anything counts.
        for option in range(4):
            path = np.full(blueprint.search_space.num_choices, option)
            single(path)
            tree([path])
        for name, generation in _GENERATIONS.items():
            encodings = generations[generation]
            scores = {}

            def one_by_one(encodings=encodings, scores=scores) -> None:
                scores["single"] = [single(one) for one in encodings]

            def together(encodings=encodings, scores=scores) -> None:
                scores["tree"] = tree(encodings)

            values = []
            for _ in range(_PAIRS):
                apart = measuring.seconds_of(one_by_one)
                values.append(apart / measuring.seconds_of(together))
            assert scores["single"] == scores["tree"]
            paths = [blueprint.settings(one) for one in encodings]
            share = len(prefixes(paths)) / (len(paths) * len(paths[0]))
            cases.append(
                measuring.case_of(
                    f"{size}_{name}",
                    values,
                    _MARK,
                    better="higher",
                    note=f"{share:.0%} of the segments are computed",
                )
            )
    return cases


def _recorded_generations() -> list[list[np.ndarray]]:
    from spos_tf.data.digits import load_digits_source
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.networks.supernet import Supernet
    from spos_tf.options import SearchOptions
    from spos_tf.search.evolution import Evolution

    blueprint = subjects.blueprint_at(32)
    images, labels = _digits(load_digits_source())
    supernet = Supernet(blueprint, aligned=True)
    step = subjects.SupernetStep(supernet, 64, peak=0.05)
    for number, path in enumerate(
        subjects.random_paths(blueprint, _TRAINING_STEPS)
    ):
        first = 64 * number % 1024
        part = slice(first, first + 64)
        step((images[part], labels[part]), path)
    scored = [(images[-256:], labels[-256:])]
    evaluator = Evaluator(supernet, [(images[:64], labels[:64])], scored)
    algorithm = Evolution(blueprint.search_space, [], SearchOptions(seed=0))
    generations = []
    while encodings := algorithm.ask():
        generations.append(encodings)
        algorithm.tell(encodings, [evaluator(one) for one in encodings])
    return generations


def _digits(source) -> tuple[tf.Tensor, tf.Tensor]:
    from spos_tf.data.pipeline import evaluation_batches
    from spos_tf.data.preprocessing import PreprocessingOptions

    options = PreprocessingOptions(image_size=32, augmentation="none")
    batches = list(evaluation_batches(source.train, options, batch_size=256))
    images = tf.concat([images for images, _ in batches], 0)
    labels = tf.concat([tf.cast(y, tf.int64) for _, y in batches], 0)
    return images, labels
