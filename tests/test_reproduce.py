"""docs/reproduce.md covers the paper, with saved configs that are there."""

import re

import pytest

from source_tree import REPO

TEXT = (REPO / "docs" / "reproduce.md").read_text("utf-8")
BLOCKS = "\n".join(re.findall(r"^```\n(.*?)^```", TEXT, re.M | re.S))
RUNS = sorted(set(re.findall(r"\brun (\w+) ([\w$]+)", BLOCKS)))
HEADINGS = " ".join(re.findall(r"^## (.*)$", TEXT, re.M))


@pytest.mark.parametrize(
    "part",
    [
        *(f"Figure {number}" for number in (1, 2)),
        *(f"Table {number}" for number in range(1, 9)),
    ],
)
def test_every_result_of_the_paper_has_a_section(part):
    assert re.search(rf"{part}\b", HEADINGS)


def test_there_are_commands():
    assert len(RUNS) > 10


@pytest.mark.parametrize(("tool", "config"), RUNS)
def test_its_config_is_there(tool, config):
    # A shell variable stands for several.
    pattern = re.sub(r"\$\w+", "*", config)
    assert list((REPO / "saved_configs" / tool).glob(f"{pattern}.flags"))
