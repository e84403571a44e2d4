"""Mistakes in what the tools of a final network are told."""

import json

import pytest

from refusals import TINY_RUN, refuses, tree

SUBNET_MISTAKES = {
    "nothing searched": ([], ["best.json"]),
    "encoding": (["--encoding=0,1"], ["5 integers"]),
    "index": (["--encoding=0,1,2,3,4"], ["stage2.block3.op", "4"]),
    "both": (["--encoding=0,0,0,0,0", "--architecture=a"], ["not both"]),
    "supernet": (
        ["--encoding=0,0,0,0,0", "--inherit_from=/no/such"],
        ["/no/such", "Run train_supernet first"],
    ),
    "too small": (["--encoding=0,0,0,0,0", "--fit_macs=1"], ["1"]),
}


@pytest.mark.parametrize(
    ("arguments", "expected"), SUBNET_MISTAKES.values(), ids=SUBNET_MISTAKES
)
def test_train_subnet_refuses(run_tool, tmp_path, arguments, expected):
    result = run_tool(
        "train_subnet", *TINY_RUN, f"--work_dir={tmp_path / 'runs'}", *arguments
    )
    refuses(result, *expected)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"search_space": "no"}, "'no'"),
        ({"space_arguments": {"preset": "cifar"}}, "'cifar'"),
        ({"choices": {}}, "missing"),
        ({"schema": 7}, "schema 7"),
    ],
    ids=["space", "arguments", "choices", "schema"],
)
def test_a_foreign_architecture(run_tool, tmp_path, changes, expected):
    path = tmp_path / "architecture.json"
    data = {
        "schema": 1,
        "search_space": "shufflenet_blocks",
        "space_arguments": {"preset": "demo"},
        "choices": {},
    }
    path.write_text(json.dumps({**data, **changes}))
    before = tree(tmp_path)
    result = run_tool(
        "train_subnet",
        *TINY_RUN,
        f"--work_dir={tmp_path / 'runs'}",
        f"--architecture={path}",
    )
    refuses(result, expected)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("tool", ["evaluate", "export"])
def test_no_trained_network(run_tool, tmp_path, tool):
    result = run_tool(
        tool, "--dataset=digits", f"--work_dir={tmp_path / 'runs'}"
    )
    refuses(result, "Run train_subnet first", "--subnet_name")
    assert tree(tmp_path) == {}
