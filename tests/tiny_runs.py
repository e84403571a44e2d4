"""Runs of the trainer that take a second: one matrix on coloured images."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from spos_tf.ops.selection import Path
from spos_tf.options import TrainingOptions
from spos_tf.stop_signal import StopSignal
from spos_tf.training.objective import Objective
from spos_tf.training.samplers import Draw
from spos_tf.training.team import Team
from spos_tf.training.trainer import Trainer

NUM_CLASSES = 3
DESCRIPTION = {"kind": "supernet", "search_space": "tiny"}


class Images:
    """Random images whose colour is their class, as `TrainingData`."""

    name = "colours"
    num_classes = NUM_CLASSES

    def __init__(self, batches=None):
        self.repeats = batches
        self.asked = []

    def batches(self, *, batch_size, start_step, num_steps, seed, share=(0, 1)):
        self.asked.append((start_step, num_steps))

        def batch(step):
            seeds = tf.stack([tf.constant(seed, tf.int64), step])
            labels = tf.random.stateless_uniform(
                [batch_size], seeds, 0, NUM_CLASSES, tf.int32
            )
            noise = tf.random.stateless_uniform([batch_size, 2, 2, 3], seeds)
            colours = tf.one_hot(labels, 3)[:, None, None, :]
            return 100 * noise + 155 * colours, labels

        steps = tf.data.Dataset.counter(start=start_step)
        if self.repeats is not None:
            steps = steps.take(max(self.repeats - start_step, 0))
        return steps.map(batch)

    def errors(self):
        return contextlib.nullcontext()


class Drawn:
    """A sampler of one choice of two matrices: in turn."""

    def __call__(self, step):
        option = tf.cast(step % 2, tf.int32)
        return Draw(Path(option[None]), tf.constant(False))


def make_trainer(folder, data=None, objective=None, description=None, **given):
    """A trainer of ten steps of eight images, and its weights."""
    stop = given.pop("stop", None) or StopSignal()
    parts = {
        name: given.pop(name)
        for name in (
            "validate",
            "callbacks",
            "wrong_choices",
            "average_every",
        )
        if name in given
    }
    choices = parts.pop("wrong_choices", (1, 2))
    parts.setdefault("validate", None)
    options = TrainingOptions(
        **{
            "steps": 10,
            "batch_size": 8,
            "learning_rate": 0.1,
            "schedule": "constant",
            "l2": 0.0,
            "label_smoothing": 0.0,
            "validate_every": 0,
            **given,
        }
    )
    matrices = {
        f"op.{i}.kernel": keras.Variable(np.zeros((3, NUM_CLASSES), "float32"))
        for i in range(2)
    }

    def forward(images, selection, dropout_seed):
        del dropout_seed
        features = tf.reduce_mean(images, axis=(1, 2)) / 255
        kernels = tf.stack([m.value for m in matrices.values()])
        return features @ kernels[selection.options[0]]

    trainer = Trainer(
        forward=forward,
        variables=matrices,
        gates={name: (0, i) for i, name in enumerate(matrices)},
        sampler=Drawn(),
        choices=choices,
        options=options,
        objective=objective or Objective.make(num_classes=NUM_CLASSES),
        data=data or Images(),
        folder=folder,
        description=description or DESCRIPTION,
        team=Team(tf.distribute.get_strategy()),
        stop=stop,
        **parts,
    )
    return trainer, matrices


def checkpoint_steps(folder):
    """Steps of the checkpoints in a run's folder."""
    return sorted(
        int(path.stem[-8:]) for path in (folder / "checkpoints").glob("*.npz")
    )
