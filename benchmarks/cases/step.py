"""A random-path training step of the supernet / the path as a network alone.

Cases `SIZE`: against the Keras network that `train_subnet` would train, which
has batch norm's gamma, beta and moving averages as well. Cases `SIZE_bare`:
against the supernet's own operations written out for the path, with nothing
else: what the supernet's machinery (Case ops, function calls, gates) costs.
"""

import measuring
import subjects

_PATHS = 5
_PAIRS = {"224px_b16": 5, "32px_b64": 15}
_MARKS = {"224px_b16": 1.05, "32px_b64": 1.10}


def measure() -> list[measuring.Case]:
    """Ratios over a few random paths."""
    from spos_tf.networks.supernet import Supernet

    cases = []
    for size, (pixels, batch_size) in subjects.STEP_SIZES.items():
        blueprint = subjects.blueprint_at(pixels)
        supernet = Supernet(blueprint)
        ours = subjects.SupernetStep(supernet, batch_size)
        batch = subjects.random_batch(pixels, batch_size)
        against: dict[str, list[float]] = {size: [], f"{size}_bare": []}
        for path in subjects.random_paths(blueprint, _PATHS):
            references = (
                subjects.subnet_step(blueprint, path, batch_size),
                subjects.bare_step(supernet, path, batch_size),
            )
            for name, reference in zip(against, references, strict=True):
                times = measuring.alternating(
                    lambda path=path: ours(batch, path),
                    lambda reference=reference: reference(batch),
                    _PAIRS[size],
                )
                against[name] += measuring.ratios(times)
        cases += [
            measuring.case_of(name, values, _MARKS[size])
            for name, values in against.items()
        ]
    return cases
