"""docs/custom_space.md, as it stands there: its file and its commands."""

import json
import re
import shlex

import pytest

from refusals import refuses
from source_tree import REPO

TEXT = (REPO / "docs" / "custom_space.md").read_text("utf-8")
LIMIT = 130_000


def blocks(language):
    """The fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.M | re.S)
    return [text for name, text in found if name == language]


def commands():
    """Every command line, continued lines joined."""
    for block in blocks(""):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line)


@pytest.fixture
def ran(work_dir, run_tool):
    """(folder, standard output by tool) once all of the page has been done."""
    outputs = work_dir / "outputs.json"
    if not outputs.exists():
        (code,) = blocks("python")
        (work_dir / "my_space.py").write_text(code, "utf-8")
        said = {}
        for spos, name, *flags in commands():
            assert spos == "spos"
            here = [flag.replace("=runs/", f"={work_dir}/") for flag in flags]
            result = run_tool(name, *here)
            assert result.returncode == 0, result.stderr
            said[name] = result.stdout
        outputs.write_text(json.dumps(said), "utf-8")
    return work_dir, read(outputs)


def read(path):
    return json.loads(path.read_text("utf-8"))


def test_the_space_is_described(ran):
    _, outputs = ran
    for expected in ("stage2.block3", "skip", "encoding  0,1,2,3,0,1", "MACs"):
        assert expected in outputs["describe"]


def test_a_network_is_found_trained_and_exported(ran):
    folder, _ = ran
    space = f"{folder}/my_space.py:residual_digits"
    best = read(folder / "my_space" / "search" / "default" / "best.json")
    assert best["search_space"] == space
    assert best["costs"]["macs"] <= LIMIT
    subnet = folder / "my_space" / "subnet" / "default"
    assert read(subnet / "architecture.json")["search_space"] == space
    metrics = read(subnet / "metrics.json")
    assert f"{LIMIT:,}" in TEXT and metrics["macs"] <= LIMIT
    # Far from chance; the page's figure is one run's.
    assert metrics["test_accuracy"] > 0.9
    manifest = read(folder / "my_space" / "export" / "default/manifest.json")
    assert set(manifest["files"]) == {"saved_model", "tflite", "onnx"}
    for entry in manifest["files"].values():
        assert entry["top1_agreement"] == 1.0


def test_a_file_that_has_moved_is_found_where_the_flag_says(ran, run_tool):
    folder, _ = ran
    moved = folder / "elsewhere" / "my_space.py"
    moved.parent.mkdir()
    moved.write_text((folder / "my_space.py").read_text("utf-8"), "utf-8")
    best = folder / "my_space" / "search" / "default" / "best.json"
    text = best.read_text("utf-8").replace(f"{folder}/", "gone/")
    old = folder / "old.json"
    old.write_text(text, "utf-8")

    def describe(*flags):
        return run_tool("describe", *flags, "--format=json")

    refuses(
        describe(f"--architecture={old}"), "--search_space=gone/my_space.py"
    )
    found = describe(f"--architecture={old}", f"--search_space={moved}")
    assert found.returncode == 0, found.stderr
    name = json.loads(found.stdout)["architecture"]["search_space"]
    assert name == f"{moved}:residual_digits"
