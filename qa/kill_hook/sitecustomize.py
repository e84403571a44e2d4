"""Ends a program at the n-th change that it makes in a folder.

Python imports a module of this name first, where PYTHONPATH has its folder.
A process that watches from outside comes too late for a file that is written
in a tenth of a millisecond; an audit hook is called before it is opened, before
it is renamed and before it is removed, whatever the load of the machine.

Environment: SPOS_TF_HOOK_FOLDER is the folder, SPOS_TF_HOOK_LOG a file that
gets a line a change; SPOS_TF_HOOK_AT the number of the change, from 1 (0:
none), SPOS_TF_HOOK_SIGNAL what is then sent, SPOS_TF_HOOK_DELAY_S how much
later.
"""

import os
import sys
import threading
import time

_FOLDER = os.environ.get("SPOS_TF_HOOK_FOLDER", "")
# What changes a folder, and which of the event's arguments is the path.
_CHANGES = {
    "os.rename": 1,
    "os.remove": 0,
    "os.mkdir": 0,
    "os.rmdir": 0,
    "os.truncate": 0,
}


def _changed(event: str, arguments: tuple) -> str | None:
    """The path that is about to change, None if none is."""
    index = _CHANGES.get(event)
    if event == "open":
        mode, flags = arguments[1:]
        writes = flags & (os.O_WRONLY | os.O_RDWR) if not mode else mode != "r"
        # Modes are those of open(): "rb" and the like read.
        index = 0 if writes and not str(mode or "").startswith("r") else None
    if index is None:
        return None
    path = arguments[index]
    if isinstance(path, int):
        return None
    text = os.path.abspath(os.fsdecode(path))
    return text if text.startswith(_FOLDER + os.sep) else None


class _Hook:
    def __init__(self) -> None:
        self._count = 0
        self._at = int(os.environ["SPOS_TF_HOOK_AT"])
        self._signal = int(os.environ["SPOS_TF_HOOK_SIGNAL"])
        self._delay_s = float(os.environ["SPOS_TF_HOOK_DELAY_S"])
        self._log = os.open(
            os.environ["SPOS_TF_HOOK_LOG"],
            os.O_WRONLY | os.O_APPEND | os.O_CREAT,
            0o644,
        )

    def __call__(self, event: str, arguments: tuple) -> None:
        if event != "open" and event not in _CHANGES:
            return
        path = _changed(event, arguments)
        if path is None:
            return
        self._count += 1
        os.write(self._log, f"{event} {path}\n".encode())
        if self._count != self._at:
            return
        if self._delay_s:
            threading.Thread(target=self._later, daemon=True).start()
        else:
            os.kill(os.getpid(), self._signal)

    def _later(self) -> None:
        time.sleep(self._delay_s)
        os.kill(os.getpid(), self._signal)


if _FOLDER:
    sys.addaudithook(_Hook())
