"""A mixed-precision supernet step / the path as a fixed quantized network.

Cases `SIZE`: against the Keras network that `train_subnet` would train, with
the same fake quantization at the path's bits. Cases `SIZE_float`: the path's
network in float / the fixed quantized one, what fake quantization leaves of
the speed; it has no mark.
"""

import measuring
import subjects

_PATHS = 4
_SIZES = {
    "224px_b16": ("imagenet", 224, 16, 3),
    "32px_b64": ("cifar", 32, 64, 15),
}
_MARK = 1.10


def measure() -> list[measuring.Case]:
    """Ratios over a few random paths."""
    from spos_tf.networks.supernet import Supernet
    from spos_tf.spaces import build_blueprint

    cases = []
    for size, (preset, pixels, batch_size, pairs) in _SIZES.items():
        mixed, exact = (
            build_blueprint(
                "resnet18_bits", preset=preset, num_classes=1000, **further
            )
            for further in ({}, {"precisions": []})
        )
        ours = subjects.SupernetStep(Supernet(mixed), batch_size)
        batch = subjects.random_batch(pixels, batch_size)
        against: dict[str, list[float]] = {size: [], f"{size}_float": []}
        for path in subjects.random_paths(mixed, _PATHS):
            fixed = subjects.subnet_step(mixed, path, batch_size)
            # Width and bits by block; in float there are widths only.
            plain = subjects.subnet_step(exact, path[::2], batch_size)
            for name, first in (
                (size, lambda path=path: ours(batch, path)),
                (f"{size}_float", lambda plain=plain: plain(batch)),
            ):
                times = measuring.alternating(
                    first, lambda fixed=fixed: fixed(batch), pairs
                )
                against[name] += measuring.ratios(times)
        cases += [
            measuring.case_of(size, against[size], _MARK),
            measuring.case_of(f"{size}_float", against[f"{size}_float"], None),
        ]
    return cases
