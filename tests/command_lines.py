"""Reads a command's flags without a process."""

from collections.abc import Sequence

from spos_tf.cli.program import find_command, given_by
from spos_tf.options import Options


def parse(name: str, typed: Sequence[str]) -> dict[type[Options], Options]:
    """The options of a command as it takes them from its command line."""
    command = find_command(name)
    given = given_by(command, typed)
    return {kind: given(kind) for kind in command.kinds}
