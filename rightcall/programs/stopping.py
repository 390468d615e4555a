"""Waiting until the program shall stop."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_ASKED = 0
"""In place of a signal's number: the program itself asks."""


class Stopping:
    """Holds the signals that ask for a graceful stop. A second Ctrl-C ends the program at once; SIGHUP does nothing.

    To be made in the main thread, once, for the life of the process.
    """

    def __init__(self) -> None:
        # A signal just before a thread waits for a lock wakes no thread: the handler waits for Python code that never
        # runs. The byte that the system writes into a pipe is there at any time.
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)
        # Changed files are read without a reload. A process manager's "reload" must not end calls in flight.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def wait(self) -> None:
        """Returns when a signal asks for a stop, or ``ask`` was called."""
        while os.read(self._reader, 1)[0] not in (_ASKED, signal.SIGINT, signal.SIGTERM):
            pass

    def ask(self) -> None:
        """Asks for a stop, from any thread."""
        os.write(self._writer, bytes((_ASKED,)))

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT:  # a second SIGTERM is no impatience: supervisors tend to send two
            signal.signal(number, signal.SIG_DFL)
