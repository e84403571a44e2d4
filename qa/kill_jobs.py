"""The tools that are killed: tiny runs on scikit-learn's digits."""

import dataclasses
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]

_SPACE = (
    "--preset=demo",
    '--space_arguments={"stem_width": 8, "stage_widths": [16], '
    '"stage_repeats": [3], "stage_strides": [2], "last_width": 64}',
)
_DIGITS = ("--dataset=digits", "--holdout_per_class=20")
_TRAINING = (
    "--batch_size=16",
    "--steps=60",
    "--learning_rate=0.1",
    "--checkpoint_every=5",
    "--log_every=5",
    "--keep_checkpoints=3",
)


@dataclasses.dataclass(frozen=True)
class Job:
    """A tool and what it is told.

    Attributes:
        name: What the sweep calls it.
        tool: File of tools/ without its suffix.
        arguments: Besides where its results go.
        needs: Job that ran before it in the same work_dir; `""`: none.
        folder: Of its results, below the work_dir.
        first_result: Pattern below `folder` of what is kept first.
        late_result: Pattern of what is there when only the last files are
            missing; `""` where nothing comes after it.
        is_training: SIGTERM then saves the running step.
        earlier: Arguments of a run whose results some runs find in their
            folder and replace.
    """

    name: str
    tool: str
    arguments: tuple[str, ...]
    needs: str
    folder: str
    first_result: str
    late_result: str = ""
    is_training: bool = False
    earlier: tuple[str, ...] = ()

    def command(
        self, work_dir: pathlib.Path, *, earlier: bool = False
    ) -> list[str]:
        """Arguments of Python, from the root of the repository."""
        arguments = self.earlier if earlier else self.arguments
        place = f"--work_dir={work_dir}"
        if self.name == "latency":
            place = f"--output={work_dir / self.folder / 'table.yaml'}"
        return [f"tools/{self.tool}.py", *arguments, place]


_ALL = (
    Job(
        name="supernet",
        tool="train_supernet",
        arguments=(
            *_DIGITS,
            *_TRAINING,
            *_SPACE,
            "--validate_every=0",
        ),
        needs="",
        folder="supernet/default",
        first_result="checkpoints/step-*.npz",
        is_training=True,
    ),
    Job(
        name="search",
        tool="search",
        arguments=(
            *_DIGITS,
            "--population=8",
            "--generations=5",
            "--top_k=4",
            "--recalibration_images=400",
            "--max_macs=1e6",
        ),
        needs="supernet",
        folder="search",
        first_result="default/record.jsonl",
        late_result="default/best.json",
    ),
    Job(
        name="subnet",
        tool="train_subnet",
        arguments=("--dataset=digits", *_TRAINING, "--validate_every=30"),
        needs="search",
        folder="subnet/default",
        first_result="checkpoints/step-*.npz",
        late_result="checkpoints/step-00000060.npz",
        is_training=True,
    ),
    Job(
        name="latency",
        tool="build_latency_table",
        arguments=(
            *_SPACE,
            "--repeats=20",
            "--warmup=1",
            "--passes=3",
            "--check_architectures=2",
            "--check_rounds=20",
        ),
        needs="",
        folder="latency",
        first_result="table.yaml.partial.json",
        late_result="table.yaml",
    ),
    Job(
        name="export",
        tool="export",
        arguments=("--dataset=digits", "--formats=saved_model,tflite,onnx"),
        needs="subnet",
        folder="export/default",
        first_result=".unfinished/*",
        late_result=".unfinished/model.onnx",
        earlier=("--dataset=digits", "--formats=saved_model,tflite"),
    ),
)
JOBS = {job.name: job for job in _ALL}
