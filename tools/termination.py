"""What a tool does when the system asks it to end: SIGTERM, a preemption."""

import contextlib
import signal
import types
from collections.abc import Callable, Iterator, Mapping

from spos_tf.errors import Preempted

# The shell's code for a program that SIGTERM ended.
EXIT_CODE = 128 + signal.SIGTERM


class _Signal:
    """The signal of this process: whether it came, and what it then does."""

    came = False
    is_noted = False
    has_raised = False

    def handle(self, number: int, frame: types.FrameType | None) -> None:
        del number, frame
        self.came = True
        # Whatever cleans up on the way out is to be left alone.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not self.is_noted:
            self.end()

    def end(self) -> None:
        self.has_raised = True
        raise Preempted


_SIGNAL = _Signal()


def has_raised() -> bool:
    """Whether SIGTERM was raised: whatever else is raised since follows it."""
    return _SIGNAL.has_raised


def end_at_once() -> None:
    """From now on SIGTERM raises `Preempted`, whatever the main thread does.

    To be called again after an import that installs a handler of its own.
    """
    signal.signal(signal.SIGTERM, _SIGNAL.handle)


def end_as_the_system_does() -> None:
    """For a process that is ending, where nothing is left to clean up."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Noted:
    """Calling it says whether SIGTERM came; see `noted`."""

    def __call__(self) -> bool:
        # A loop asks after its first step: before it there is nothing to save.
        _SIGNAL.is_noted = True
        return _SIGNAL.came

    def in_between(
        self, validate: Callable[[], Mapping[str, float]]
    ) -> Callable[[], Mapping[str, float]]:
        """The same function, which SIGTERM ends at once all the same."""

        def interruptible() -> Mapping[str, float]:
            before, _SIGNAL.is_noted = _SIGNAL.is_noted, False
            try:
                if _SIGNAL.came:
                    _SIGNAL.end()
                return validate()
            finally:
                _SIGNAL.is_noted = before

        return interruptible


@contextlib.contextmanager
def noted() -> Iterator[Noted]:
    """Within it, once what it yields was asked, SIGTERM is only noted.

    Yields:
        A function for a loop to ask after each of its steps, whether it is to
        save and end. Until the first time SIGTERM ends the tool at once.

    Raises:
        Preempted: SIGTERM came after the last time.
    """
    try:
        yield Noted()
    finally:
        _SIGNAL.is_noted = False
    if _SIGNAL.came:
        _SIGNAL.end()
