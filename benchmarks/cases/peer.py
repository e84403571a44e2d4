"""Images a second, ours / the official supernet's in PyTorch.

The same paths, sizes and number of threads, in turns of a few calls;
benchmarks/peer_torch.py says what was done to make the other side fast. torch
lives in an environment of its own.
"""

import json
import os
import pathlib
import subprocess
import sys

import tensorflow as tf
from absl import flags

import measuring
import subjects

FLAGS = flags.FLAGS

_SERVER = pathlib.Path(__file__).resolve().parents[1] / "peer_torch.py"
_PLACE = pathlib.Path(__file__).resolve().parents[2] / ".venv-torch/bin/python"
_PATHS = 6
_TURNS = {"step_224px_b16": 2, "step_32px_b64": 4}
_SCORE_TURNS = 3
# That count in a turn.
_CALLS = 4


def measure() -> list[measuring.Case]:
    """Four ratios; higher is better.

    Raises:
        LookupError: No Python with torch was found.
    """
    from spos_tf.networks.supernet import Supernet

    with _Peer(_torch_python()) as peer:
        cases = []
        for size, (pixels, batch_size) in subjects.STEP_SIZES.items():
            blueprint = subjects.blueprint_at(pixels)
            step = subjects.SupernetStep(Supernet(blueprint), batch_size)
            batch = subjects.random_batch(pixels, batch_size)
            name = f"step_{size}"
            values = _against(
                peer,
                {"what": "step", "pixels": pixels, "batch": batch_size},
                lambda path, s=step, b=batch: s(b, path),
                subjects.random_paths(blueprint, _PATHS),
                _TURNS[name],
            )
            cases.append(measuring.case_of(name, values, 1.0, better="higher"))
        for size, (pixels, batch_size) in subjects.SCORE_SIZES.items():
            blueprint = subjects.blueprint_at(pixels)
            values = _against(
                peer,
                {"what": "score", "pixels": pixels, "batch": batch_size},
                _scorer(Supernet(blueprint), pixels, batch_size),
                subjects.random_paths(blueprint, _PATHS),
                _SCORE_TURNS,
            )
            cases.append(
                measuring.case_of(f"score_{size}", values, 1.2, better="higher")
            )
        return cases


def _scorer(supernet, pixels, batch_size):
    images, labels = subjects.random_batch(pixels, batch_size)

    @tf.function(autograph=False)
    def hits(path, statistics):
        logits = supernet(images, path, statistics=statistics)
        right = tf.equal(tf.argmax(logits, -1), labels)
        return tf.reduce_sum(tf.cast(right, tf.int32))

    collect = tf.function(supernet.batch_moments, autograph=False)
    known: dict[bytes, list[tf.Tensor]] = {}

    def score(path):
        encoding = tf.constant(path)
        if path.tobytes() not in known:
            known[path.tobytes()] = collect(images, encoding)
        int(hits(encoding, known[path.tobytes()]))

    return score


def _against(peer, request, ours, paths, turns):
    values = []
    for path in paths:
        theirs = {**request, "path": path.tolist()}
        ours(path)
        peer.seconds(theirs)
        for _ in range(turns):
            # A call that does not count: threads of the other side have gone
            # to sleep by then, and caches are warm.
            ours(path)
            mine = [
                measuring.seconds_of(lambda p=path: ours(p))
                for _ in range(_CALLS)
            ]
            peer.seconds(theirs)
            other = [peer.seconds(theirs) for _ in range(_CALLS)]
            values.append(sum(other) / sum(mine))
    return values


class _Peer:
    """The other side, idle while it is not asked."""

    def __init__(self, python: str) -> None:
        # Both sides have all cores of the machine.
        self._process = subprocess.Popen(
            [python, str(_SERVER), str(os.cpu_count())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_plain_environment(),
        )

    def __enter__(self) -> "_Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def seconds(self, request: dict) -> float:
        """What the request took there."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The PyTorch side has died.")
        return float(json.loads(line)["seconds"])


def _plain_environment() -> dict[str, str]:
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if k not in ours}


def _torch_python() -> str:
    candidates = [FLAGS.torch_python, str(_PLACE), sys.executable]
    for python in candidates:
        if python and pathlib.Path(python).exists():
            has = subprocess.run(
                [python, "-c", "import torch"],
                env=_plain_environment(),
                capture_output=True,
                check=False,
            )
            if has.returncode == 0:
                return python
    raise LookupError(
        "No Python with torch: `make torch-env` makes one, or name one by "
        "--torch_python."
    )
