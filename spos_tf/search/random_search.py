"""Random search: the baseline at the budget of the evolution (Figure 2)."""

import numpy as np

from spos_tf.search.generations import Encoding, GenerationSearch


class RandomSearch(GenerationSearch):
    """Distinct random legal architectures, population * generations of them.

    With the same seed its first generation is the evolution's: the two start
    level, and an evaluator that remembers scores saves that work.
    """

    def _propose(self, rng: np.random.Generator) -> list[Encoding]:
        return []
