"""A run as arrays."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from spos_tf.training.session import run_training

from spos_tf.data.digits import load_digits_source
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.errors import Preempted, UserError
from spos_tf.stop_signal import StopSignal
from spos_tf.training.checkpoints import write_checkpoint
from spos_tf.training.loop import LoopOptions
from spos_tf.training.path_optimizer import path_optimizer
from spos_tf.training.run_state import RunState
from spos_tf.training.step import StepResult
from spos_tf.training.team import Team

DESCRIPTION = {"kind": "supernet", "search_space": "shufflenet_blocks"}


def _run(optimizer=None, shape=(3, 2), description=DESCRIPTION, count=2):
    variables = {
        f"segment{i}.conv.kernel": keras.Variable(
            np.full(shape, i + 1.0), dtype="float32"
        )
        for i in range(count)
    }
    optimizer = path_optimizer(
        optimizer or keras.optimizers.SGD(0.1, momentum=0.9),
        list(variables.values()),
        [None] * count,
    )
    state = RunState(variables, optimizer, description)
    return state, [*variables.values(), *optimizer.variables], optimizer


def _values(variables):
    return [np.copy(v.numpy()) for v in variables]


def _step(optimizer, count=2):
    optimizer.apply_on_path([keras.ops.ones((3, 2))] * count, None)


@pytest.mark.parametrize("name", ["sgd", "adamw", "nadam", "scaled"])
def test_restoring_undoes_training_to_the_bit(name):
    def optimizer():
        if name == "scaled":
            inner = keras.optimizers.SGD(0.1, momentum=0.9)
            return keras.optimizers.LossScaleOptimizer(inner)
        return keras.optimizers.get(name)

    state, variables, gated = _run(optimizer())
    _step(gated)
    checkpoint = state.capture(1, {"extra": np.arange(3)})
    kept = _values(variables)
    _step(gated)
    later = _values(variables)
    assert not all(map(np.array_equal, kept, later))

    other, others, again = _run(optimizer())
    other.restore(checkpoint)
    for a, b in zip(kept, _values(others), strict=True):
        np.testing.assert_array_equal(a, b)
    _step(again)
    for a, b in zip(later, _values(others), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(checkpoint.arrays["extra"], np.arange(3))
    assert checkpoint.description == DESCRIPTION


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"description": {**DESCRIPTION, "kind": "subnet"}},
            "kind 'subnet'; this run has 'supernet'",
        ),
        ({"shape": (3, 3)}, r"segment0.conv.kernel' is float32 \(3, 3\)"),
        ({"count": 1}, "segment1.conv.kernel' is missing"),
        ({"count": 3}, "segment2.conv.kernel', which this run has not"),
        (
            {"optimizer": keras.optimizers.Adam(0.1)},
            "'optimizer/.*which this run has not",
        ),
        ({"optimizer": keras.optimizers.SGD(0.1)}, "'optimizer/.* is missing"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else None,
)
def test_a_foreign_checkpoint_is_refused_and_changes_nothing(
    arguments, message
):
    foreign = _run(**arguments)[0].capture(5, {})
    state, variables, _ = _run()
    before = _values(variables)
    with pytest.raises(UserError, match=message) as caught:
        state.restore(foreign)
    assert "--name or --work_dir" in str(caught.value)
    for a, b in zip(before, _values(variables), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ({}, "missing"),
        (
            {"sampler/path_counts": np.zeros((3, 4), np.int64)},
            r"int64 of shape \(3, 4\)",
        ),
        (
            {"sampler/path_counts": np.zeros((2, 4))},
            r"float64 of shape \(2, 4\)",
        ),
    ],
    ids=["missing", "shape", "type"],
)
def test_going_on_without_the_samplers_counts_is_refused(
    tmp_path, extra, found
):
    state, _, _ = _run()
    folder = tmp_path / "checkpoints"
    write_checkpoint(folder, state.capture(1, extra), keep=1)
    counts = np.zeros((2, 4), np.int64)
    with pytest.raises(UserError, match=f"path_counts' is {found}; .*--name"):
        run_training(
            None,
            state,
            split=load_digits_source().train,
            preprocessing=PreprocessingOptions(
                image_size=8, augmentation="none"
            ),
            options=LoopOptions(steps=2, batch_size=4, checkpoint_every=1),
            seed=0,
            folder=tmp_path,
            team=Team(tf.distribute.get_strategy()),
            keep_checkpoints=1,
            path_counts=counts,
            validate=None,
            inform=lambda line: None,
        )
    assert not counts.any()
    assert [path.name for path in folder.iterdir()] == ["step-00000001.npz"]


def _steps(folder):
    return sorted(int(path.stem[-8:]) for path in folder.glob("*.npz"))


@pytest.mark.parametrize("signals", [[], [7], [7, 9], [8, 11]])
def test_preemption_leaves_the_checkpoints_of_an_undisturbed_run(
    tmp_path, signals
):
    """SIGTERM in some steps; every start goes on where the last one ended."""
    result = StepResult(
        np.float32(1), np.float32(1), np.zeros(0, np.int32), np.bool_(False)
    )
    for signalled in [*signals, None]:
        stop = StopSignal()

        def step(batch, number, stop=stop, signalled=signalled):
            if int(number) + 1 == signalled:
                stop.handle()
            return result

        ends = pytest.raises(Preempted, match=f"step {signalled}")
        with ends if signalled else contextlib.nullcontext():
            run_training(
                step,
                _run()[0],
                split=load_digits_source().train,
                preprocessing=PreprocessingOptions(
                    image_size=8, augmentation="none"
                ),
                options=LoopOptions(steps=14, batch_size=4, checkpoint_every=2),
                seed=0,
                folder=tmp_path,
                team=Team(tf.distribute.get_strategy()),
                keep_checkpoints=3,
                path_counts=np.zeros((0, 0), np.int64),
                validate=None,
                inform=lambda line: None,
                stop=stop,
            )
        if signalled == 7:
            assert _steps(tmp_path / "checkpoints") == [2, 4, 6, 7]
    assert _steps(tmp_path / "checkpoints") == [10, 12, 14]


def test_a_run_killed_before_it_pruned_prunes_when_it_starts(tmp_path):
    state, _, _ = _run()
    counts = {"sampler/path_counts": np.zeros((0, 0), np.int64)}
    for step in (1, 2, 3):
        write_checkpoint(
            tmp_path / "checkpoints", state.capture(step, counts), keep=9
        )
    run_training(
        None,
        state,
        split=load_digits_source().train,
        preprocessing=PreprocessingOptions(image_size=8, augmentation="none"),
        options=LoopOptions(steps=3, batch_size=4, checkpoint_every=1),
        seed=0,
        folder=tmp_path,
        team=Team(tf.distribute.get_strategy()),
        keep_checkpoints=2,
        path_counts=np.zeros((0, 0), np.int64),
        validate=None,
        inform=lambda line: None,
    )
    assert _steps(tmp_path / "checkpoints") == [2, 3]


def test_runs_from_before_there_were_algorithms_are_of_single_paths():
    old, *_ = _run()
    checkpoint = old.capture(1, {})
    same, *_ = _run(description={**DESCRIPTION, "algorithm": "single_path"})
    same.restore(checkpoint)
    other, *_ = _run(description={**DESCRIPTION, "algorithm": "gumbel"})
    with pytest.raises(UserError, match="'single_path'.*'gumbel'"):
        other.restore(checkpoint)


def test_what_else_is_trained_is_part_of_a_run():
    def run():
        variable = keras.Variable(np.ones(3), dtype="float32")
        _, _, gated = _run()
        state = RunState(
            {}, gated, DESCRIPTION, {"architecture/parameters": variable}
        )
        return state, variable

    state, variable = run()
    variable.assign([1.0, 2.0, 3.0])
    checkpoint = state.capture(1, {})
    assert not checkpoint.weights()
    again, restored = run()
    again.restore(checkpoint)
    assert restored.numpy().tolist() == [1.0, 2.0, 3.0]
    # Without it, it is another run.
    _, _, gated = _run()
    with pytest.raises(UserError, match="'architecture/parameters', which"):
        RunState({}, gated, DESCRIPTION).restore(checkpoint)
