"""SIGTERM and Ctrl-C in a training run: the step ends and is saved."""

import contextlib
import os
import signal
import threading
import types
from collections.abc import Iterator

from spos_tf.errors import Preempted

_ENDS = "\nThis step is finished and saved. Ctrl-C once more ends at once.\n"


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

    @contextlib.contextmanager
    def interrupts(self) -> Iterator[None]:
        """Ctrl-C, too, is only noted where something would be lost.

        A second one ends at once. Where Ctrl-C is not Python's
        `KeyboardInterrupt`, and outside the main thread, nothing changes.

        Raises:
            KeyboardInterrupt: Ctrl-C ended the work; it says what is saved.
        """
        usual = signal.default_int_handler
        if (
            threading.current_thread() is not threading.main_thread()
            or signal.getsignal(signal.SIGINT) is not usual
        ):
            yield
            return
        came = False

        def note(number: int, frame: types.FrameType | None) -> None:
            nonlocal came
            came = True
            signal.signal(signal.SIGINT, usual)
            self.handle(number, frame)
            # No print: what is being printed may be interrupted.
            os.write(2, _ENDS.encode())

        signal.signal(signal.SIGINT, note)
        try:
            yield
        except BaseException as error:
            if not came or not (
                self.has_raised or isinstance(error, Preempted)
            ):
                raise
            saved = error.saved if isinstance(error, Preempted) else ""
            after = f" after {saved}, which is saved" if saved else ""
            raise KeyboardInterrupt(f"Stopped{after}.") from None
        finally:
            signal.signal(signal.SIGINT, usual)
            if came:
                # The next training of this process begins afresh.
                self._came = self._asked = self.has_raised = False

    def _raise(self) -> None:
        self.has_raised = True
        raise Preempted


# Whether SIGTERM came to this process. The command line installs its handler;
# a library call leaves signal handlers as it found them.
stop = StopSignal()
