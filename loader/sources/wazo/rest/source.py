"""The source: the tenants of a Wazo stack, read over REST and watched over the message bus."""

from __future__ import annotations

import random
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

import structlog

from loader.definitions.shapes import canonical_uuid
from loader.definitions.text.tokens import printable
from loader.errors import PublishError
from loader.faults import Fault
from loader.sources.values import PlainDefinitions, RawTenant
from loader.sources.wazo.bus import Bus
from loader.sources.wazo.references import OwnReferences
from loader.sources.wazo.rest.client import Client
from loader.sources.wazo.rest.keeper import Keeper
from loader.sources.wazo.rest.pending import Pending
from loader.sources.wazo.rest.resuming import StandIns, users_in
from loader.sources.wazo.rest.session import Session

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from loader.sources.base import Reading
    from loader.sources.wazo.rest.settings import WazoSettings
    from pdp.rules.snapshot.snapshot import Snapshot

_log = structlog.get_logger()

_LOOK_SECONDS: Final = 0.25
_WORK_SECONDS: Final = 1.0
"""For what events named; what takes longer is taken over by a later reading."""

_CONNECT_SECONDS: Final = 2.0
"""To connect to the bus before everything is read: once, and not once more for what came before the connection."""

_FIRST_RETRY_SECONDS: Final = 1.0
_JITTER: Final = 0.1
"""Share of the time between two readings that varies, so that several loaders do not read at the same moment."""

_SHARE: Final = 10
"""Everything is read for at most one part in so many of the time, however large the platform is."""


