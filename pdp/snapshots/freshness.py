"""Deciding by rules that are new enough, for clients that have just changed rules and want to see the effect."""

from __future__ import annotations

import time
from threading import Semaphore
from typing import TYPE_CHECKING

from pdp.errors import CallError, RulesBehind, UnknownTenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.snapshot.snapshot import Snapshot

_POLL_SECONDS = 0.005


class RevisionWaiter:
    """Finds the snapshot that decides a call, no older than the request demands.

    Args:
        resolve: finds the current one, as ``CurrentSnapshots.resolve`` does.
        seconds: time that a request may wait for newer rules.
        waiters: requests that may wait at the same time; a further one does not wait, so that threads are left for
            the calls without such a demand.
    """

    def __init__(
        self, resolve: Callable[[str, str, str], Snapshot | None], *, seconds: float = 0.0, waiters: int = 0
    ) -> None:
        self._resolve = resolve
        self._seconds = seconds
        self._waiters = Semaphore(waiters if seconds > 0 else 0)

    def deadline(self) -> float:
        """The end of the wait for a request that comes now, by ``time.monotonic``."""
        return time.monotonic() + self._seconds

    def resolve(self, caller: str, outcall: str, tenant: str, at_least: int, deadline: float) -> Snapshot:
        """The snapshot that decides a call.

        Args:
            caller: as of the call.
            outcall: as of the call.
            tenant: as of the call.
            at_least: number of the oldest revision that will do.
            deadline: of the request.

        Raises:
            RulesBehind: the rules here are older, or do not know the call at all.
            CallError: as ``CurrentSnapshots.resolve``.
        """
        found = self._look(caller, outcall, tenant, at_least)
        if isinstance(found, CallError) and self._waiters.acquire(blocking=False):
            try:
                while isinstance(found, CallError) and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                    found = self._look(caller, outcall, tenant, at_least)
            finally:
                self._waiters.release()
        if isinstance(found, CallError):
            raise found
        return found

    def _look(self, caller: str, outcall: str, tenant: str, at_least: int) -> Snapshot | CallError:
        """The snapshot here now, or the error that time may mend."""
        try:
            snapshot = self._resolve(caller, outcall, tenant)
        except UnknownTenant as error:  # it may be on its way
            return error
        if snapshot is None:  # likewise the caller
            return RulesBehind(at_least, None)
        number = snapshot.revision.number
        return snapshot if number >= at_least else RulesBehind(at_least, number)
