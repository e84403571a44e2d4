"""Random numbers that are pure functions of (seed, position).

Philox is a counter-based generator: its output number k needs no state, so a
sample's draws can be keyed by the sample's position in training, whatever
batch, process or thread it lands in. `tf.random.stateless_*` has one seed a
call; going to its generator directly gives a whole batch of positions in one
call.
"""

import tensorflow as tf

from spos_tf.randomness import Purpose

_PHILOX = 1
_WORDS = 4  # Philox gives four 32-bit words a counter value.


def random_words(
    seed: int,
    start: tf.Tensor,
    count: int,
    purpose: Purpose,
    group: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Random bits of the positions `start` to `start + count - 1`.

    Args:
        seed: any integer (its low 63 bits count).
        start: int64 scalar, the first position.
        count: number of positions.
        purpose: what the draws are for.
        group: int64 scalar below 2^40; groups are independent.

    Returns:
        uint32 `[count, 4]`.
    """
    low = tf.constant(seed & (2**63 - 1), tf.int64)
    key, _ = tf.raw_ops.StatelessRandomGetKeyCounter(
        seed=tf.stack([low, tf.zeros_like(low)])
    )
    high = tf.constant(int(purpose) << 40, tf.int64) + tf.cast(group, tf.int64)
    counter = tf.stack([tf.cast(start, tf.int64), high])
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[count, _WORDS],
        key=key,
        counter=tf.cast(counter, tf.uint64),
        alg=_PHILOX,
        dtype=tf.uint32,
    )


def augmentation_uniforms(
    seed: int, start: tf.Tensor, count: int, num_draws: int = 4
) -> tf.Tensor:
    """Draws for the samples at `start` (int64 scalar) and after.

    Returns:
        float32 `[count, num_draws]` in [0, 1); `num_draws` is rounded up to
        a multiple of 4.
    """
    blocks = [
        random_words(seed, start, count, Purpose.AUGMENTATION, block)
        for block in range(-(-num_draws // _WORDS))
    ]
    words = blocks[0] if len(blocks) == 1 else tf.concat(blocks, axis=1)
    # 24 bits: what a float32 below 1 holds exactly.
    bits = tf.bitwise.right_shift(words, tf.constant(8, tf.uint32))
    return tf.cast(bits, tf.float32) * 2.0**-24


def random_integers(uniforms: tf.Tensor, bound: tf.Tensor | int) -> tf.Tensor:
    """int32 in `[0, bound)` from float32 uniforms in [0, 1)."""
    scaled = uniforms * tf.cast(bound, tf.float32)
    # Rounding in the product can reach the bound itself.
    return tf.minimum(tf.cast(scaled, tf.int32), bound - 1)


def epoch_indices(
    start: tf.Tensor, count: int, num_images: int, seed: int
) -> tf.Tensor:
    """Which images the samples from position `start` (int64 scalar) on are.

    Every epoch (`num_images` positions) is a permutation of its own.

    Returns:
        int64 `[count]` in `[0, num_images)`.
    """
    positions = start + tf.range(count, dtype=tf.int64)
    epochs = positions // num_images
    num_epochs = (count - 1) // num_images + 2
    words = random_words(seed, epochs[0], num_epochs, Purpose.BATCH_ORDER)
    return shuffled(
        positions % num_images,
        tf.gather(words[:, :3], epochs - epochs[0]),
        tf.fill([count], tf.constant(num_images - 1, tf.int64)),
    )


def shuffled(
    indices: tf.Tensor, words: tf.Tensor, max_index: tf.Tensor
) -> tf.Tensor:
    """Images of `indices` under pseudorandom permutations.

    Args:
        indices: int64 `[n]`, in `[0, max_index]`.
        words: uint32 `[n, 3]`; equal words are one permutation.
        max_index: int64 `[n]`.

    Returns:
        int64 `[n]`.
    """
    # tf.random.experimental.index_shuffle pads a matrix of seeds wrongly.
    return tf.raw_ops.RandomIndexShuffle(
        index=indices, seed=words, max_index=max_index, rounds=4
    )
