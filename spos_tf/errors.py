"""What ends a program that is no bug: wrong input, and being told to stop."""


class UserError(ValueError):
    """A rule that the user's input breaks.

    The message says the rule, what came, and the way out, in one line. Tools
    print it on stderr and exit with 2; anything else is a bug and keeps its
    traceback.
    """


class Preempted(BaseException):
    """The machine is wanted back: SIGTERM came.

    Like `KeyboardInterrupt` it is nothing that `except Exception` is for.

    Args:
        saved: What the run can go on from, in words; empty: whatever it has
            written so far.
    """

    def __init__(self, saved: str = "") -> None:
        super().__init__(saved)
        self.saved = saved
