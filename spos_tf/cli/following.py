"""What to run after a command: one line at its end."""

import json
import pathlib
import shlex
import sys
from typing import Any

from spos_tf.cli.program import COMMANDS
from spos_tf.options import RunOptions, StartOptions, SupernetNameOptions

_DEFAULTS = {
    one.name: one.default
    for kind in (RunOptions, SupernetNameOptions, StartOptions)
    for one in kind.described()
}


def command_line(command: str, **flags: Any) -> str:
    """How a command is called, the way the present one was.

    Args:
        command: Its name.
        **flags: Its flags; one whose value is the default, or None, is left
            out.

    >>> command_line("search", work_dir="my runs", name="default")
    "spos search --work_dir='my runs'"
    """
    program, ours = f"spos {command}", pathlib.Path(sys.argv[0])
    if ours.suffix == ".py" and ours.stem in COMMANDS:
        program = f"python {shlex.quote(str(ours.with_stem(command)))}"
    given = [
        f"--{name}={shlex.quote(_typed(value))}"
        for name, value in flags.items()
        if value is not None and value != _DEFAULTS.get(name)
    ]
    return " ".join([program, *given])


def _typed(value: Any) -> str:
    """A value as a flag takes it: those of dictionaries are JSON."""
    return json.dumps(value) if isinstance(value, dict) else str(value)


def in_millions(value: float) -> str:
    """A count as flags take it.

    >>> in_millions(5_470_464), in_millions(188_288)
    ('5.5e6', '0.19e6')
    """
    return f"{float(f'{value / 1e6:.2g}'):g}e6"
