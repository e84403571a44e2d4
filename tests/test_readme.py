"""What README.md tells a newcomer to type exists and is accepted."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from command_lines import parse
from source_tree import REPO
from spos_tf.cli.program import COMMANDS

TEXT = (REPO / "README.md").read_text("utf-8")
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *(
        path.relative_to(REPO).as_posix()
        for path in sorted((REPO / "docs").glob("*.md"))
    ),
)


def blocks(language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


def commands():
    """Every command line of the unnamed blocks, continued lines joined."""
    for block in blocks(""):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def tool_run(words):
    """Name of the command and its flags; None for anything else."""
    if words[0] == "spos":
        return words[1], words[2:]
    if words[0] == "python" and words[1].startswith("tools/"):
        return words[1].removeprefix("tools/").removesuffix(".py"), words[2:]
    return None


TOOL_RUNS = [words for words in commands() if tool_run(words)]


def test_there_are_commands():
    assert len(TOOL_RUNS) > 5


def test_make_targets():
    makefile = (REPO / "Makefile").read_text("utf-8")
    targets = {words[1] for words in commands() if words[0] == "make"}
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("words", TOOL_RUNS, ids=" ".join)
def test_a_tool_accepts_the_command(words, monkeypatch):
    monkeypatch.chdir(REPO)
    name, typed = tool_run(words)
    assert name in COMMANDS
    assert parse(name, [word.replace("$DATA", "data") for word in typed])


def test_the_python_lines_run(tmp_path):
    (code,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "PYTHONPATH": str(REPO),
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "model.tflite" in result.stdout


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = REPO / page
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link
