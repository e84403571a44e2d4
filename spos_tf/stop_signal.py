"""SIGTERM in a training run: the step ends and is saved."""

import contextlib
import types
from collections.abc import Iterator

from spos_tf.errors import Preempted


class StopSignal:
    """Ends a program at once where nothing is lost, else when it is asked.

    A loop asks after every step (`stop()`); from its first question on the
    signal is only noted, until `release`. A program without a loop never asks
    and ends at once.

    Attributes:
        has_raised: Whether the signal was raised: what is raised after it,
            by libraries that it ran through, is not to be believed.
    """

    def __init__(self) -> None:
        self._came = False
        self._asked = False
        self.has_raised = False

    def handle(
        self, number: int = 0, frame: types.FrameType | None = None
    ) -> None:
        """The handler of the signal.

        Raises:
            Preempted: Nobody asks.
        """
        del number, frame
        self._came = True
        if not self._asked:
            self._raise()

    def __call__(self) -> bool:
        """Whether the signal came; it raises nothing from now on."""
        self._asked = True
        return self._came

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Work that may end in the middle.

        Raises:
            Preempted: The signal came, before or in it.
        """
        self.release()
        try:
            yield
        finally:
            self._asked = True

    def release(self) -> None:
        """Nobody asks any more.

        Raises:
            Preempted: The signal came.
        """
        self._asked = False
        if self._came:
            self._raise()

    def _raise(self) -> None:
        self.has_raised = True
        raise Preempted


# Whether SIGTERM came to this process. The command line installs its handler;
# a library call leaves signal handlers as it found them.
stop = StopSignal()
