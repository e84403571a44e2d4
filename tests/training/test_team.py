"""Who is who among several hosts; tests/tools has the real processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data.digits import load_digits_source
from spos_tf.data.pipeline import training_batches
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.errors import UserError
from spos_tf.training.task import Task, read_task
from spos_tf.training.team import Team
from worker_jobs import clusters


def config(index=0, kind="worker", **cluster):
    cluster = cluster or {"worker": ["a:1", "b:1"]}
    return json.dumps(
        {"cluster": cluster, "task": {"type": kind, "index": index}}
    )


@pytest.mark.parametrize(
    ("text", "task"),
    [
        (config(0), Task(0, 2)),
        (config(1), Task(1, 2)),
        (config(0, "chief", chief=["c:1"], worker=["a:1"]), Task(0, 2)),
        (config(1, chief=["c:1"], worker=["a:1", "b:1"]), Task(2, 3)),
        (config(0, worker=["a:1"]), Task(0, 1)),
    ],
)
def test_tasks_are_numbered_from_the_chief(text, task):
    assert read_task(text) == task
    assert task.is_chief == (task.number == 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "TF_CONFIG, which is not set"),
        ("", "TF_CONFIG, which is not set"),
        ("{", "does not say who trains; it is '{'"),
        ("[]", "does not say who trains"),
        ('{"cluster": 3, "task": {}}', "does not say who trains"),
        ('{"cluster": {"worker": 3}}', "does not say who trains"),
        (config(2), "'worker' number 2 of 2"),
        (config(-1), "'worker' number -1 of 2"),
        (config(0, "chief"), "'chief' number 0 of 0"),
        (config(worker=["a:1"], ps=["b:1"]), "at most one chief; got"),
        (config(worker=["a:1"], chief=["b:1", "c:1"]), "at most one chief"),
    ],
)
def test_what_is_no_cluster_is_refused(text, expected):
    with pytest.raises(UserError, match=expected) as refusal:
        read_task(text)
    # The way out.
    assert '"task": {"type": "worker", "index": 0}' in str(refusal.value)


@pytest.mark.parametrize("augmentation", ["shift", "imagenet"])
def test_the_shares_of_workers_are_the_batch(augmentation):
    split = load_digits_source().train
    options = PreprocessingOptions(image_size=8, augmentation=augmentation)

    def batches(share):
        return training_batches(
            split,
            options,
            batch_size=12,
            start_step=1,
            num_steps=4,
            seed=5,
            share=share,
        )

    whole = list(batches((0, 1)))
    parts = [list(batches((index, 3))) for index in range(3)]
    assert len(whole) == 3
    for step, (images, labels) in enumerate(whole):
        np.testing.assert_array_equal(
            np.concatenate([part[step][0] for part in parts]), images
        )
        np.testing.assert_array_equal(
            np.concatenate([part[step][1] for part in parts]), labels
        )
    with pytest.raises(UserError, match="number of workers, 5; got 12"):
        batches((0, 5))


def test_one_process_agrees_with_itself():
    team = Team(tf.distribute.get_strategy())
    team.agree("weights", 3, "")
    team.check_same({"a": np.ones(3)})
    team.wait()
    assert team.is_chief


def test_what_tensorflow_says_of_a_lost_peer_is_one_line():
    team = Team(tf.distribute.get_strategy(), Task(0, 2))
    lost = tf.errors.UnavailableError(None, None, "Peer down.\nMore.")
    with (
        pytest.raises(UserError, match=r"resumes from .*Peer down\.\)$"),
        team.losses(),
    ):
        raise lost
    alone = Team(tf.distribute.get_strategy())
    with pytest.raises(tf.errors.UnavailableError), alone.losses():
        raise lost


# Two processes that come with a number of their own.
TALK = """
import os
import sys

import numpy as np
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.stop_signal import StopSignal
from spos_tf.training.task import read_task
from spos_tf.training.team import Team

task = read_task(os.environ["TF_CONFIG"])
team = Team(tf.distribute.MultiWorkerMirroredStrategy(), task)
team.agree("seeds", -7, "")
team.check_same({"a": np.arange(3), "b": np.zeros(())})
for check in (
    lambda: team.agree("steps", 10 + task.number, "Share a folder."),
    lambda: team.check_same({"a": np.arange(3) + task.number}),
):
    try:
        check()
    except UserError as error:
        print(error)
signal = StopSignal()
stop = team.stops_together(signal)
answers = []
for step in range(5):
    if step == 2 and task.number == 1:
        signal.handle()
    ending = stop(step == 3 and task.number == 0)
    answers.append(sum(n * one for n, one in zip((1, 2), ending)))
print(answers)
"""


def test_two_processes_say_what_differs_and_stop_after_the_same_step():
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TALK],
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": "-1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_CONFIG": config,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for config in clusters(2)
    ]
    for process in processes:
        said, failed = process.communicate(timeout=100)
        assert process.returncode == 0, failed
        steps, weights, answers = said.splitlines()
        assert "different steps: [10, 11]. Share a folder." in steps
        assert "different weights" in weights and "Start the job" in weights
        # A signal in step 2, a callback in step 3; each heard a step later.
        assert answers == "[0, 0, 0, 1, 3]"
