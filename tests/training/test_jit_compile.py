"""Steps compiled by XLA: elastic widths are masked, all shapes static."""

import dataclasses

import keras
import numpy as np
import pytest

from spos_tf.training.averaging import AveragedWeights
from tiny_blueprint import tiny_blueprint


@pytest.fixture
def joint():
    """Two of the four operations: XLA takes ten seconds for one of them."""
    whole = tiny_blueprint(
        "shufflenet_joint",
        stage_widths=[12],
        stage_repeats=[1],
        stage_strides=[1],
    )
    stem, block, head = whole.segments
    space = whole.search_space
    _, widths = space.legal_options
    return dataclasses.replace(
        whole,
        search_space=dataclasses.replace(space, legal=((0, 1), widths)),
        segments=(
            stem,
            dataclasses.replace(
                block, branches=(*block.branches[:2], None, None)
            ),
            head,
        ),
    )


def test_steps_are_those_of_the_plain_graph_with_slices(make_run, joint, batch):
    runs = [
        make_run(
            keras.optimizers.SGD(0.05, momentum=0.9),
            l2=1e-3,
            blueprint=joint,
            **how,
        )
        for how in (
            {"width_mode": "slice"},
            {"width_mode": "mask", "jit_compile": True},
        )
    ]
    before = runs[0].weights()
    averages = [
        AveragedWeights(
            run.variables, run.supernet.gates, run.optimizer, run.strategy
        )
        for run in runs
    ]
    # The sampler's own draws would be others under XLA.
    for step, path in enumerate([[0, 1], [1, 5], [1, 7]]):
        results = []
        for run, average in zip(runs, averages, strict=True):
            done = average.iterations()
            results.append(run.step(batch, step, path))
            average.update(results[-1].path, done)
        # Sums in another order, over a few layers and steps.
        assert np.isclose(results[0].loss, results[1].loss, rtol=1e-4)
    ours, theirs = (run.weights() for run in runs)
    for name, value in ours.items():
        assert np.abs(value - theirs[name]).max() < 1e-4
    assert max(np.abs(ours[n] - before[n]).max() for n in ours) > 1e-2
    for name, variable in averages[0].variables.items():
        value = averages[1].variables[name].numpy()
        assert np.abs(variable.numpy() - value).max() < 1e-4, name
    # What always runs, and the two operations.
    assert value.tolist() == [3, 1, 2]
