"""Tools run until their first result, then killed."""

import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from types import TracebackType

_REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
_LIMIT_S = 180.0
_SPACE = (
    "--preset=imagenet",
    "--num_classes=10",
    "--dataset=digits",
    "--holdout_per_class=2",
)


class TrainedInOneStep:
    """A supernet training at 224 px that was killed after its first step.

    Attributes:
        seconds: Process start to the first checkpoint.
    """

    def __enter__(self) -> "TrainedInOneStep":
        self._folder = tempfile.TemporaryDirectory()
        self.seconds = self._train(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def next_step(self) -> float:
        """Seconds from starting again to the checkpoint of the second step."""
        return self._train(2)

    def first_score(self) -> float:
        """Seconds from starting a search to its first recorded candidate."""
        record = self._work_dir / "search/default/record.jsonl"
        return _until(
            lambda: record.exists() and record.stat().st_size > 0,
            "search.py",
            f"--work_dir={self._work_dir}",
            *_SPACE,
            "--population=50",
            "--recalibration_images=32",
            "--evaluation_batch_size=16",
        )

    @property
    def _work_dir(self) -> pathlib.Path:
        return pathlib.Path(self._folder.name)

    def _train(self, step: int) -> float:
        folder = self._work_dir / "supernet/default/checkpoints"
        return _until(
            lambda: len(list(folder.glob("step-*.npz"))) >= step,
            "train_supernet.py",
            f"--work_dir={self._work_dir}",
            *_SPACE,
            "--steps=1000",
            "--batch_size=16",
            "--checkpoint_every=1",
            "--log_every=1",
            "--validate_every=0",
        )


def import_tensorflow() -> float:
    """Seconds of a process that imports TensorFlow and ends."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "import tensorflow"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def _until(done: Callable[[], bool], tool: str, *arguments: str) -> float:
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, str(_REPOSITORY / "tools" / tool), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=_REPOSITORY,
        )
        try:
            while not done():
                if (
                    process.poll() is not None
                    or time.perf_counter() - start > _LIMIT_S
                ):
                    output.seek(0)
                    text = output.read().decode("utf-8", "replace")
                    raise RuntimeError(f"{tool} failed: {text[-2000:]}")
                time.sleep(0.01)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()
