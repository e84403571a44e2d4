"""The pages of the site that are made of the code lack nothing."""

import doctest
import importlib.util

import pytest

import spos_tf
from source_tree import REPO
from spos_tf.cli.flags import described
from spos_tf.cli.program import COMMANDS, find_command


def load_site_pages():
    path = REPO / "docs" / "site_pages.py"
    spec = importlib.util.spec_from_file_location("site_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SITE = load_site_pages()
PAGES = SITE.generated_pages()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_page_with_each_flag_once(name):
    page = PAGES[f"commands/{name}.md"]
    flags = [one.name for one in described(find_command(name).kinds)]
    assert flags
    assert [page.count(f"**`--{flag}`**") for flag in flags] == [1] * len(flags)


def test_every_public_name_is_on_a_page():
    text = PAGES["python.md"] + PAGES["options.md"]
    for name in set(spos_tf.__all__) - {"__version__"}:
        assert f"::: spos_tf.{name}\n" in text or f"## {name}\n" in text, name


def test_an_option_is_described_with_its_default_and_range():
    page = PAGES["commands/search.md"]
    assert (
        "**`--population`** (whole number, at least 1, default: `50`)" in page
    )
    assert "**`--max_macs`** (number)" in page


def test_the_options_of_a_class_are_listed_once():
    page = PAGES["options.md"]
    assert page.count("**`batch_size`**") == 2  # in training and in export
    assert "| `steps` | 150000 | 40000 | 2000 |" in page


def test_every_saved_configuration_is_shown():
    for path in (REPO / "saved_configs").rglob("*.flags"):
        assert f"### {path.stem}\n" in PAGES["saved_configs.md"]


def test_its_examples():
    found = doctest.testmod(SITE)
    assert found.attempted > 2 and not found.failed
