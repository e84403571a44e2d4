"""Ray on this machine or on a cluster, and what of it workers take."""

import contextlib
import dataclasses
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from spos_tf.errors import UserError, missing_extra

_KNOCK_SECONDS = 5.0
# Beside what is sent to the workers, encodings and scores are exchanged.
_EXCHANGED_BYTES = 100 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How many workers, of what size, where.

    Attributes:
        workers: Worker processes; 0: as many as there is room for.
        threads: CPU cores that Ray reserves for a worker.
        gpus: GPUs that Ray reserves for a worker; None: one where there are
            some.
        address: Of a Ray cluster; None starts one on this machine, which ends
            with the pool.
        python_path: Folders that the workers find the factory in.
        environment: Environment variables of the workers.
        sent_bytes: About what the arguments of the factory take.
    """

    workers: int = 0
    threads: int = 1
    gpus: float | None = None
    address: str | None = None
    python_path: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sent_bytes: int = 0


@contextlib.contextmanager
def connected(options: PoolOptions) -> Iterator[Any]:
    """Starts Ray on this machine, or joins the cluster of the options.

    Yields:
        The module `ray`. All that was started ends with the block.

    Raises:
        UserError: Ray is not installed, or the cluster cannot be reached.
    """
    # Unasked, Ray reports its use and puts a function of its own in the place
    # of Python's print.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise missing_extra("`workers=ray`", "ray") from None
    with _own_signals():
        _connect(ray, options)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Leaves SIGTERM to the program: Ray takes it over when it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, ours)


def _connect(ray: Any, options: PoolOptions) -> None:
    quiet = {"logging_level": "CRITICAL", "log_to_driver": False}
    if options.address is None:
        cores = max(os.cpu_count() or 1, options.workers * options.threads)
        ray.init(
            address="local",
            num_cpus=cores,
            include_dashboard=False,
            object_store_memory=_EXCHANGED_BYTES + options.sent_bytes,
            **quiet,
        )
        return
    try:
        _knock(options.address)
        ray.init(address=options.address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"There is no Ray cluster to use at {options.address!r}: "
            f"{' '.join(str(error).split())} Leave `ray_address` out to use "
            "this machine alone."
        ) from None


def _knock(address: str) -> None:
    """An OSError where nobody answers: Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()


def room(
    resources: Mapping[str, float], options: PoolOptions
) -> tuple[float, int]:
    """What of Ray's resources the workers take.

    Args:
        resources: All that Ray has; `CPU` and `GPU`.
        options: What a worker is to have.

    Returns:
        GPUs a worker, and how many workers.

    Raises:
        UserError: Not one worker fits.
    """
    have_cpus, have_gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    gpus = options.gpus
    if gpus is None:
        gpus = 1.0 if have_gpus >= 1 else 0.0
    room = int(have_cpus // options.threads)
    if gpus:
        room = min(room, int(have_gpus // gpus))
    if not room:
        raise UserError(
            f"A worker takes {options.threads} CPUs and {gpus:g} GPUs; Ray has "
            f"{have_cpus:g} and {have_gpus:g}. Lower `threads` or "
            "`worker_gpus`."
        )
    return gpus, options.workers or room
