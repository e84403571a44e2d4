"""--fix and --fix_from, in training and in a search of what was trained."""

import json

import pytest

from refusals import TINY_RUN, refuses
from spos_tf.space.record import read_record
from spos_tf.spaces import build_blueprint
from spos_tf.training.checkpoints import latest_checkpoint

JOINT = (
    *TINY_RUN,
    "--search_space=shufflenet_joint",
    "--holdout_per_class=5",
)
SEARCH = (
    "--dataset=digits",
    "--augmentation=shift",
    "--holdout_per_class=5",
    "--recalibration_images=50",
    "--population=6",
    "--generations=2",
    "--top_k=2",
)
OPS = "2,1,0,3,1"


@pytest.fixture(scope="module")
def block_result(tmp_path_factory):
    """The architecture file of a block search."""
    blocks = build_blueprint("shufflenet_blocks", preset="demo")
    path = tmp_path_factory.mktemp("blocks") / "best.json"
    encoding = [int(one) for one in OPS.split(",")]
    path.write_text(blocks.architecture(encoding).to_json(), "utf-8")
    return path


@pytest.fixture
def supernet(work_dir, tool, block_result):
    """A joint supernet trained with every op settled."""
    folder = work_dir / "supernet" / "default"
    if not folder.exists():
        tool("train_supernet", *JOINT, f"--fix_from={block_result}")
    return folder


def ops_and_widths(folder):
    encodings = [one.encoding for one in read_record(folder / "record.jsonl")]
    return (
        {one[::2] for one in encodings},
        [one[1::2] for one in encodings],
    )


@pytest.mark.parametrize("strategy", ["evolution", "nsga2"])
def test_a_search_settles_what_training_settled(
    work_dir, tool, supernet, strategy
):
    pins = latest_checkpoint(supernet / "checkpoints", warn=print).description[
        "pins"
    ]
    assert len(pins) == 5 and pins["stage1.block1.op"] == "7x7"
    tool(
        "search",
        *SEARCH,
        f"--strategy={strategy}",
        f"--name={strategy}",
        "--fix=stage2.block3.width=0.40",
    )
    folder = work_dir / "search" / strategy
    ops, widths = ops_and_widths(folder)
    assert ops == {(2, 1, 0, 3, 1)}
    assert {one[4] for one in widths} == {1}
    assert len(set(widths)) == 12
    best = json.loads((folder / "best.json").read_text("utf-8"))
    # The named form is that of the whole space.
    assert len(best["choices"]) == 10
    if strategy == "nsga2":
        front = json.loads((folder / "front.json").read_text("utf-8"))
        assert front["objectives"] == ["accuracy", "macs"]
        macs = [one["costs"]["macs"] for one in front["candidates"]]
        assert macs == sorted(macs)
        assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")


def test_the_flags_of_a_search_repeat_it(work_dir, tool, supernet):
    """Also where the supernet is not of the default space."""
    tool("search", *SEARCH, "--name=first")
    folder = work_dir / "search" / "first"
    tool("search", f"--flagfile={folder / 'search.flags'}", "--name=second")
    first, second = (
        (work_dir / "search" / name / "best.json").read_bytes()
        for name in ("first", "second")
    )
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--fix=stage1.block1.op=3x3"],
            ["'stage1.block1.op'", "supernet's training says '7x7'", "'3x3'"],
        ),
        (
            ["--fix=stage1.block1.width=1", "--fix=stage1.block1.width=0.4"],
            ["'stage1.block1.width'", "1.0", "0.4"],
        ),
        (["--fix=stage1.block1.width=0.5"], ["no option 0.5", "0.2, 0.4"]),
        (["--fix=stage1.block1"], ["CHOICE=OPTION", "'stage1.block1'"]),
        (["--fix=stage9.block1.op=3x3"], ["'stage9.block1.op'"]),
        (["--fix_from=no.json"], ["'no.json'", "run search first"]),
    ],
)
def test_a_search_refuses(run_tool, work_dir, supernet, arguments, expected):
    result = run_tool(
        "search", *SEARCH, "--name=no", f"--work_dir={work_dir}", *arguments
    )
    refuses(result, *expected)
    assert not (work_dir / "search" / "no").exists()


def architecture(path, space, choices, **arguments):
    data = {
        "schema": 1,
        "search_space": space,
        "space_arguments": arguments,
        "choices": choices,
    }
    path.write_text(json.dumps(data), "utf-8")
    return f"--fix_from={path}"


@pytest.mark.parametrize(
    ("choices", "arguments", "expected"),
    [
        ({"edge01": "none"}, {"preset": "demo"}, ["'edge01'", "does not have"]),
        (
            {"stage1.block1.op": "k3e3"},
            {"preset": "demo"},
            ["no option 'k3e3'", "3x3"],
        ),
        ({"stage1.block1.op": "3x3"}, {}, ["{}", "'preset': 'demo'"]),
    ],
)
def test_an_architecture_of_other_choices_is_refused(
    run_tool, tmp_path, choices, arguments, expected
):
    flag = architecture(tmp_path / "a.json", "other", choices, **arguments)
    result = run_tool(
        "train_supernet", *JOINT, flag, f"--work_dir={tmp_path / 'runs'}"
    )
    refuses(result, *expected)
    assert not (tmp_path / "runs").exists()


def test_training_refuses_pins_that_contradict(
    run_tool, tmp_path, block_result
):
    result = run_tool(
        "train_supernet",
        *JOINT,
        f"--fix_from={block_result}",
        "--fix=stage1.block1.op=3x3",
        f"--work_dir={tmp_path / 'runs'}",
    )
    refuses(result, "--fix=stage1.block1.op=3x3 says '3x3'", "'7x7'")
    assert not (tmp_path / "runs").exists()


def test_a_resumed_training_settles_the_same(
    run_tool, work_dir, supernet, block_result, tmp_path
):
    """The file may have moved; what it says may not have changed."""
    moved = tmp_path / "moved.json"
    moved.write_bytes(block_result.read_bytes())
    flags = (*JOINT, f"--work_dir={work_dir}")
    result = run_tool("train_supernet", *flags, f"--fix_from={moved}")
    assert result.returncode == 0, result.stderr
    result = run_tool("train_supernet", *flags)
    assert result.returncode == 2
    assert "pins" in result.stderr.splitlines()[-1]
    text = moved.read_text("utf-8")
    moved.write_text(text.replace("xception", "3x3"), "utf-8")
    result = run_tool("train_supernet", *flags, f"--fix_from={moved}")
    assert result.returncode == 2
    assert "pins" in result.stderr.splitlines()[-1]
