"""The exceptions that are no bugs: a mistake of the user's, and the end."""


class UserError(ValueError):
    """A rule that the user's input breaks.

    The message says the rule, what came, and the way out, in one line. Tools
    print it on stderr and exit with 2; anything else is a bug and keeps its
    traceback.
    """


class Preempted(BaseException):
    """The system asked this process to end, and so it does.

    Not an `Exception`: nothing on the way is to take it for a failure that
    one can go on after.

    Attributes:
        step: Steps done of a training, whose checkpoint is written; None of
            what saves as it goes.
    """

    def __init__(self, step: int | None = None) -> None:
        super().__init__(step)
        self.step = step
