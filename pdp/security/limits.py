"""Limits of each client: a token bucket and a number of concurrent calls."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pdp.errors import TooManyCalls

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CLIENTS = 10_000
"""Clients remembered. Without authentication a client is an address, and memory cannot hold every address."""
_BUSY_SECONDS = 0.05
"""Seconds after which a client with too many concurrent calls may retry."""


class ClientLimits(Protocol):
    """Counts the requests of each client; see ``Limits``."""

    def enter(self, client: str, cost: int = 1) -> None:
        """As ``Limits.enter``."""

    def charge(self, client: str, cost: int) -> None:
        """As ``Limits.charge``."""

    def leave(self, client: str) -> None:
        """As ``Limits.leave``."""

    def wait_for(self, client: str) -> float:
        """As ``Limits.wait_for``."""


class MakeLimits(Protocol):
    """Makes the limits in the settings."""

    def __call__(self, *, rate: float, burst: int, concurrency: int) -> ClientLimits:
        """As ``Limits``."""


@dataclass(slots=True)
class _State:
    tokens: float
    filled_at: float
    active: int = 0


class Limits:
    """Limits on the requests of each client.

    A request costs one token, a batch one per request in the batch. A bucket with at least one token admits any cost,
    and then owes the rest: a batch larger than the bucket is answered too, and the client waits afterwards.

    Args:
        rate: tokens a second; 0: no limit.
        burst: tokens that a bucket holds; 0: those of one second, at least one.
        concurrency: calls at a time; 0: no limit.
        clock: seconds, ever growing.
    """

    def __init__(
        self, *, rate: float, burst: int, concurrency: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst) or max(rate, 1.0)
        self._concurrency = concurrency
        self._clock = clock
        self._clients: dict[str, _State] = {}
        self._lock = threading.Lock()

    def enter(self, client: str, cost: int = 1) -> None:
        """Enters a call of a client; ``leave`` must follow.

        Raises:
            TooManyCalls: the client is over a limit; ``leave`` must not follow.
        """
        with self._lock:
            state = self._state(client)
            if self._concurrency and state.active >= self._concurrency:
                raise TooManyCalls("concurrency", _BUSY_SECONDS)
            if (wait := self._take(state, cost)) > 0:
                raise TooManyCalls("rate", wait)
            state.active += 1

    def charge(self, client: str, cost: int) -> None:
        """Charges a client for requests beyond those counted when the call entered."""
        with self._lock:
            self._state(client).tokens -= cost

    def leave(self, client: str) -> None:
        """Ends a call of a client."""
        with self._lock:
            state = self._clients.get(client)
            if state is not None:
                state.active -= 1

    def wait_for(self, client: str) -> float:
        """Takes a token for one more request of a stream.

        Returns:
            0, or the seconds after which to try again; nothing is taken then.
        """
        with self._lock:
            return self._take(self._state(client), 1)

    def _take(self, state: _State, cost: int) -> float:
        if not self._rate:
            return 0.0
        now = self._clock()
        state.tokens = min(self._burst, state.tokens + (now - state.filled_at) * self._rate)
        state.filled_at = now
        if state.tokens < 1:
            return (1 - state.tokens) / self._rate
        state.tokens -= cost
        return 0.0

    def _state(self, client: str) -> _State:
        state = self._clients.get(client)
        if state is None:
            if len(self._clients) >= _MAX_CLIENTS:
                self._forget()
            state = self._clients[client] = _State(self._burst, self._clock())
        return state

    def _forget(self) -> None:
        """Forgets clients whose state equals that of a new one; failing that, clients with no call under way."""
        now = self._clock()
        idle = {name: state for name, state in self._clients.items() if not state.active}
        full = [
            name for name, state in idle.items() if state.tokens + (now - state.filled_at) * self._rate >= self._burst
        ]
        for name in full or idle:
            del self._clients[name]
