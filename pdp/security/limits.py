"""How much one client may ask: a token bucket and a number of calls at a time, each."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pdp.errors import TooManyCalls

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CLIENTS = 10_000
"""Clients remembered. Without authentication they are addresses, and there are more of those than fit into memory."""
_BUSY_SECONDS = 0.05
"""When it is worth asking again whoever has too many calls at a time."""


class ClientLimits(Protocol):
    """Counts what each client asks; see ``Limits``."""

    def enter(self, client: str, cost: int = 1) -> None:
        """As ``Limits.enter``."""

    def charge(self, client: str, cost: int) -> None:
        """As ``Limits.charge``."""

    def leave(self, client: str) -> None:
        """As ``Limits.leave``."""

    def wait_for(self, client: str) -> float:
        """As ``Limits.wait_for``."""


class MakeLimits(Protocol):
    """Makes the limits that settings ask for."""

    def __call__(self, *, rate: float, burst: int, concurrency: int) -> ClientLimits:
        """As ``Limits``."""


@dataclass(slots=True)
class _State:
    tokens: float
    filled_at: float
    active: int = 0


class Limits:
    """Counts what each client asks.

    A question costs one token, a batch as many as it has questions. A bucket that holds at least one can be taken from,
    and then owes the rest: so a batch larger than the bucket gets its answer too, and is waited for afterwards.

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
        self._guard = threading.Lock()

    def enter(self, client: str, cost: int = 1) -> None:
        """A client asks; ``leave`` must follow.

        Raises:
            TooManyCalls: that is more than it may; then nothing must follow.
        """
        with self._guard:
            state = self._state(client)
            if self._concurrency and state.active >= self._concurrency:
                raise TooManyCalls("concurrency", _BUSY_SECONDS)
            if (wait := self._take(state, cost)) > 0:
                raise TooManyCalls("rate", wait)
            state.active += 1

    def charge(self, client: str, cost: int) -> None:
        """What a client asked holds so many more questions than were taken for it when it entered."""
        with self._guard:
            self._state(client).tokens -= cost

    def leave(self, client: str) -> None:
        """What it asked is answered."""
        with self._guard:
            state = self._clients.get(client)
            if state is not None:
                state.active -= 1

    def wait_for(self, client: str) -> float:
        """Takes a token for one more question of a stream.

        Returns:
            0, or the seconds after which to try again; nothing is taken then.
        """
        with self._guard:
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
        """Drops whoever would be treated as a stranger anyway; failing that, whoever has nothing under way."""
        now = self._clock()
        idle = {name: state for name, state in self._clients.items() if not state.active}
        full = [
            name for name, state in idle.items() if state.tokens + (now - state.filled_at) * self._rate >= self._burst
        ]
        for name in full or idle:
            del self._clients[name]
