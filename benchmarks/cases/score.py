"""Scoring and recalibrating a path in the supernet / the network alone.

`infer`: against the Keras network's inference, whose convolutions, batch
norms and ReLUs TensorFlow fuses. `recalibrate`: against its training-mode
forward pass.
"""

import tensorflow as tf

import measuring
import subjects

_PATHS = 5
_PAIRS = 10
_MARK = 1.05


def measure() -> list[measuring.Case]:
    """Ratios over a few random paths, and that nothing was traced anew."""
    from spos_tf.networks.subnet import build_subnet
    from spos_tf.networks.supernet import Supernet, pooled_statistics
    from spos_tf.networks.transfer import inherit_weights

    cases = []
    for size, (pixels, batch_size) in subjects.SCORE_SIZES.items():
        blueprint = subjects.blueprint_at(pixels)
        supernet = Supernet(blueprint)
        images, _ = subjects.random_batch(pixels, batch_size)
        score = tf.function(supernet, autograph=False)
        collect = tf.function(supernet.batch_moments, autograph=False)
        found: dict[str, list[float]] = {"infer": [], "recalibrate": []}
        for path in subjects.random_paths(blueprint, _PATHS):
            encoding = tf.constant(path)
            statistics = pooled_statistics(
                [(batch_size, collect(images, encoding))]
            )
            net = build_subnet(blueprint, path)
            inherit_weights(
                net, blueprint, path, supernet.named_variables, statistics
            )
            infer = tf.function(
                lambda x, net=net: net(x, training=False), autograph=False
            )
            train = tf.function(
                lambda x, net=net: net(x, training=True), autograph=False
            )
            found["infer"] += measuring.ratios(
                measuring.alternating(
                    lambda e=encoding, s=statistics: score(
                        images, e, statistics=s
                    ).numpy(),
                    lambda infer=infer: infer(images).numpy(),
                    _PAIRS,
                )
            )
            found["recalibrate"] += measuring.ratios(
                measuring.alternating(
                    lambda e=encoding: collect(images, e)[-1].numpy(),
                    lambda train=train: train(images).numpy(),
                    _PAIRS,
                )
            )
        traces = [
            function.experimental_get_tracing_count()
            for function in (score, collect)
        ]
        cases += [
            measuring.case_of(
                f"{name}_{size}",
                values,
                _MARK,
                note=f"{max(traces)} trace for {_PATHS} candidates",
            )
            for name, values in found.items()
        ]
    return cases
