"""A step fed by the real pipeline / by a tensor that is there already.

CIFAR-10 at 32 px, decoded, augmented and shuffled as in training, into the
step of the paper's supernet at that size.
"""

import itertools
import pathlib
import time

from absl import flags

import measuring
import subjects

FLAGS = flags.FLAGS

_SHARED = pathlib.Path(__file__).parents[3] / "shared/data/tfds"
_STEPS = 40
_PAIRS = 7
_SIZE = "32px_b64"


def measure() -> list[measuring.Case]:
    """Ratios of blocks of steps.

    Raises:
        LookupError: CIFAR-10 is not there.
    """
    from spos_tf.data.pipeline import training_batches
    from spos_tf.data.preprocessing import PreprocessingOptions
    from spos_tf.data.sources import DataSource
    from spos_tf.networks.supernet import Supernet

    pixels, batch_size = subjects.STEP_SIZES[_SIZE]
    folder = FLAGS.data_dir or _SHARED
    if not (pathlib.Path(folder) / "cifar10").exists():
        raise LookupError(
            f"CIFAR-10 is not in {str(folder)!r}; say where by --data_dir."
        )
    source = DataSource("cifar10", data_dir=str(folder)).load()
    split = source.train
    blueprint = subjects.blueprint_at(pixels)
    step = subjects.SupernetStep(Supernet(blueprint), batch_size)
    paths = subjects.random_paths(blueprint, _STEPS)
    options = PreprocessingOptions(image_size=pixels, augmentation="cifar")

    def piped_batches():
        return iter(
            training_batches(
                split,
                options,
                batch_size=batch_size,
                start_step=0,
                num_steps=10 * _STEPS,
                seed=0,
            )
        )

    cached = next(piped_batches())

    def block(batches) -> float:
        # The pipeline's own start is not a step's cost.
        for batch in itertools.islice(batches, 3):
            step(batch, paths[0])
        start = time.perf_counter()
        for path in paths:
            step(next(batches), path)
        return time.perf_counter() - start

    def piped() -> float:
        return block(piped_batches())

    def fed() -> float:
        return block(itertools.repeat(cached))

    piped()
    fed()
    times = [(piped(), fed()) for _ in range(_PAIRS)]
    return [measuring.case_of(_SIZE, measuring.ratios(times), 1.05)]
