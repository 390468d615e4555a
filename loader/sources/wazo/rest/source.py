"""The source: what a Wazo stack says of its tenants, read over REST, and watched over the message bus."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

import structlog

from loader.definitions.shapes import canonical_uuid
from loader.definitions.text.tokens import printable
from loader.faults import Fault
from loader.sources.values import PlainDefinitions, RawTenant
from loader.sources.wazo.references import without_strangers
from loader.sources.wazo.rest.api import Api
from loader.sources.wazo.rest.bus import Bus
from loader.sources.wazo.rest.client import Client, RefusedError
from loader.sources.wazo.rest.mapping import tenant_definition
from loader.sources.wazo.rest.pending import Pending, Wanted
from loader.sources.wazo.rest.reader import Reader, State
from loader.sources.wazo.rest.session import Session

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from loader.sources.base import Reading
    from loader.sources.wazo.rest.settings import WazoSettings

_log = structlog.get_logger()

_MOST_SINGLE_TENANTS: Final = 8
"""Tenants with changes up to which each is read by itself. To read all of them at once takes five requests."""

_LOOK_SECONDS: Final = 0.25
_FIRST_RETRY_SECONDS: Final = 1.0
_JITTER: Final = 0.1
"""Of the time between two readings, so that several loaders do not ask at the same moment."""


class WazoSource:
    """A Wazo stack. To be closed, or used as a context, so that its session with wazo-auth ends.

    One thread reads and watches.

    Args:
        settings: where it is, who asks, and how patiently.

    Raises:
        SourceError: the settings cannot work.
    """

    def __init__(self, settings: WazoSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._wanted_tenants = frozenset(_called(tenant) for tenant in settings.tenants)
        self._client = Client(settings)
        self._session = Session(self._client, settings)
        self._reader = Reader(Api(self._client, self._session, settings))
        self._pending = Pending(settings.debounce_seconds, settings.debounce_most_seconds)
        self._bus = Bus(settings, self._pending) if settings.bus_url else None
        self._definitions = PlainDefinitions(self.name)
        self._states: dict[str, State] = {}
        self._raw: dict[str, RawTenant] = {}
        self._unsettled: frozenset[str] = frozenset()
        self._last: Reading | None = None
        self._resync_at = 0.0
        self._failures = 0

    def read(self) -> Reading:
        """Reads what has changed as far as events told, else everything.

        Raises:
            SourceError: something could not be read. Nothing is lost by it: the next reading reads the same again.
        """
        wanted = self._pending.take()
        if not wanted and self._last is not None and not self._unsettled and self._is_told():
            return self._last
        self._failures += 1
        try:
            self._fetch(wanted)
            reading = self._reading()
        except BaseException:
            self._pending.put_back(wanted or Wanted(everything=True))
            raise
        self._failures = 0
        self._last = reading
        return reading

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yields at once, when events told of changes, and at regular intervals. Returns soon after ``stop`` is set."""
        due = time.monotonic()
        with ExitStack() as stack:
            stack.callback(self.close)
            stack.enter_context(self._client.until(stop))
            if self._bus is not None:
                stack.enter_context(self._bus)
            while not stop.is_set():
                rest = max(0.0, due - time.monotonic())
                if not self._pending.wait(min(_LOOK_SECONDS, rest)) and time.monotonic() < due:
                    continue
                if not stop.is_set():
                    yield
                due = time.monotonic() + self._interval()

    def close(self) -> None:
        """Ends the session with wazo-auth. The source can be read again; that begins another one."""
        self._session.end()
        self._client.close()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def _is_told(self) -> bool:
        """Whether a change would have been told of."""
        return self._bus is not None and self._bus.connected and time.monotonic() < self._resync_at

    def _interval(self) -> float:
        """Seconds until the next reading if nobody tells of a change before."""
        most = self._settings.poll_seconds
        if self._failures or self._unsettled:
            most = min(most, _FIRST_RETRY_SECONDS * 2 ** min(max(self._failures - 1, 0), 16))
        return most * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nothing secret

    def _fetch(self, wanted: Wanted) -> None:
        """Reads the tenants wanted one by one where that is less work, and everything where it is not."""
        tenants = sorted(tenant for tenant in wanted.tenants | self._unsettled if self._concerns(tenant))
        single = self._last is not None and time.monotonic() < self._resync_at and not wanted.everything
        single = single and (bool(wanted) or self._is_told())
        if not single or len(tenants) > _MOST_SINGLE_TENANTS or not all(map(self._reader.knows, tenants)):
            self._fetch_everything()
            return
        try:
            for tenant in tenants:
                self._keep({tenant: self._reader.one(tenant)})
        except RefusedError as error:  # the tenant may just have been deleted
            _log.info("wazo_tenant_refused", status=error.status)
            self._fetch_everything()

    def _fetch_everything(self) -> None:
        resync_at = time.monotonic() + self._settings.resync_seconds
        states = self._reader.everything()
        for gone in self._states.keys() - states.keys():
            del self._states[gone]
            self._raw.pop(gone, None)
        self._unsettled = frozenset()
        self._keep(states)
        self._resync_at = resync_at

    def _keep(self, states: dict[str, State | None]) -> None:
        """Takes what settled, and leaves what did not as it was."""
        for tenant, state in states.items():
            if state is None:
                _log.warning("wazo_tenant_never_rests", tenant=tenant, advice="it is read again at once")
                self._unsettled |= {tenant}
                continue
            self._unsettled -= {tenant}
            if self._states.get(tenant) != state:
                self._states[tenant] = state
                self._raw[tenant] = tenant_definition(tenant, state.name, state.parts)

    def _reading(self) -> Reading:
        """What is known now. A tenant that never was at rest is at fault, so that nobody takes it for gone."""
        tenants, faults = [], []
        for _, raw in sorted(self._raw.items()):
            if self._is_wanted(raw["uuid"], str(raw["name"])):
                tenant, strangers = without_strangers(raw, self.name)
                tenants.append(tenant)
                faults += strangers
        never = [tenant for tenant in sorted(self._unsettled) if tenant not in self._states]
        missing = self._missing()
        faults += [self._restless(each) for each in never] + [self._unknown(wanted) for wanted in missing]
        faulty = [*never, *(uuid for wanted in missing if (uuid := canonical_uuid(wanted)))]
        reading = self._definitions.reading(tenants, faults=faults, faulty=faulty)
        if any(canonical_uuid(wanted) is None for wanted in missing):
            return replace(reading, complete=False)  # perhaps it has another name now
        return reading

    def _concerns(self, tenant: str) -> bool:
        """Whether a change of the tenant may change the reading. Of one not known yet nobody can tell."""
        state = self._states.get(tenant)
        return state is None or self._is_wanted(tenant, state.name)

    def _is_wanted(self, tenant: str, name: str) -> bool:
        wanted = self._wanted_tenants
        return not wanted or tenant in wanted or _called(name) in wanted

    def _missing(self) -> list[str]:
        there = self._raw.keys() | {_called(str(raw["name"])) for raw in self._raw.values()} | self._unsettled
        return sorted(self._wanted_tenants - there)

    def _restless(self, tenant: str) -> Fault:
        problem = "it was changed all the time while it was read, so nothing is known of it yet"
        return Fault(self.name, None, tenant, "", "", problem, "wait until it is read again, which is soon")

    def _unknown(self, wanted: str) -> Fault:
        problem = f"the tenant '{printable(wanted)}' was asked for, and is not there"
        remedy = "check its UUID or name, and that the Wazo user's tenant is above it"
        return Fault(self.name, None, printable(wanted), "", "", problem, remedy)


def _called(text: str) -> str:
    """A tenant's UUID or name as it is compared: without regard to case."""
    return text.strip().lower()
