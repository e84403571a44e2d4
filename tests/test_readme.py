"""What README.md tells a newcomer to type exists and is accepted."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from source_tree import REPO

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


TOOL_RUNS = [words for words in commands() if words[0] == "python"]


def test_there_are_commands():
    assert len(TOOL_RUNS) > 5


def test_make_targets():
    makefile = (REPO / "Makefile").read_text("utf-8")
    targets = {words[1] for words in commands() if words[0] == "make"}
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("words", TOOL_RUNS, ids=" ".join)
def test_a_tool_accepts_the_command(words):
    words = [word.replace("$DATA", "data") for word in words[1:]]
    result = subprocess.run(
        [sys.executable, *words, "--only_check_args"],
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_the_python_lines_run():
    (code,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "(8, 10)" in result.stdout


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = REPO / page
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link
