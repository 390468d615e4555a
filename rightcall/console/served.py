"""The rules that a server answers from, as the client of a request may see them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Final

from loader.numbering import numbering_table
from pdp.rules.analysis.rulings import Policy
from pdp.rules.snapshot.contents import tenant_of
from rightcall.console.findings import Assumed
from rightcall.console.rules import Named, TenantIndex
from rightcall.programs.local import Engine
from rightcall.programs.state import State, TenantState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loader.faults import Fault
    from pdp.app import ServerParts
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots, LoadedSnapshot

_INDEXES: Final = 8
"""Tenants whose rules are kept as the pages need them; of further ones, the one not looked at for longest goes."""


class Indexes:
    """The rules of the tenants that were looked at last, read from snapshots once a revision.

    Args:
        assumed: the options of the server.
    """

    def __init__(self, assumed: Assumed) -> None:
        self._assumed = assumed
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Snapshot, TenantIndex]] = OrderedDict()

    def of(self, snapshot: Snapshot) -> TenantIndex:
        """The rules of a snapshot."""
        with self._lock:
            kept = self._kept.get(snapshot.tenant)
            if kept is None or kept[0] is not snapshot:
                kept = snapshot, TenantIndex(tenant_of(snapshot, numbering_table), self._assumed, snapshot)
                self._kept[snapshot.tenant] = kept
            self._kept.move_to_end(snapshot.tenant)
            while len(self._kept) > _INDEXES:
                self._kept.popitem(last=False)
            return kept[1]


class ServedBook:
    """The snapshots of a moment that a client may see.

    Args:
        current: the snapshots, as the client may see them.
        contacted_at: last contact to the source, in seconds of Unix time.
        indexes: the rules of the tenants that were looked at last.
        faults: gives the faults of the definitions; None: they are read elsewhere.
    """

    def __init__(
        self,
        current: CurrentSnapshots,
        contacted_at: float,
        indexes: Indexes,
        faults: Callable[[], Sequence[Fault]] | None,
    ) -> None:
        self.name = current.source
        self._held = current.held()
        self._by_uuid = {held.snapshot.tenant: held.snapshot for held in self._held}
        self._current = current
        self._contacted_at = contacted_at
        self._indexes = indexes
        self._faults = faults

    @cached_property
    def tenants(self) -> list[Named]:
        """The tenants, by name."""
        named = [Named(held.snapshot.tenant, held.snapshot.tenant_name) for held in self._held]
        return sorted(named, key=lambda each: (each.name.casefold(), each.uuid))

    def index(self, uuid: str) -> TenantIndex | None:
        """The tenant with this UUID; None: the client sees no such tenant."""
        snapshot = self._by_uuid.get(uuid)
        return self._indexes.of(snapshot) if snapshot is not None else None

    def state(self) -> State:
        """The client's tenants; what may name others is for clients of all tenants alone."""
        current, whole = self._current, bool(self.name)
        return State(
            self.name,
            [_state(held) for held in self._held],
            self._faults() if whole and self._faults is not None else (),
            contacted_at=self._contacted_at if whole else 0.0,
            problem="; ".join(filter(None, (current.source_error, current.incomplete))),
        )


class ServedRules:
    """The rules of a server, and the server's own services.

    Args:
        parts: the server's.
        faults: as of ``ServedBook``.

    Attributes:
        engine: the services of the server, with its emergency numbers and its policy.
        assumed: the options of the server.
        path: None: the rules are not read from files here.
    """

    path = None

    def __init__(self, parts: ServerParts, faults: Callable[[], Sequence[Fault]] | None) -> None:
        self._current, self._whole = parts.current, parts.whole
        self._faults = faults
        settings = parts.settings
        unknown = settings.policy.deny_unknown_callers, settings.policy.deny_unknown_outcalls
        self.assumed = Assumed(settings.emergency_numbers, Policy(*unknown))
        self._indexes = Indexes(self.assumed)
        self.engine = Engine("this server", parts.decisions, parts.directory)

    def book(self) -> ServedBook:
        """The rules as they are now."""
        return ServedBook(self._current, self._whole.contacted_at, self._indexes, self._faults)


def _state(held: LoadedSnapshot) -> TenantState:
    snapshot, counts = held.snapshot, held.snapshot.counts
    return TenantState(
        snapshot.tenant,
        snapshot.tenant_name,
        counts.users,
        counts.groups,
        counts.outcalls,
        counts.permissions,
        snapshot.emergency.numbers,
        str(snapshot.revision),
        held.loaded_at,
        held.origin,
        f"{snapshot.closed} faults, and no good rules before" if snapshot.closed else "",
    )
