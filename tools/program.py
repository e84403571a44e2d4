"""How every tool starts and how it ends on a mistake of the user's."""

import os
import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from spos_tf.errors import UserError


def _refuse(message: str) -> None:
    name = os.path.basename(sys.argv[0])
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, OSError) as error:
        _refuse(f"{error} Try --help.")
    if len(rest) > 1:
        _refuse(
            f"Tools take flags only; got {rest[1:]}. Write --flag=value, and "
            "try --help."
        )
    return rest


def run(main: Callable[[], None]) -> None:
    """Parses flags and runs `main`.

    A `UserError`, and what the system refuses (permissions, full disk), is
    one line on stderr and exit code 2. Anything else is a bug and keeps its
    traceback.
    """
    # TensorFlow's C++ logs say nothing about a run; ours do.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    def guarded(argv: Sequence[str]) -> None:
        del argv
        try:
            main()
        except UserError as error:
            _refuse(str(error))
        except OSError as error:
            # No errno: not the system's word, so a bug.
            if error.errno is None:
                raise
            _refuse(str(error))

    app.run(guarded, flags_parser=_parse)
