"""A run that was killed goes on to the same bits."""

import subprocess
import sys

# In a process of its own: determinism is a switch of the whole process.
SCRIPT = """
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from spos_tf.data.digits import load_digits_source
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.networks.supernet import Supernet
from spos_tf.spaces import build_blueprint
from spos_tf.training.checkpoints import latest_checkpoint
from spos_tf.training.loop import LoopOptions
from spos_tf.training.optimization import LearningRate
from spos_tf.training.path_optimizer import takes_l2, path_optimizer
from spos_tf.training.run_state import RunState
from spos_tf.training.samplers import UniformSampler
from spos_tf.training.session import run_training
from spos_tf.training.team import Team
from spos_tf.training.step import make_train_step

STEPS, BATCH = 12, 32  # An epoch is 45 steps: all of it is mid-epoch.
tf.config.experimental.enable_op_determinism()
keras.utils.set_random_seed(0)
blueprint = build_blueprint(
    "shufflenet_blocks", preset="demo", stage_widths=[12, 16],
    stage_repeats=[1, 1], last_width=16, dropout=0.2,
)


class Killed(Exception):
    pass


def train(folder, last=None):
    supernet = Supernet(blueprint, seed=0)
    variables = supernet.named_variables
    optimizer = path_optimizer(
        keras.optimizers.SGD(LearningRate("linear", 0.1, STEPS), momentum=0.9),
        list(variables.values()),
        list(supernet.gates.values()),
        l2=1e-3,
        l2_filter=takes_l2,
    )
    step = make_train_step(
        lambda images, path, step: supernet(
            images,
            path,
            dropout_seed=tf.stack([tf.constant(0, tf.int64), step]),
        ),
        list(variables.values()),
        optimizer,
        sampler=UniformSampler(blueprint.search_space, seed=0),
        global_batch_size=BATCH,
        label_smoothing=0.1,
        strategy=tf.distribute.get_strategy(),
    )

    def killed_step(batch, number):
        if last is not None and int(number) == last:
            raise Killed
        return step(batch, number)

    run_training(
        killed_step,
        RunState(variables, optimizer, {"kind": "supernet"}),
        split=load_digits_source().train,
        preprocessing=PreprocessingOptions(image_size=8, augmentation="shift"),
        options=LoopOptions(
            steps=STEPS, batch_size=BATCH, checkpoint_every=5, log_every=2
        ),
        seed=0,
        folder=folder,
        team=Team(tf.distribute.get_strategy()),
        keep_checkpoints=2,
        path_counts=np.zeros((2, 4), np.int64),
        validate=None,
        inform=print,
    )


root = pathlib.Path(sys.argv[1])
train(root / "whole" / "run")
try:
    train(root / "parts" / "run", last=8)
except Killed:
    print("killed")
train(root / "parts" / "run")


def arrays(name):
    folder = root / name / "run" / "checkpoints"
    found = latest_checkpoint(folder, warn=print)
    assert found.step == STEPS
    return found.arrays


whole, parts = arrays("whole"), arrays("parts")
assert set(whole) == set(parts)
for name, value in whole.items():
    assert value.tobytes() == parts[name].tobytes(), name
assert whole["sampler/path_counts"].sum() == 2 * STEPS
print("equal", len(whole))
"""


def test_a_killed_run_goes_on_to_bit_identical_weights(tmp_path, repo_dir):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=repo_dir,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert lines[0] == "killed"
    # Step 8 was reached; the checkpoint before it is of step 5.
    assert lines[1] == "Going on after step 5 of 12."
    assert lines[2].startswith("equal ")
