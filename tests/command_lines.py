"""Reads a command's flags without a process."""

from collections.abc import Sequence

from absl import flags

from spos_tf.cli import flags as our_flags
from spos_tf.cli.program import find_command
from spos_tf.options import Options


def parse(name: str, typed: Sequence[str]) -> dict[type[Options], Options]:
    """The options of a command as it takes them from its command line.

    Raises:
        flags.Error: There is no such flag, or something is no flag.
        UserError: A value is wrong.
    """
    command = find_command(name)
    values = flags.FlagValues()
    # absl defines it in its own values alone.
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    our_flags.define(command.kinds, values)
    lines, rest = our_flags.arguments(typed, values)
    assert values([name, *lines, *rest]) == [name]
    return {kind: our_flags.parsed(kind, values) for kind in command.kinds}