class WazoSource:
    """A Wazo stack as a source. To be closed, or used as a context, so that the session with wazo-auth ends.

    One thread reads and watches.

    Args:
        settings: URLs, user and timeouts.

    Raises:
        SourceError: the settings are unusable.
    """

    def __init__(self, settings: WazoSettings) -> None:
        self.name = settings.name
        self.patience = max(settings.silence_seconds, settings.connect_seconds)
        self._settings = settings
        self._wanted_tenants = frozenset(_called(tenant) for tenant in settings.tenants)
        self._client = Client(settings)
        self._session = Session(self._client, settings)
        self._pending = Pending(settings.debounce_seconds, settings.debounce_most_seconds)
        self._bus = Bus(settings.bus_url, settings.ca_file, self._pending) if settings.bus_url else None
        self._keeper = Keeper(settings, self._client, self._session, self._pending, self._concerns)
        self._definitions = PlainDefinitions(self.name)
        self._own = OwnReferences(self.name)
        self._raw: dict[str, RawTenant] = {}
        self._strangers: dict[str, list[Fault]] = {}
        self._stand_ins = StandIns()
        self._last: Reading | None = None
        self._by_tenant = False
        self._is_partial = False
        """Whether the last reading was made before everything was read."""
        self._opened = time.monotonic()
        self._failures = 0
        self._told = 0

    def read(self) -> Reading:
        """Reads the parts that events named while a bus is connected, otherwise everything.

        Raises:
            SourceError: nothing could be read. The next reading continues where this one stopped.
        """
        keeper = self._keeper
        self._failures += 1
        if self._bus is not None:
            self._bus.start(_CONNECT_SECONDS)
        wanted = self._pending.take()
        keeper.accept(wanted)
        if not self._is_listening() or (keeper.swept is None and not self._by_tenant):
            keeper.begin_sweep(settle=True)
            keeper.work_through(unless=lambda: keeper.swept is not None and self._is_listening())
        else:
            if keeper.swept is None:
                keeper.begin_sweep(settle=False, by_tenant=True)
                keeper.work_through(unless=lambda: bool(keeper.known))
            elif wanted.everything is not None or self._resync_due() or keeper.unsettled:
                keeper.begin_sweep(settle=False)
            keeper.work(_WORK_SECONDS)
            if keeper.problem is not None and not keeper.ready:
                self._told = keeper.failed
                raise keeper.problem
        self._failures = 0
        return self._reading()

    def resume(self, published: Callable[[], Iterable[Snapshot]]) -> None:
        """From now on readings come part by part until everything was read once, where a bus tells of edits meanwhile.

        Args:
            published: gives the snapshots published last. Their users are known from there until they are read.
        """
        if self._bus is None or self._keeper.swept is not None:
            return
        self._by_tenant = True
        try:
            for snapshot in published():
                if not snapshot.closed:  # closed tenants have no passwords
                    self._keeper.picture.resume(snapshot.tenant, users_in(snapshot))
        except PublishError as error:
            _log.warning("published_rules_not_resumed", problem=str(error), advice="every user is read first")

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yields after events of changes, and at regular intervals. Ends, like readings, soon after ``stop`` is set."""
        self._client.end_with(stop)
        return self._watched(stop)

    def stale_seconds(self) -> float:
        """For how long at most a change may have been made without being known here.

        While a bus is connected: since the first event that was not read yet, so mostly zero. Else since everything was
        last read, and before the first reading since this was made or closed.
        """
        now, keeper = time.monotonic(), self._keeper
        since = [now, *(at for at in (self._pending.since(), keeper.oldest) if at is not None)]
        if keeper.swept is None:
            since.append(self._opened)
        elif not self._is_listening() or keeper.swept < self._listening_since():
            since.append(keeper.swept)
        return now - min(since)

    def close(self) -> None:
        """Ends listening, and the session with wazo-auth. The source can be read again; that begins both anew."""
        if self._bus is not None:
            self._bus.stop()
        self._opened = time.monotonic()
        self._keeper.dismiss()
        self._last = None
        self._raw.clear()
        self._strangers.clear()
        self._session.end()
        self._client.close()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the source."""
        self.close()

    def _watched(self, stop: threading.Event) -> Iterator[None]:
        swept = self._keeper.swept
        due = time.monotonic() if swept is None else swept + self._keeper.sweep_seconds + self._interval()
        with closing(self):
            while not stop.is_set():
                rest = max(0.0, due - time.monotonic())
                marked = self._pending.wait(min(_LOOK_SECONDS, rest))
                if not marked and time.monotonic() < due and not self._has_news():
                    continue
                if not stop.is_set():
                    yield
                due = time.monotonic() + self._interval()

    def _is_listening(self) -> bool:
        return self._bus is not None and self._bus.connected

    def _listening_since(self) -> float:
        return self._bus.connected_since if self._bus is not None else 0.0

    def _resync_due(self) -> bool:
        """Whether everything is read again: an event may have been lost."""
        keeper = self._keeper
        if keeper.swept is None or keeper.swept < self._listening_since():
            return True
        return time.monotonic() >= keeper.swept + max(self._settings.resync_seconds, 2 * _SHARE * keeper.sweep_seconds)

    def _has_news(self) -> bool:
        """Continues running readings while no reading is requested; returns whether changes are to be taken over."""
        keeper = self._keeper
        if self._last is None or not self._is_listening():
            return False
        keeper.work(0.0)
        finished = self._is_partial and keeper.swept is not None
        return finished or bool(keeper.ready) or keeper.failed != self._told

    def _interval(self) -> float:
        """Seconds until the next reading without events."""
        most = self._settings.poll_seconds
        if self._failures or self._keeper.unsettled:
            most = min(most, _FIRST_RETRY_SECONDS * 2 ** min(max(self._failures - 1, 0), 16))
        elif not self._is_listening():
            most = max(most, (_SHARE - 1) * self._keeper.sweep_seconds)
        return most * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nothing secret

    def _reading(self) -> Reading:
        """The reading from the known items. A tenant not known whole is at fault, so as not to appear removed."""
        keeper = self._keeper
        partial = keeper.swept is None
        same = partial == self._is_partial and not keeper.ready and not keeper.unsettled and not keeper.unreadable
        if self._last is not None and same:
            return self._last
        self._is_partial = partial
        self._refresh()
        names = keeper.picture.tenants
        tenants = [raw for tenant, raw in sorted(self._raw.items()) if self._is_wanted(tenant, names[tenant])]
        faults = [fault for raw in tenants for fault in self._strangers[raw["uuid"]]]
        unread = [each for each in sorted(names.keys() - self._raw.keys()) if self._is_wanted(each, names[each])]
        missing = self._missing()
        faults += [self._restless(tenant) for tenant in unread if tenant in keeper.unsettled]
        faults += [
            self._unreadable(tenant, what)
            for tenant, what in sorted(keeper.unreadable.items())
            if self._is_wanted(tenant, names.get(tenant, ""))
        ]
        faults += [self._unknown(wanted) for wanted in missing]
        faulty = [*(() if partial else unread), *(uuid for wanted in missing if (uuid := canonical_uuid(wanted)))]
        reading = self._definitions.reading(tenants, faults=faults, faulty=faulty)
        reading = self._stand_ins.completed(reading, keeper.picture.stand_ins)
        if partial or any(canonical_uuid(wanted) is None for wanted in missing):  # these are perhaps renamed
            reading = replace(reading, complete=False)
        self._last = reading
        return reading

    def _refresh(self) -> None:
        """Takes over the items of changed tenants in a stable state."""
        keeper = self._keeper
        for gone in self._raw.keys() - keeper.picture.tenants.keys():
            del self._raw[gone], self._strangers[gone]
            self._own.forget(gone)
        for tenant in sorted(keeper.ready & keeper.known):
            raw = keeper.picture.definition(tenant)
            self._raw[tenant], self._strangers[tenant] = self._own.of(raw)
        keeper.ready.clear()

    def _concerns(self, tenant: str) -> bool:
        """Whether a change of the tenant may change the reading; assumed for an unknown tenant."""
        name = self._keeper.picture.tenants.get(tenant)
        return name is None or self._is_wanted(tenant, name)

    def _is_wanted(self, tenant: str, name: str) -> bool:
        wanted = self._wanted_tenants
        return not wanted or tenant in wanted or _called(name) in wanted

    def _missing(self) -> list[str]:
        names = self._keeper.picture.tenants
        return sorted(self._wanted_tenants - names.keys() - {_called(name) for name in names.values()})

    def _restless(self, tenant: str) -> Fault:
        problem = "it was changed all the time while it was read, so nothing is known of it yet"
        return Fault(self.name, None, tenant, "", "", problem, "wait until it is read again, which is soon")

    def _unreadable(self, tenant: str, what: str) -> Fault:
        name = printable(self._keeper.picture.tenants.get(tenant, "") or tenant)
        problem = f"wazo-confd fails at its {what}, so the tenant keeps the rules that it had"
        remedy = (
            "look into wazo-confd's log; a row of rightcallmember whose user, group or outcall is gone is one cause: "
            "delete it"
        )
        return Fault(self.name, None, name, "", "", problem, remedy)

    def _unknown(self, wanted: str) -> Fault:
        problem = f"the tenant '{printable(wanted)}' was asked for, and is not there"
        remedy = "check its UUID or name, and that the Wazo user's tenant is above it"
        return Fault(self.name, None, printable(wanted), "", "", problem, remedy)


def _called(text: str) -> str:
    """A tenant's UUID or name in the form for comparisons: without regard to case."""
    return text.strip().lower()
