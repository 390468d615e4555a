"""Worker processes started beforehand.

Python and a worker's imports take half a second. So a program starts workers first of all, and meanwhile imports and
reads the rules itself. A worker listens nowhere before the supervisor's command to serve.
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
"""The command of a worker; the socket's file descriptor is added."""


class Recruit(NamedTuple):
    """A worker process.

    Attributes:
        process: the process.
        channel: to the process.
        born: start of the process, by ``time.monotonic``.
    """

    process: subprocess.Popen[bytes]
    channel: Channel
    born: float


class Recruits:
    """Starts worker processes, some beforehand; as a context manager, ends those not taken.

    Args:
        count: number of workers to start now.
        command: command of a worker; the socket's file descriptor is added.
    """

    def __init__(self, count: int, command: Sequence[str] = WORKER) -> None:
        self._command = command
        self._waiting = [self._start() for _ in range(count)]

    def take(self) -> Recruit:
        """A worker started beforehand, else a new one; the caller owns the worker from now on."""
        return self._waiting.pop() if self._waiting else self._start()

    def close(self) -> None:
        """Ends the workers not taken."""
        for recruit in self._waiting:
            recruit.channel.close()
            recruit.process.kill()
            recruit.process.wait()
        self._waiting = []

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the workers not taken."""
        self.close()

    def _start(self) -> Recruit:
        channel, theirs = Channel.pair()
        with theirs:
            number = theirs.fileno()
            process = subprocess.Popen([*self._command, str(number)], pass_fds=[number], stdin=subprocess.DEVNULL)  # noqa: S603 - our own program
        return Recruit(process, channel, time.monotonic())
