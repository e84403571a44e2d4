"""Two processes on 127.0.0.1 that train one supernet."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np

from refusals import refuses
from source_tree import REPO
from spos_tf.training.checkpoints import latest_checkpoint
from worker_jobs import clusters

SUPERNET = [
    "--dataset=digits",
    "--holdout_per_class=20",
    "--preset=demo",
    # One choice: what takes long is tracing, in every process anew.
    '--space_arguments={"stem_width": 8, "stage_widths": [12], '
    '"stage_repeats": [1], "stage_strides": [2], "last_width": 16}',
    "--batch_size=32",
    "--steps=8",
    "--learning_rate=0.02",
    "--sampler=uniform",
    "--batch_norm=synchronized",
    "--checkpoint_every=1",
    "--keep_checkpoints=9",
    "--validate_every=0",
    "--average_every=2",
]
# Float32 sums in another order (each half of the batch first), carried
# through eight steps with momentum. A wrong gradient is off by 1e-3 and more.
CLOSE = {"rtol": 1e-3, "atol": 2e-5}


@contextlib.contextmanager
def job(*arguments, tool="train_supernet", workers=2):
    """The processes of a job; killed if they do not end."""
    with contextlib.ExitStack() as stack:
        processes = []
        for config in clusters(workers):
            process = subprocess.Popen(
                [
                    *(sys.executable, f"tools/{tool}.py"),
                    *("--distribution=multi_worker", *arguments),
                ],
                cwd=REPO,
                env={
                    **os.environ,
                    "CUDA_VISIBLE_DEVICES": "-1",
                    "TF_CONFIG": config,
                },
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def ends(processes):
    """Return codes and what was said."""
    said = [process.communicate(timeout=200)[1] for process in processes]
    return [process.returncode for process in processes], said


def arrays(folder):
    """What the last checkpoint holds."""
    found = latest_checkpoint(folder / "checkpoints", warn=print)
    assert found.step == 8
    return found.arrays


def test_a_killed_worker_ends_the_job_and_the_next_start_goes_on(
    run_tool, work_dir
):
    """It ends like one process with the same global batch."""
    flags = [*SUPERNET, f"--work_dir={work_dir}", "--name=two"]
    folder = work_dir / "supernet" / "two"
    first = folder / "checkpoints" / "step-00000001.npz"
    with job(*flags) as processes:
        while not first.exists():
            assert processes[0].poll() is None, ends(processes)[1]
            time.sleep(0.005)
        processes[1].send_signal(signal.SIGKILL)
        codes, said = ends(processes)
    assert codes == [2, -signal.SIGKILL], said
    assert "Another worker of the job is gone" in said[0].splitlines()[-1]
    assert "Traceback" not in said[0]
    with job(*flags) as processes:
        codes, said = ends(processes)
    # Both had the same weights at every checkpoint, or would have said so.
    assert codes == [0, 0], said
    assert all("Resuming after step" in one for one in said)

    done = run_tool(
        "train_supernet", *SUPERNET, f"--work_dir={work_dir}", "--name=one"
    )
    assert not done.returncode, done.stderr
    ours, theirs = arrays(folder), arrays(work_dir / "supernet" / "one")
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if name.startswith("sampler/") or name == "average_updates":
            np.testing.assert_array_equal(ours[name], value)
        elif value.dtype.kind == "f":
            np.testing.assert_allclose(ours[name], value, **CLOSE, err_msg=name)
    assert ours["average_updates"][0] == 4
    # And it did train.
    with np.load(first) as before:
        kernel = "weights/stem.conv.kernel"
        assert np.abs(ours[kernel] - before[kernel]).max() > 1e-3


def test_without_a_cluster_the_variable_is_named(run_tool, tmp_path):
    refuses(
        run_tool(
            "train_supernet",
            *SUPERNET,
            "--distribution=multi_worker",
            f"--work_dir={tmp_path / 'runs'}",
        ),
        "TF_CONFIG",
        '"index": 0',
    )
    assert not (tmp_path / "runs").exists()
