"""Waiting until the program shall stop."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class Stopping:
    """Holds the signals that ask for a graceful stop. A second Ctrl-C ends the program at once.

    Make it in the main thread.
    """

    def __init__(self) -> None:
        # Of all that can wake a thread up, this alone is safe to use from within a signal handler.
        self._asked: SimpleQueue[None] = SimpleQueue()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def wait(self) -> None:
        """Returns when a signal asks for a stop, or ``ask`` was called."""
        self._asked.get()

    def ask(self) -> None:
        """Asks for a stop, from any thread."""
        self._asked.put(None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT:  # a second SIGTERM is nobody's impatience: supervisors tend to send it twice
            signal.signal(number, signal.SIG_DFL)
        self.ask()
