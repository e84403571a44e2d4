"""Every saved configuration says what it is for, and its flags are valid.

`saved_configs/<tool>/<experiment>.flags` opens with a block of comments:

    # Command: python tools/<tool>.py --flagfile=saved_configs/...
    # Cost: 8 V100 GPUs, 24 hours
    # Result: 74.3 % top-1 (Table 3)
"""

import re

import pytest

from command_lines import parse
from source_tree import REPO
from spos_tf.options import Options

CONFIGS = sorted(
    path.relative_to(REPO).as_posix()
    for path in (REPO / "saved_configs").rglob("*")
    if path.is_file()
)
HEADINGS = ("Command", "Cost", "Result")


def opening(text: str) -> dict[str, str]:
    """The headings of the first block of comments and what stands there."""
    found: dict[str, str] = {}
    heading = None
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comment = line[1:].strip()
        match = re.fullmatch(r"([A-Z]\w*):\s*(.*)", comment)
        if match and match[1] in HEADINGS:
            heading = match[1]
            found[heading] = match[2]
        elif heading:
            found[heading] = f"{found[heading]} {comment}".strip()
    return found


def faults(path: str, text: str) -> list[str]:
    """What the opening of a configuration lacks."""
    found = opening(text)
    missing = [
        f"{path} does not open with '# {heading}: ...'"
        for heading in HEADINGS
        if not found.get(heading)
    ]
    tool = path.split("/")[1]
    command = f"python tools/{tool}.py --flagfile={path}"
    if found.get("Command") and command not in found["Command"]:
        missing.append(f"the command of {path} does not contain '{command}'")
    return missing


def test_there_are_configs():
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS)
def test_place(path):
    assert re.fullmatch(r"saved_configs/\w+/[\w.-]+\.flags", path)
    assert (REPO / "tools" / f"{path.split('/')[1]}.py").is_file()


@pytest.mark.parametrize("path", CONFIGS)
def test_opening(path):
    assert faults(path, (REPO / path).read_text("utf-8")) == []


def options_of(path: str) -> dict[type[Options], Options]:
    """The options of a configuration, as its command would take them."""
    return parse(path.split("/")[1], [f"--flagfile={REPO / path}"])


@pytest.mark.parametrize("path", CONFIGS)
def test_flags(path):
    assert options_of(path)


@pytest.mark.parametrize(
    "path", [path for path in CONFIGS if "/train_" in path]
)
def test_a_training_says_all_that_a_recipe_would(path):
    """So that a result stays when a recipe is improved."""
    unsaid = [
        one.name
        for kind, options in options_of(path).items()
        for one in kind.described()
        if one.about.from_recipe and getattr(options, one.name) is None
    ]
    assert unsaid == []


GOOD = """\
# Anything may come before.
# Command: python tools/search.py --flagfile=saved_configs/search/a.flags \\
#   --work_dir=runs/a
# Cost: a minute
# Result:
#   not measured
--seed=1
"""


def test_opening_is_read():
    assert faults("saved_configs/search/a.flags", GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ("# Cost: a minute\n", "", 1),
        ("#   not measured\n", "", 1),
        ("search/a.flags \\", "search/b.flags \\", 1),
        ("# Command", "--seed=2\n# Command", 3),
    ],
)
def test_a_poor_opening_is_found(old, new, count):
    text = GOOD.replace(old, new)
    assert text != GOOD
    assert len(faults("saved_configs/search/a.flags", text)) == count
