"""The processes that train one network together, on several hosts.

TensorFlow brings them together and sums their gradients
(`MultiWorkerMirroredStrategy`). What is here: that all of them start from the
same files, which images are whose, and what happens when one is gone.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.data.pipeline import TrainingData, accelerator, ahead_on
from spos_tf.errors import UserError
from spos_tf.options import TrainingOptions
from spos_tf.plain_arrays import digest_of
from spos_tf.stop_signal import StopSignal
from spos_tf.training.loop import Ending, Stop
from spos_tf.training.task import Task

# What TensorFlow says where a peer does not answer any more.
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class Team:
    """This process among those that it trains with.

    Args:
        strategy: Where steps run.
        task: Which of its processes this is.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, task: Task | None = None
    ) -> None:
        self.strategy = strategy
        self.task = task or Task()

        @tf.function(autograph=False)
        def gather(value: tf.Tensor) -> tf.Tensor:
            here = strategy.run(lambda: tf.identity(value))
            return strategy.gather(here, axis=0)

        self._gather = gather

    @property
    def is_chief(self) -> bool:
        """Whether this process writes files and reports."""
        return self.task.is_chief

    def agree(self, what: str, value: int, way_out: str) -> None:
        """Waits for all processes, which have to come with the same number.

        Args:
            what: What the number is of.
            value: In 64 bits with a sign.
            way_out: For the error.

        Raises:
            UserError: They have not, or one is gone.
        """
        if self.task.total == 1:
            return
        with self.losses():
            everywhere = self._gather(tf.constant([value], tf.int64)).numpy()
        if (everywhere != value).any():
            raise UserError(
                f"The {self.task.total} workers have different {what}: "
                f"{sorted(set(everywhere.tolist()))}. {way_out}"
            )

    def wait(self) -> None:
        """Waits for all processes; one that ends early would end the others.

        Raises:
            UserError: One is gone.
        """
        self.agree("ends", 0, "")

    def check_same(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Waits for all processes, which have to have the same arrays.

        Raises:
            UserError: They have not, or one is gone.
        """
        if self.task.total > 1:
            digest = digest_of(arrays)[:8]
            self.agree(
                "weights (by their fingerprints)",
                int.from_bytes(digest, "big", signed=True),
                "Start the job again: it resumes from the last checkpoint.",
            )

    def batches(
        self, data: TrainingData, options: TrainingOptions, first: int, end: int
    ) -> Any:
        """Distributes batches over the replicas of all processes.

        Args:
            data: Makes them.
            options: Whose batch size and seed they have.
            first: The first step.
            end: The step after the last.

        Returns:
            What the step takes, one element a step.
        """
        size = options.batch_size or 0
        make = functools.partial(
            data.batches,
            batch_size=size,
            start_step=first,
            num_steps=end,
            seed=options.seed,
        )
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            # Strategies of several devices do so themselves.
            return ahead_on(make(), accelerator())
        if self.task.total == 1:
            return self.strategy.experimental_distribute_dataset(make())
        share = (self.task.number, self.task.total)
        return self.strategy.distribute_datasets_from_function(
            lambda context: make(share=share).rebatch(size // replicas)
        )

    def stops_together(self, stop: StopSignal) -> Stop:
        """A signal that came to one process ends all, after the same step."""
        if self.task.total == 1:
            return Stop(stop)
        return _TogetherStop(self.strategy, stop)

    @contextlib.contextmanager
    def losses(self) -> Iterator[None]:
        """Turns what TensorFlow says of a lost peer into a UserError."""
        try:
            yield
        except _GONE as error:
            if self.task.total == 1:
                raise
            (first, *_) = str(error.message).strip().splitlines() or [""]
            raise UserError(
                "Another worker of the job is gone, or cannot be reached. "
                "Start the job again on all hosts: it resumes from the last "
                f"checkpoint. ({type(error).__name__}: {first})"
            ) from None


class _TogetherStop(Stop):
    """Asks all processes; they hear the answer a step later.

    Each question takes the sum of who was told to stop along with the next
    step, so that no device waits for it.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, stop: StopSignal
    ) -> None:
        super().__init__(stop)
        self._told: tf.Tensor | None = None

        @tf.function(autograph=False)
        def total(told: tf.Tensor) -> tf.Tensor:
            # A value of the replica's own, not one captured.
            here = strategy.run(lambda: tf.identity(told))
            return strategy.reduce(tf.distribute.ReduceOp.SUM, here, axis=None)

        self._total = total

    def __call__(self, stopped: bool) -> Ending:
        before, told = self._told, [float(self._signal()), float(stopped)]
        self._told = self._total(tf.constant(told))
        if before is None:
            return Ending(False, False)
        return Ending(*(before.numpy() > 0).tolist())
