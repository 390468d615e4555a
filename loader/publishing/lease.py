"""Of any number of loaders one leads: the holder of a lease in Redis that was renewed lately.

The lease is a key with an expiry. A loader that dies stops renewing, and another one takes over after the expiry. A
loader that was merely paused may wake up and still believe to lead: so each taking of the lead has a number of its own,
the epoch, and moving a pointer checks in Redis, in the same step, that this very lease still stands (``publish``).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import structlog

from loader.errors import PublishError
from loader.publishing.redis_errors import translated
from pdp.rules.publication.keys import DEFAULT_PREFIX, Keys
from pdp.rules.publication.scripts import NAMING

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

_log = structlog.get_logger()

LEASE_SECONDS = 6.0
"""Seconds until a lease expires without renewal: the longest take-over after a crash."""
_RENEWALS = 4
"""Renewals within the lease's time."""

_HOLD = (
    NAMING
    + """
local found = call('GET', KEYS[1])
if found and found ~= ARGV[1] then return {0, found} end
if not found then
    found = call('INCR', KEYS[2]) .. ' ' .. ARGV[2]
    call('SET', KEYS[1], found)
end
call('PEXPIRE', KEYS[1], ARGV[3])
return {1, found}
"""
)
_RELEASE = (
    NAMING
    + """
if call('GET', KEYS[1]) == ARGV[1] then return call('DEL', KEYS[1]) end
return 0
"""
)


class Lease:
    """This loader's claim to lead, renewed by a thread of its own.

    Args:
        client: a connected client that returns bytes.
        name: the server's name in messages.
        holder: the name of this loader for the others, such as host and process id.
        prefix: of every key.
        seconds: time until a lease expires without renewal.

    Attributes:
        fit: whether this loader can lead; one that cannot gives the lead up.
    """

    def __init__(
        self,
        client: Redis,
        name: str,
        holder: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self.fit: Callable[[], bool] = lambda: True
        self._name = name
        self._holder = holder
        self._seconds = seconds
        keys = Keys(prefix)
        self._keys = (keys.leader, keys.epoch)
        self._client = client
        self._lock = threading.Lock()
        self._token = b""
        self._leader = b""
        self._problem = ""
        self._told_leader = ""
        """The leader in the last log line about the lead."""
        self._leading = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def token(self) -> bytes:
        """The value of the lease's key while this loader leads; empty otherwise."""
        return self._token

    @property
    def leading(self) -> bool:
        """Whether this loader leads, as far as known here."""
        return self._leading.is_set()

    @property
    def leader(self) -> str:
        """The name of the leading loader, as far as known here."""
        return self._leader.partition(b" ")[2].decode("utf-8", "replace")

    @property
    def rival(self) -> str:
        """The name of the other loader that leads, as far as known here; empty if none is known."""
        return "" if self._token and self._token == self._leader else self.leader

    @property
    def problem(self) -> str:
        """The failure of the last attempt to claim or renew the lease, with the remedy; empty after a success."""
        return self._problem

    def start(self) -> None:
        """Begins to claim the lead."""
        self._thread.start()

    def stop(self) -> None:
        """Gives the lead up, so that another loader can take over at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._give_up()

    def _give_up(self) -> None:
        with self._lock:
            token, self._token = self._token, b""
            self._leading.clear()
        if token:
            try:
                with translated(self._name):
                    self._client.eval(_RELEASE, 1, self._keys[0], token)
            except PublishError as error:
                _log.warning("lease_not_released", problem=str(error), advice="it expires by itself")

    def wait(self, stop: threading.Event) -> bool:
        """Waits until this loader leads; False if ``stop`` was set first."""
        while not stop.is_set():
            if self._leading.wait(timeout=0.1):
                return True
        return False

    def claim(self) -> bool:
        """Takes or renews the lead, now; returns whether this loader leads.

        Raises:
            PublishError: Redis cannot be reached, so the lead may be lost.
        """
        with self._lock, translated(self._name):
            milliseconds = int(self._seconds * 1000)
            answer = self._client.eval(_HOLD, 2, *self._keys, self._token, self._holder, milliseconds)
            held, self._leader = cast("tuple[int, bytes]", answer)
            self._token = self._leader if held else b""
        self._tell(leading=bool(held))
        return bool(held)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.fit():
                    self.claim()
                elif self._token:
                    _log.error("lead_given_up", loader=self._holder, problem="this loader is stuck")
                    self._give_up()
                if self._problem:
                    _log.info("lease_reached_again", loader=self._holder, leader=self.leader)
                self._problem = ""
            except PublishError as error:
                # The token is kept: if Redis comes back before the lease has expired, the lead was never lost.
                if str(error) != self._problem:
                    self._problem = str(error)
                    _log.warning("lease_not_renewed", problem=self._problem)
            self._stop.wait(self._seconds / _RENEWALS)

    def _tell(self, *, leading: bool) -> None:
        if leading and not self._leading.is_set():
            self._leading.set()
            _log.info("leading", loader=self._holder)
        elif not leading and self._leading.is_set():
            self._leading.clear()
            _log.warning("lead_lost", loader=self._holder, leader=self.leader)
        elif not leading and self.leader != self._told_leader:
            _log.info("standing_by", loader=self._holder, leader=self.leader)
        self._told_leader = self.leader
