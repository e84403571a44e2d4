"""Says which code will run where the command line does not show it."""

from collections.abc import Iterable, Sequence

from absl import flags, logging


def warn_of_code(own: Iterable[flags.Flag], typed: Sequence[str]) -> None:
    """Warns of Python files that a flagfile names and nobody typed.

    A flagfile is as trusted as a command, and may come from somebody else.

    Args:
        own: Flags of the tool, parsed.
        typed: The command line as it was given.
    """
    for flag in own:
        values = flag.value if isinstance(flag.value, list) else [flag.value]
        for value in values:
            # `file.py`, `file.py:name`, or within a limit.
            is_code = isinstance(value, str) and (
                value.endswith(".py") or ".py:" in value
            )
            if is_code and not any(value in text for text in typed):
                logging.warning(
                    "The code of %r is run: --%s of a flagfile names it.",
                    value,
                    flag.name,
                )
