"""Cells that share choices: trained untied, searched tied."""

import pytest

from refusals import TINY_RUN, refuses
from spos_tf.space.record import read_record
from spos_tf.training.checkpoints import latest_checkpoint

SPACE = ("--search_space=nasbench201", *TINY_RUN, "--holdout_per_class=5")


@pytest.fixture
def found(work_dir, tool):
    if not (work_dir / "search").exists():
        tool("train_supernet", *SPACE, "--sampler=uniform", "--untied")
        tool(
            "search",
            "--dataset=digits",
            "--augmentation=shift",
            "--holdout_per_class=5",
            "--recalibration_images=50",
            "--population=4",
            "--generations=2",
            "--top_k=2",
            "--scoring=tree",
            "--constraint=flops_benchmark<=300000",
        )
    return work_dir


def test_a_supernet_of_untied_cells_is_searched_tied(found):
    checkpoint = latest_checkpoint(
        found / "supernet" / "default" / "checkpoints", warn=print
    )
    assert checkpoint.description["untied"] is True
    # 2 cells of 6 edges each in the demo.
    assert checkpoint.arrays["sampler/path_counts"].shape == (12, 5)
    record = read_record(found / "search" / "default" / "record.jsonl")
    assert len(record) == 8
    for candidate in record:
        assert len(candidate.encoding) == 6
        costs = candidate.costs
        assert costs["flops_benchmark"] == costs["macs"] + 10 <= 300_000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--untied"], ["--untied", "uniform_constraint"]),
        (
            ["--untied", "--algorithm=gumbel"],
            ["--untied", "single_path", "gumbel"],
        ),
        (
            ["--untied", "--sampler=uniform", "--max_macs=1e6"],
            ["--untied", "macs"],
        ),
        (
            ["--untied", "--sampler=uniform", "--search_space=fbnet"],
            ["fbnet", "nothing to untie"],
        ),
    ],
)
def test_what_cannot_be_untied_is_refused(run_tool, tmp_path, flags, words):
    work_dir = tmp_path / "run"
    result = run_tool(
        "train_supernet", *SPACE, *flags, f"--work_dir={work_dir}"
    )
    refuses(result, *words)
    assert not work_dir.exists()
