"""What every test starts from: a quiet TensorFlow on two logical CPU devices.

Nothing here imports TensorFlow. A test that needs it gets it set up by the
import itself; a test that does not stays quick.
"""

import gc
import os
import pathlib
import signal
import tempfile
from collections.abc import Iterator

# Read when TensorFlow, Keras and matplotlib load; subprocesses inherit them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "agg")
# Nothing of a test goes among the user's own decoded images.
os.environ["XDG_CACHE_HOME"] = os.path.join(
    tempfile.gettempdir(), f"spos_tf_tests-{os.getuid()}"
)

import hypothesis
import pytest
import wrapt

from tiers import tier_of

# Tracing a network makes millions of objects and hardly a cycle: looking for
# cycles as often as Python does took a twelfth of the time (tools do alike).
gc.set_threshold(200_000, 20, 20)

# The same examples on every machine, and no verdict that hangs on its speed.
hypothesis.settings.register_profile(
    "spos_tf", deadline=None, derandomize=True, database=None
)
hypothesis.settings.load_profile("spos_tf")


# Files that take longest: first, so that no core waits for one at the end.
LONGEST = (
    "test_multi_worker.py",
    "test_custom_space.py",
    "test_ray_search.py",
    "test_killed_runs.py",
    "test_chain.py",
    "test_jit_compile.py",
    "test_networks.py",
    "test_quantize.py",
    "test_algorithms.py",
    "test_bits.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test with its tier; long files first, the rest in order."""
    tests = pathlib.Path(__file__).resolve().parent
    for item in items:
        if item.path.is_relative_to(tests):
            tier = tier_of(item.path.relative_to(tests).as_posix())
            item.add_marker(tier)
        else:
            # Examples in docstrings.
            item.add_marker("fast")
    items.sort(
        key=lambda item: (
            LONGEST.index(item.path.name)
            if item.path.name in LONGEST
            else len(LONGEST)
        )
    )


@wrapt.when_imported("tensorflow")
def split_cpu(tensorflow):
    """Gives the process two logical CPU devices, for MirroredStrategy.

    Devices are fixed once TensorFlow has run its first operation, so this
    has to follow its import at once.
    """
    device = tensorflow.config.LogicalDeviceConfiguration
    tensorflow.config.set_logical_device_configuration(
        tensorflow.config.list_physical_devices("CPU")[0], [device(), device()]
    )


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Python's own; a shell that runs tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def repo_dir() -> pathlib.Path:
    """The root of the repository."""
    return pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir(repo_dir: pathlib.Path) -> pathlib.Path:
    """The folder `shared/` beside the repository; skips where there is none."""
    path = repo_dir.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the folder {path}, which is not part of the repo")
    return path
