"""What the pages of docs/ tell people to type is accepted, and code runs."""

import json
import re
import shlex

import pytest

from command_lines import parse
from source_tree import REPO
from spos_tf.cli.program import COMMANDS
from spos_tf.cost.table import cost_table
from spos_tf.spaces import build_blueprint

PAGES = {
    path.name: path.read_text("utf-8")
    for path in [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
}


def blocks(text, language):
    """The fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [code for name, code in found if name == language]


def tool_run(line):
    """A command and its flags, or None for anything else."""
    if not re.match(r"(spos|python tools/)", line) or "..." in line:
        return None
    words = shlex.split(line, comments=True)
    if words[0] == "spos":
        name, *flags = words[1:]
    else:
        name, flags = words[1][len("tools/") : -len(".py")], words[2:]
    # What a shell would put there.
    flags = [word.replace("$DATA", "data") for word in flags]
    return None if any("$" in word for word in flags) else (name, flags)


RUNS = [
    (page, *run)
    for page, text in PAGES.items()
    for block in blocks(text, "")
    for line in block.replace("\\\n", " ").splitlines()
    if (run := tool_run(line.strip()))
]


def test_there_are_commands():
    assert len(RUNS) > 40
    assert len({page for page, *_ in RUNS}) > 10


@pytest.mark.parametrize(
    ("page", "name", "flags"),
    RUNS,
    ids=[f"{page}:{name}:{i}" for i, (page, name, _) in enumerate(RUNS)],
)
def test_a_command_is_accepted(page, name, flags, monkeypatch):
    monkeypatch.chdir(REPO)
    assert name in COMMANDS
    assert parse(name, flags)


SIZES = re.findall(
    r"^\| `--preset=(\w+)(?: --image_size=(\d+))?"
    r"(?: --space_arguments='(.*)')?`.*\| ([\d,]+) \| [\d,]+ \| ([\d,]+) \|$",
    PAGES["constraints.md"],
    re.M,
)


@pytest.mark.parametrize(("preset", "size", "more", "least", "most"), SIZES)
def test_the_ends_of_a_space_are_what_the_page_says(
    preset, size, more, least, most
):
    arguments = json.loads(more or "{}")
    if size:
        arguments["image_size"] = int(size)
    blueprint = build_blueprint("shufflenet_blocks", preset=preset, **arguments)
    cost = cost_table(blueprint, "macs")
    assert (least, most) == (f"{cost.minimum:,}", f"{cost.maximum:,}")


def test_sizes_are_found():
    assert len(SIZES) == 7


def test_the_code_for_int8_runs():
    (code,) = blocks(PAGES["int8.md"], "python")
    names = {}
    exec(code, names)
    assert names["model"].count_params() > 0
