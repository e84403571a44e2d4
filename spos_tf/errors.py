"""The one exception for a mistake of the user's: wrong input, not a bug."""


class UserError(ValueError):
    """A rule that the user's input breaks.

    The message says the rule, what came, and the way out, in one line. Tools
    print it on stderr and exit with 2; anything else is a bug and keeps its
    traceback.
    """
