"""The snapshots that the server answers from: one a tenant, each whole and immutable, replaced by one assignment.

Readers take no lock. A reader reads one ``_State`` once; a writer assigns a new one. So a call is decided by one
revision of a tenant, even during a load.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pdp.errors import AmbiguousCaller, AmbiguousOutcall, NotReady, TenantsMissing, UnknownTenant
from pdp.rules.snapshot.layout import UUID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pdp.rules.snapshot.snapshot import Snapshot

    Told: TypeAlias = Callable[[Mapping[str, "LoadedSnapshot"], Iterable[str], str], None]
    """Takes the snapshots by tenant, the tenants of which they differ from the last time, and ``incomplete``."""

_REMEMBERED_CALLERS = 200_000
_REMEMBERED_OUTCALLS = 10_000
_LONGEST_REMEMBERED_OUTCALL = 64
_LOADING = "the rules are not all loaded yet"


@dataclass(frozen=True, slots=True)
class LoadedSnapshot:
    """A snapshot in use.

    Attributes:
        snapshot: the rules.
        loaded_at: when the snapshot became current, in seconds of Unix time.
        origin: source of the snapshot: ``redis``, ``disk`` or ``definitions``.
    """

    snapshot: Snapshot
    loaded_at: float
    origin: str


@dataclass(frozen=True, slots=True)
class _State:
    """All tenants at one moment, with indexes that hold for this state alone."""

    held: Mapping[str, LoadedSnapshot] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    """Callers that no tenant knows."""
    outcalls: dict[str, Snapshot | None] = field(default_factory=dict)
    """The one tenant that has an outcall, or None where no tenant has."""
    aliases: dict[str, Snapshot | None] = field(default_factory=dict)
    """The one tenant that has a user with an alias, or None where no tenant has one."""
    only: Snapshot | None = None
    """The snapshot of the only tenant; None where there are none or more, where it is closed, or some are missing."""
    incomplete: str = ""
    """As ``CurrentSnapshots.incomplete``."""


class CurrentSnapshots:
    """The snapshots that the server answers from.

    Attributes:
        source: the source of the rules, as people read it; without credentials.
        source_error: error of the last attempt to follow the source; empty after success.
        contacted_at: last successful contact to the source, in seconds of Unix time; before the first contact,
            when this object was made.
        unread_seconds: gives the seconds for which a change of the source may be unknown here, where this process reads
            definitions itself; None where it follows a loader.
        candidates: by tenant, the revisions that decide no call, and that decisions are compared with.
        missing: tenants that are listed and not here; tenants that no list names are not among those.
        answered_elsewhere: whether calls are decided by threads that do without the interpreter's lock.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.source_error = ""
        self.contacted_at = time.time()
        self.unread_seconds: Callable[[], float] | None = None
        self.missing: frozenset[str] = frozenset()
        self.candidates: Mapping[str, Snapshot] = {}
        self.answered_elsewhere = False
        self._awaited = False
        self._state = _State()
        self._tenant_of: dict[str, str] = {}
        self._writing = threading.RLock()
        self._on_ready: list[Callable[[bool], None]] = []
        self._on_change: list[Told] = []
        self._on_candidate: list[Callable[[str, Snapshot | None], None]] = []

    def staleness_seconds(self) -> float:
        """For how long at most edits may be unknown here: since the last contact, or unread in the source."""
        unread = self.unread_seconds() if self.unread_seconds is not None else 0.0
        return max(time.time() - self.contacted_at, unread, 0.0)

    @property
    def ready(self) -> bool:
        """Whether there are snapshots, and, since the start, once all that there should be.

        Without any every call would be allowed, so none is answered.
        """
        return bool(self._state.held) and not self._awaited

    @property
    def incomplete(self) -> str:
        """Why tenants may be missing here, as people read it; empty where none is.

        A call that no tenant claims is not decided meanwhile: the call may belong to a missing tenant.
        """
        return self._state.incomplete

    def set_incomplete(self, why: str, missing: Iterable[str] = ()) -> None:
        """Says that tenants may be missing here, or, with an empty text, that none is any more."""
        with self._writing:
            self.missing = frozenset(missing)
            why = why or (_LOADING if self._awaited else "")
            if why != self._state.incomplete:
                self._assign(self._state.held, incomplete=why)

    def await_all(self) -> None:
        """Is not ready, and decides for no unknown caller, before ``have_all`` is called."""
        with self._writing:
            self._awaited = True
            self.set_incomplete(self._state.incomplete)

    def have_all(self) -> None:
        """Says that all tenants are here that there should be. Later ones are missed, and change nothing in that."""
        with self._writing:
            if self._awaited:
                self._awaited = False
                self.set_incomplete("" if self._state.incomplete == _LOADING else self._state.incomplete, self.missing)
                self._tell_ready(was_ready=False)

    def on_ready(self, callback: Callable[[bool], None]) -> None:
        """Calls back now, and whenever ``ready`` changes."""
        with self._writing:
            self._on_ready.append(callback)
            callback(self.ready)

    def on_change(self, callback: Told) -> None:
        """Calls back with all snapshots now, and with those that change before each change takes effect."""
        with self._writing:
            self._on_change.append(callback)
            callback(self._state.held, self._state.held, self._state.incomplete)

    def on_candidate(self, callback: Callable[[str, Snapshot | None], None]) -> None:
        """Calls back with each tenant that has a candidate now, and with those whose candidate changes."""
        with self._writing:
            self._on_candidate.append(callback)
            for tenant, candidate in self.candidates.items():
                callback(tenant, candidate)

    def set_candidate(self, tenant: str, candidate: Snapshot | None) -> None:
        """Compares the decisions on a tenant's calls with those of a candidate; None: with nothing any more."""
        with self._writing:
            rest = {uuid: one for uuid, one in self.candidates.items() if uuid != tenant}
            self.candidates = rest | {tenant: candidate} if candidate is not None else rest
            for told in self._on_candidate:
                told(tenant, candidate)

    def replace(self, snapshot: Snapshot, origin: str = "definitions") -> None:
        """Makes ``snapshot`` current from the next call on.

        Args:
            snapshot: the rules.
            origin: as in ``LoadedSnapshot``.
        """
        with self._writing:
            loaded = LoadedSnapshot(snapshot, time.time(), origin)
            self._assign({**self._state.held, snapshot.tenant: loaded}, (snapshot.tenant,))

    def remove(self, tenant: str) -> None:
        """Makes the tenant unknown from the next call on."""
        with self._writing:
            self._assign({uuid: held for uuid, held in self._state.held.items() if uuid != tenant}, (tenant,))

    def get(self, tenant: str) -> LoadedSnapshot | None:
        """The snapshot of a tenant, by UUID in either case."""
        held = self._state.held
        return held.get(tenant) or held.get(tenant.lower())

    def held(self) -> list[LoadedSnapshot]:
        """Every snapshot, sorted by tenant."""
        return [held for _, held in sorted(self._state.held.items())]

    @property
    def edition(self) -> Mapping[str, LoadedSnapshot]:
        """The snapshots of all tenants by UUID, for any client; another object after each change."""
        return self._state.held

    def frozen(self) -> CurrentSnapshots:
        """The state of this moment, for several lookups in one state."""
        moment = CurrentSnapshots(self.source)
        moment._state, moment._tenant_of, moment.missing = self._state, self._tenant_of, self.missing
        return moment

    def resolve(self, caller: str, outcall: str, tenant: str) -> Snapshot | None:
        """The snapshot that decides a call.

        Args:
            caller: a user's UUID or alias, or nothing.
            outcall: an outgoing call's id, or nothing.
            tenant: a tenant's UUID; empty: the caller's own tenant, else the outcall's.

        Returns:
            None where no tenant was named and none knows the caller or the outcall: no permission can apply.

        Raises:
            NotReady: there is no snapshot at all.
            UnknownTenant: ``tenant`` is not known.
            AmbiguousCaller: no tenant was named, and more than one has a user with this alias.
            AmbiguousOutcall: no tenant was named, none knows the caller, and more than one has the outcall.
            TenantsMissing: no tenant here claims the call, and one that is missing may.
        """
        state = self._state
        if not state.held:
            raise NotReady
        if tenant:
            found = state.held.get(tenant) or state.held.get(tenant.lower())
            if found is None:
                raise TenantsMissing if state.incomplete else UnknownTenant(tenant)
            return found.snapshot
        if len(caller) == UUID_LENGTH:
            only = state.only
            snapshot = self._of_caller(state, caller) if only is None else only if only.knows_caller(caller) else None
            if snapshot is not None:
                return snapshot
        if caller and (snapshot := _of_alias(state, caller)) is not None:
            return snapshot
        return _of_nobody(state, caller, outcall)

    def _of_caller(self, state: _State, caller: str) -> Snapshot | None:
        """The tenant that knows a caller. A tenant remembered is asked again, since users come and go."""
        remembered = state.held.get(self._tenant_of.get(caller, ""))
        if remembered is not None and remembered.snapshot.knows_caller(caller):
            return remembered.snapshot
        if caller in state.strangers:
            return None
        for tenant, held in state.held.items():
            if held.snapshot.knows_caller(caller):
                if len(self._tenant_of) >= _REMEMBERED_CALLERS:
                    self._tenant_of = {}
                self._tenant_of[caller] = tenant
                return held.snapshot
        if len(state.strangers) < _REMEMBERED_CALLERS:
            state.strangers.add(caller)
        return None

    def _assign(
        self, held: Mapping[str, LoadedSnapshot], changed: Iterable[str] = (), *, incomplete: str | None = None
    ) -> None:
        was_ready = self.ready
        why = self._state.incomplete if incomplete is None else incomplete
        for told in self._on_change:
            told(held, changed, why)
        only = next(iter(held.values())).snapshot if len(held) == 1 and not why else None
        self._state = _State(held, only=None if only is not None and only.closed else only, incomplete=why)
        self._tell_ready(was_ready=was_ready)

    def _tell_ready(self, *, was_ready: bool) -> None:
        if self.ready is not was_ready:
            for callback in self._on_ready:
                callback(self.ready)


