"""A pause of thread pools: calls are admitted and wait, so that none arrives while gRPC's core begins to stop.

When stopping, gRPC's core cancels each call read but not handed over, and each that arrives until the client reads
GOAWAY. A client that waits for responses sends nothing meanwhile. So responses are held back until arrivals have
ceased and GOAWAY is out, and then sent.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor

_QUIET_SECONDS = 0.015
"""Without an arrival for so long, clients wait for responses; more than a round trip within a site."""
_MAX_SECONDS = 0.12
"""Clients that send at a rate of their own never cease; a response may be late by so much."""


class Pause:
    """Occupies every thread of some pools until the end of the pause; calls queue behind.

    Args:
        pools: each with the number of threads.
        arrived: the number of calls that have arrived so far.
    """

    def __init__(self, pools: Sequence[tuple[ThreadPoolExecutor, int]], arrived: Callable[[], int]) -> None:
        self._arrived = arrived
        self._over = threading.Event()
        for pool, threads in pools:
            for _ in range(threads):
                pool.submit(self._over.wait)

    def await_quiet(self) -> None:
        """Returns when no call has arrived for a moment, or clients cannot be waited for any longer."""
        deadline = time.monotonic() + _MAX_SECONDS
        seen = -1
        while seen != (seen := self._arrived()) and time.monotonic() < deadline:
            time.sleep(_QUIET_SECONDS)

    def end(self) -> None:
        """Lets the threads go on."""
        self._over.set()
