"""The smallest supernet that has everything, and how to train it."""

import dataclasses
from typing import Any

import numpy as np
import pytest

BATCH = 16


@pytest.fixture(scope="session")
def blueprint():
    """Two choices of four operations, 8 px."""
    from tiny_blueprint import tiny_blueprint

    return tiny_blueprint(stage_repeats=[1, 1])


@pytest.fixture(scope="session")
def batch():
    """(images, labels) of one step."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (BATCH, 8, 8, 3)).astype(np.float32)
    return images, rng.integers(0, 10, BATCH).astype(np.int32)


@pytest.fixture(scope="session")
def mirrored():
    """The process's one MirroredStrategy, over two logical CPU devices."""
    import tensorflow as tf

    devices = [d.name for d in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2
    return tf.distribute.MirroredStrategy(devices)


@pytest.fixture(scope="session")
def make_run(blueprint):
    """Builds a `Run`."""

    def make(*args, **kwargs):
        return Run(kwargs.pop("blueprint", blueprint), *args, **kwargs)

    return make


class FollowedPath:
    """A sampler that somebody else steers."""

    def __init__(self, num_choices):
        import tensorflow as tf

        self.path = tf.Variable(tf.zeros([num_choices], tf.int32))

    def __call__(self, step):
        import tensorflow as tf

        from spos_tf.ops.selection import Path
        from spos_tf.training.samplers import Draw

        return Draw(Path(self.path.read_value()), tf.constant(False))


@dataclasses.dataclass
class Run:
    """A supernet, its optimizer and its compiled step."""

    blueprint: Any
    optimizer: Any
    sampler: Any = None
    strategy: Any = None
    norm: Any = None
    forward: Any = None
    l2: float = 0.0
    width_mode: str = "slice"
    jit_compile: bool = False

    def __post_init__(self):
        import tensorflow as tf

        from spos_tf.networks.supernet import Supernet
        from spos_tf.training.objective import Objective
        from spos_tf.training.path_optimizer import path_optimizer, takes_l2
        from spos_tf.training.step import make_train_step

        self.strategy = self.strategy or tf.distribute.get_strategy()
        with self.strategy.scope():
            norm = None if self.norm is None else self.norm()
            self.supernet = Supernet(
                self.blueprint, seed=3, norm=norm, width_mode=self.width_mode
            )
            self.variables = self.supernet.named_variables
            # Where it is a function, it makes one in the strategy's scope.
            self.optimizer = path_optimizer(
                self.optimizer()
                if callable(self.optimizer)
                else self.optimizer,
                list(self.variables.values()),
                list(self.supernet.gates.values()),
                l2=self.l2,
                l2_filter=takes_l2,
            )
            if self.sampler is None:
                self.sampler = FollowedPath(
                    self.blueprint.search_space.num_choices
                )
        forward = self.forward or (
            lambda supernet, images, path: supernet(images, path)
        )
        self.train_step = make_train_step(
            lambda images, path, seed: forward(self.supernet, images, path),
            list(self.variables.values()),
            self.optimizer,
            sampler=self.sampler,
            objective=Objective.make(
                label_smoothing=0.1,
                num_classes=self.blueprint.num_classes,
            ),
            global_batch_size=BATCH,
            strategy=self.strategy,
            jit_compile=self.jit_compile,
        )

    def step(self, batch, step, path=None):
        """One step; on the given path where the sampler follows."""
        import tensorflow as tf

        if path is not None:
            self.sampler.path.assign(path)
        return self.train_step(batch, tf.constant(step, tf.int64))

    def weights(self):
        """Values of all variables by name."""
        return {
            name: variable.numpy() for name, variable in self.variables.items()
        }
