"""Branches that are kept at random."""

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.space import Choice, SearchSpace
from spos_tf.training.path_dropout import PathDropoutSampler

SPACE = SearchSpace(
    "mixed",
    tuple(
        Choice(f"stage1.block{i}.op", tuple(range(count)))
        for i, count in enumerate((2, 4, 3, 5), 1)
    ),
    # The last two leave something out.
    legal=((0, 1), (0, 1, 2, 3), (1,), (0, 2, 4)),
)
STEPS = 4000


def _draws(keep_rate, steps=STEPS, seed=5, **arguments):
    """float32 `[steps, num_choices, max_options]`, in one graph."""
    sampler = PathDropoutSampler(
        SPACE, keep_rate, steps=STEPS, seed=seed, **arguments
    )

    @tf.function(autograph=False)
    def run():
        return tf.map_fn(
            lambda step: sampler(step).path.weights,
            tf.range(steps, dtype=tf.int64),
            fn_output_signature=tf.float32,
        )

    return run().numpy()


@pytest.mark.parametrize("keep_rate", [0.0, 0.3, 0.7, 1.0])
def test_legal_branches_are_kept_as_often_as_the_rate_says(keep_rate):
    draws = _draws(keep_rate)
    kept = draws > 0
    assert not kept[:, ~SPACE.legal_mask].any()
    assert kept.any(axis=2).all()
    # What is kept is averaged.
    np.testing.assert_allclose(draws.sum(axis=2), 1.0, rtol=1e-6)
    for choice in range(SPACE.num_choices):
        for weights in draws[:50, choice]:
            assert len(set(weights[weights > 0].tolist())) == 1
    shares = kept.mean(axis=0)
    count = SPACE.num_legal
    expected = keep_rate + (1 - keep_rate) ** count / count
    for row, legal, share in zip(
        shares, SPACE.legal_mask, expected, strict=True
    ):
        # Four standard deviations of a share of 4,000 draws.
        error = 4 * np.sqrt(share * (1 - share) / STEPS)
        np.testing.assert_allclose(row[legal], share, atol=error + 1e-6)


def test_the_rate_falls_linearly():
    sampler = PathDropoutSampler(
        SPACE, 0.5, schedule="linear", steps=101, seed=0
    )
    rates = [
        float(sampler.keep_rate(tf.constant(step, tf.int64)))
        for step in (0, 50, 100)
    ]
    assert rates == pytest.approx([1.0, 0.75, 0.5])
    draws = _draws(0.0, schedule="linear")
    assert (draws[0] > 0).sum() == SPACE.num_legal.sum()
    counts = (draws > 0).sum(axis=(1, 2))
    # The last hundred steps keep 1 % of the branches beside one a choice.
    assert counts[-100:].mean() < SPACE.num_choices + 0.5
    assert counts[:100].mean() > SPACE.num_legal.sum() - 0.5


def test_a_draw_is_a_function_of_seed_and_step():
    np.testing.assert_array_equal(_draws(0.5, 20), _draws(0.5, 20))
    assert (_draws(0.5, 20) != _draws(0.5, 20, seed=6)).any()


@pytest.mark.parametrize("rate", [-0.1, 1.5, np.nan])
def test_a_rate_is_a_probability(rate):
    with pytest.raises(UserError, match="0 to 1; got `keep_rate"):
        PathDropoutSampler(SPACE, rate, steps=2, seed=0)


def test_other_schedules_are_refused():
    with pytest.raises(UserError, match="'cosine'.*constant, linear"):
        PathDropoutSampler(SPACE, 0.5, schedule="cosine", steps=2, seed=0)
