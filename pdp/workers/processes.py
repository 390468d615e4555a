"""Worker processes that nobody has told anything yet.

Python and what a worker imports take half a second. So a program starts its workers first of all, and while they come
up it does the same, and reads the rules. Until its supervisor tells it to serve, a worker listens nowhere.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from pdp.workers.pipe import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

WORKER = (sys.executable, "-m", "pdp.workers.worker")
"""The command of a worker; the number of its socket is added."""


class Recruit(NamedTuple):
    """A worker process.

    Attributes:
        process: the process.
        channel: to it.
        born: when it was started, by ``time.monotonic``.
    """

    process: subprocess.Popen[bytes]
    channel: Channel
    born: float


class Recruits:
    """Starts worker processes, some of them beforehand; as a context manager, it ends those that nobody has taken.

    Args:
        count: how many are started now.
        command: runs one; the number of its socket is added.
    """

    def __init__(self, count: int, command: Sequence[str] = WORKER) -> None:
        self._command = command
        self._waiting = [self._start() for _ in range(count)]

    def take(self) -> Recruit:
        """One that was started beforehand, else a new one; from now on it is the caller's."""
        return self._waiting.pop() if self._waiting else self._start()

    def close(self) -> None:
        """Ends those that nobody has taken."""
        for recruit in self._waiting:
            recruit.channel.close()
            recruit.process.kill()
            recruit.process.wait()
        self._waiting = []

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends those that nobody has taken."""
        self.close()

    def _start(self) -> Recruit:
        channel, theirs = Channel.pair()
        with theirs:
            number = theirs.fileno()
            process = subprocess.Popen([*self._command, str(number)], pass_fds=[number], stdin=subprocess.DEVNULL)  # noqa: S603 - our own program
        return Recruit(process, channel, time.monotonic())
