"""What can be chosen: choices, search spaces and architectures.

Pure Python and NumPy, importable without TensorFlow.
"""

from spos_tf.space.architecture import Architecture
from spos_tf.space.choice import Choice
from spos_tf.space.search_space import SearchSpace

__all__ = ["Architecture", "Choice", "SearchSpace"]
