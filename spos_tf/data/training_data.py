"""What a training reads."""

import contextlib
from typing import Protocol

import tensorflow as tf


class TrainingData(Protocol):
    """Labelled images that come in batches, from any step on.

    Attributes:
        name: What messages call them.
        num_classes: Labels are in `[0, num_classes)`.
    """

    name: str
    num_classes: int

    def batches(
        self,
        *,
        batch_size: int,
        start_step: int,
        num_steps: int,
        seed: int,
        share: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Batches of the steps `start_step` to `num_steps - 1`.

        Args:
            batch_size: Images a step, over all processes.
            start_step: The first step.
            num_steps: The step after the last.
            seed: Seed of order and augmentation.
            share: (index, count): only this one of so many equal parts of
                every batch.

        Returns:
            (images, labels): float32 `[n, size, size, 3]`, 0..255, and int32
            `[n]`.
        """
        ...

    def errors(self) -> contextlib.AbstractContextManager[None]:
        """Turns what is wrong with an image into a `UserError`."""
        ...
