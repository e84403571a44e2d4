"""Half-precision computation on float32 weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from graph_nodes import all_nodes


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def test_a_few_steps_train(policy, make_run, batch):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    run = make_run(optimizer, l2=1e-3)
    before = run.weights()
    losses = []
    for step in range(12):
        path = [step % 4, 1]
        losses.append(float(run.step(batch, step, path).loss))
    assert np.all(np.isfinite(losses))
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.1
    for name, variable in run.variables.items():
        assert variable.dtype == "float32", name
        gate = run.supernet.gates[name]
        trained = gate is None or gate[0] == 0 or gate == (1, 1)
        assert np.array_equal(before[name], variable.numpy()) != trained, name
    # No step was skipped for an overflow: the initial scale is not too high.
    assert int(run.optimizer.iterations) == 12

    broken = batch[0].copy()
    broken[0, 0, 0, 0] = np.nan
    assert np.isnan(run.step((broken, batch[1]), 12, [0, 1]).loss)

    images = tf.constant(batch[0])
    logits = run.supernet(images, tf.constant([0, 1]))
    assert logits.dtype == tf.float32
    moments = run.supernet.batch_moments(images, tf.constant([0, 1]))
    assert {m.dtype for m in moments} == {tf.float32}


def test_the_computation_is_in_half_precision(policy, blueprint):
    from spos_tf.networks.supernet import Supernet

    supernet = Supernet(blueprint)
    kind = getattr(tf, keras.config.dtype_policy().compute_dtype)
    step = tf.function(supernet, autograph=False).get_concrete_function(
        tf.TensorSpec([4, 8, 8, 3], tf.float32), tf.TensorSpec([2], tf.int32)
    )
    kinds = ("Conv2D", "DepthwiseConv2dNative", "FusedBatchNormV3")
    nodes = [node for node in all_nodes(step) if node.op in kinds]
    assert {node.op for node in nodes} == set(kinds)
    assert {node.attr["T"].type for node in nodes} == {kind.as_datatype_enum}
