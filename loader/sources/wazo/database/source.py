"""The source: one transaction that sees one state of the database, and a watch over sums of the rows.

With Wazo's message bus an event makes the watch look at once. Edits by SQL send none, so it looks without events, too.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from loader.definitions.findings import permission_label, tenant_label
from loader.definitions.shapes import canonical_uuid
from loader.definitions.text.tokens import printable
from loader.errors import SourceError
from loader.faults import Fault, Severity
from loader.sources.values import PlainDefinitions
from loader.sources.wazo.bus import Bus
from loader.sources.wazo.database.client import FAILURES, connect, explain
from loader.sources.wazo.database.rows import HAS_NAMES, fetch
from loader.sources.wazo.database.url import parse_url
from loader.sources.wazo.database.watching import Lookout, sums
from loader.sources.wazo.references import OwnReferences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.sources.base import Reading
    from loader.sources.wazo.database.rows import Fetched, Leftover

RECHECK_SECONDS: Final = 30.0

_LOOK_SECONDS: Final = 1.0
_LOOK_SHARE: Final = 20
"""Comparisons take at most one part in so many of the time, for any number of rows."""

_NEWS_SECONDS: Final = 0.1
"""How long an event waits for further ones."""
_NEWS_SHARE: Final = 4
"""The pause after a comparison, however many events come, is this many times as long as the comparison."""

_STEP_SECONDS: Final = 30.0
_READ_SECONDS: Final = 300.0
_SHARE: Final = 10
"""Readings take at most one part in so many of the time, for any rate of changes."""


class PostgresqlSource:
    """The database of a Wazo Platform.

    Args:
        url: ``postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE``, with the client's parameters and, for each tenant to
            read, ``tenant``: UUID or name; none: all.
        recheck: seconds after which a watch yields without a noticed change.
        step_seconds: timeout of connecting, and of each step of a reading.
        bus_url: Wazo's message bus, ``amqp://USER:PASSWORD@HOST:5672/`` or ``amqps://…``; empty: none.
        ca_file: certificates of authorities to trust for the bus, PEM; empty: those of the system.

    Raises:
        SourceError: the URL is not a database's, or that of the bus cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        recheck: float = RECHECK_SECONDS,
        step_seconds: float = _STEP_SECONDS,
        bus_url: str = "",
        ca_file: str = "",
    ) -> None:
        self._location = parse_url(url)
        self.name = self._location.name
        self.patience = step_seconds
        self._recheck = recheck
        self._step_seconds = step_seconds
        self._definitions = PlainDefinitions(self.name)
        self._own = OwnReferences(self.name)
        self._news = _News()
        self._bus = Bus(bus_url, ca_file, self._news) if bus_url else None
        self._seen: str | None = None
        self._last: Fetched | None = None
        self._rest_until = 0.0
        self._true_at = time.monotonic()
        """The time of the last reading, or of a later comparison without changes."""

    def read(self) -> Reading:
        """Reads the tenants whose rows changed, in one state; all of them where no change was noticed.

        Raises:
            SourceError: the database cannot be reached or read, or was lost before the end.
        """
        begun = time.monotonic()
        try:
            self._seen, fetched = asyncio.run(self._fetch())
            for gone in self._last.tenants.keys() - fetched.tenants.keys() if self._last else ():
                self._own.forget(gone)
            self._last = fetched
        except FAILURES as error:
            self._seen = self._last = None
            raise SourceError(f"{self.name} cannot be read: {explain(error)}") from error
        finally:
            now = time.monotonic()
            self._rest_until = now + _SHARE * (now - begun)
        self._true_at = begun
        faults = [self._leftover(each) for each in fetched.leftovers] + [
            self._unknown(each) for each in fetched.unknown
        ]
        missing = {each: canonical_uuid(each) for each in fetched.unknown}
        tenants = []
        for raw in fetched.tenants.values():
            tenant, strangers = self._own.of(raw)
            tenants.append(tenant)
            faults += strangers
        return self._definitions.reading(
            tenants,
            faults=faults,
            faulty=[uuid for uuid in missing.values() if uuid],
            complete=all(missing.values()),  # a tenant that was given another name is still there
        )

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yields soon after a change, and every ``recheck`` seconds or a little sooner. Returns soon after ``stop``."""
        due = self._due()
        with ExitStack() as stack:
            if self._bus is not None:
                stack.enter_context(self._bus)
            lookout = stack.enter_context(Lookout(self._location, self._step_seconds))
            while self._goes_on(stop, lookout.seconds, due):
                begun = time.monotonic()
                now = lookout.look(stop)
                if stop.is_set():
                    return
                if now is not None and now == self._seen:
                    self._true_at = begun
                if now is not None and now != self._seen:
                    due = min(due, self._rest_until)
                if time.monotonic() < due:
                    continue
                yield
                due = self._due()

    def stale_seconds(self) -> float:
        """Seconds since the last look that found nothing changed, or since the last reading was begun."""
        return time.monotonic() - self._true_at

    def close(self) -> None:
        """Does nothing: no connection is open between two readings, and a watch disconnects at the end."""

    async def _fetch(self) -> tuple[str, Fetched]:
        """The sums and the content of the rows, at the same time."""
        async with asyncio.timeout(_READ_SECONDS):
            database = await connect(self._location, self._step_seconds)
            try:
                async with database.transaction(isolation="repeatable_read", readonly=True):
                    seen = await sums(database, names=bool(await database.fetchval(HAS_NAMES)))
                    # without a noticed change all is read, in case that one was not noticed
                    last = self._last if seen != self._seen else None
                    return seen, await fetch(database, self._location.tenants, last)
            finally:
                database.terminate()  # at once: a polite end would wait for a server that does not answer

    def _goes_on(self, stop: threading.Event, took: float, due: float) -> bool:
        """Waits until it is time for a comparison or a reading; False if ``stop`` was set."""
        seconds = min(_jittered(max(_LOOK_SECONDS, _LOOK_SHARE * took)), max(0.0, due - time.monotonic()))
        if self._bus is None:
            return not stop.wait(seconds)
        return self._news.wait(stop, max(_NEWS_SECONDS, _NEWS_SHARE * took), seconds)

    def _due(self) -> float:
        return time.monotonic() + _jittered(self._recheck)

    def _leftover(self, leftover: Leftover) -> Fault:
        return Fault(
            file=self.name,
            line=None,
            tenant=tenant_label(leftover.tenant),
            permission=permission_label({"id": leftover.permission, "name": leftover.name}),
            path="",
            problem=f"it is associated with the {leftover.what}, which is not there any more",
            remedy="nothing, it has no effect; or delete the row of rightcallmember",
            severity=Severity.WARNING,
        )

    def _unknown(self, wanted: str) -> Fault:
        problem = f"the source's URL asks for the tenant '{printable(wanted)}', which is not there"
        remedy = "check its UUID or name; names are known only where the user may read auth_tenant"
        return Fault(self.name, None, printable(wanted), "", "", problem, remedy)


class _News:
    """Listens to the bus: whether anything was heard since the last wait."""

    def __init__(self) -> None:
        self._heard = threading.Event()

    def connected(self) -> None:
        """Something may have changed."""
        self._heard.set()

    def heard(self, name: str, tenant: str, body: bytes) -> None:
        """Something may have changed."""
        del name, tenant, body
        self._heard.set()

    def wait(self, stop: threading.Event, least: float, most: float) -> bool:
        """Waits for news, at least and at most for these seconds; False if ``stop`` was set."""
        end = time.monotonic() + most
        goes_on = not stop.wait(least)
        while goes_on and not self._heard.is_set() and (rest := end - time.monotonic()) > 0:
            goes_on = not stop.wait(min(rest, _NEWS_SECONDS))
        self._heard.clear()
        return goes_on


def _jittered(seconds: float) -> float:
    """A little less, and another time each time: many loaders that were started together spread out."""
    return seconds * random.uniform(0.8, 1.0)  # noqa: S311 - nothing secret
