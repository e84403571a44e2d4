"""What the workers of `workers` load: a supernet and random images."""

import numpy as np


class _Judge:
    def __init__(self, evaluator, together: bool) -> None:
        self.described = {"together": together}
        self._evaluator, self._together = evaluator, together

    def __call__(self, encodings: list[list[int]]) -> list[float]:
        arrays = [np.array(one, np.int32) for one in encodings]
        if self._together:
            return self._evaluator(arrays)
        return [self._evaluator(one) for one in arrays]


def make(pixels: int, images: int, threads: int, together: bool) -> _Judge:
    """An evaluator, or with `together` a tree's; every branch has run."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)

    import subjects
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.evaluation.tree_evaluator import TreeEvaluator
    from spos_tf.networks.supernet import Supernet

    blueprint = subjects.blueprint_at(pixels)
    batches = [subjects.random_batch(pixels, images)]
    # As it is in all but the first candidates of a search.
    Evaluator.passes_by_branch = 0
    kind = TreeEvaluator if together else Evaluator
    judge = _Judge(kind(Supernet(blueprint), batches, batches), together)
    judge(
        [[option] * blueprint.search_space.num_choices for option in range(4)]
    )
    return judge