def _of_alias(state: _State, alias: str) -> Snapshot | None:
    if alias in state.aliases:
        return state.aliases[alias]
    having = [held.snapshot for held in state.held.values() if held.snapshot.has_alias(alias)]
    if len(having) > 1:
        raise AmbiguousCaller(alias)
    snapshot = having[0] if having else None
    if len(state.aliases) < _REMEMBERED_CALLERS:
        state.aliases[alias] = snapshot
    return snapshot


def _of_nobody(state: _State, caller: str, outcall: str) -> Snapshot | None:
    """The tenant of a call whose caller is not known: the outcall's, unless the caller may be a missing tenant's."""
    if caller and state.incomplete:
        raise TenantsMissing
    snapshot = _of_outcall(state, outcall) if outcall else None
    if snapshot is None and outcall and state.incomplete:
        raise TenantsMissing
    return snapshot


def _of_outcall(state: _State, outcall: str) -> Snapshot | None:
    if outcall in state.outcalls:
        return state.outcalls[outcall]
    having = [held.snapshot for held in state.held.values() if held.snapshot.knows_outcall(outcall)]
    if len(having) > 1:
        raise AmbiguousOutcall(outcall)
    snapshot = having[0] if having else None
    if len(outcall) <= _LONGEST_REMEMBERED_OUTCALL and len(state.outcalls) < _REMEMBERED_OUTCALLS:
        state.outcalls[outcall] = snapshot
    return snapshot
