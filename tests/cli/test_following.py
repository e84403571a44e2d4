"""The line at the end of a command."""

import sys

import pytest

from spos_tf.cli.following import command_line, in_millions
from spos_tf.cli.program import COMMANDS, find_command


def test_a_command_line_can_be_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/spos", "train_supernet"])
    given = {"work_dir": "my runs", "name": "default", "max_macs": "22e6"}
    expected = "search --work_dir='my runs' --max_macs=22e6"
    assert command_line("search", **given) == f"spos {expected}"
    monkeypatch.setattr(sys, "argv", ["tools/train_supernet.py"])
    found = command_line("search", **given)
    assert found == f"python tools/{expected.replace(' ', '.py ', 1)}"
    sizes = {"space_arguments": {"stem_stride": 2}}
    assert command_line("describe", **sizes) == (
        "python tools/describe.py --space_arguments='{\"stem_stride\": 2}'"
    )
    assert command_line("report", name="b", supernet_name="default") == (
        "python tools/report.py --name=b"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5_470_464, "5.5e6"), (188_288, "0.19e6"), (322_918_720, "320e6")],
)
def test_counts_as_flags_take_them(value, expected):
    assert in_millions(value) == expected
    assert float(expected) == pytest.approx(value, rel=0.05)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_comes_next(name):
    """By its type: the text itself is what the tests of the tools see."""
    annotations = find_command(name).main.__annotations__
    assert annotations["return"] in (str, str | None)
