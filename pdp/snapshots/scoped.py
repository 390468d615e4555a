"""The rules that one client may see: those of the client's tenants, as if there were no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.errors import AmbiguousCaller, AmbiguousOutcall, NotAllowed, NotReady, TenantsMissing
from pdp.security.identity import ASKING
from pdp.snapshots.current import CurrentSnapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.security.identity import Client
    from pdp.snapshots.current import LoadedSnapshot


def _of_whole(name: str, hidden: object) -> Any:
    """An attribute that is empty for clients bound to tenants, since the text may name the tenants of others."""

    def read(view: ScopedSnapshots) -> Any:
        return getattr(view.whole, name) if asking().tenants is None else hidden

    def ignore(view: ScopedSnapshots, value: object) -> None:
        """Ignores the value that the base class sets at construction; a view holds none."""

    return property(read, ignore)


def _of_all(name: str) -> Any:
    """An attribute that is the same for every client."""
    return property(lambda view: getattr(view.whole, name), lambda _view, _value: None)


class ScopedSnapshots(CurrentSnapshots):
    """The current snapshots as the services see them where clients authenticate.

    A client bound to tenants gets responses from those tenants alone. Another tenant's rules are not even read, so
    neither a response nor its latency reveals whether a user or an outcall exists there.

    Args:
        whole: the snapshots of all tenants.
        denied: called for each request about a tenant that is not the client's.
    """

    source = _of_whole("source", "")
    source_error = _of_whole("source_error", "")
    contacted_at = _of_all("contacted_at")
    unread_seconds = _of_all("unread_seconds")
    candidates = _of_all("candidates")

    def __init__(self, whole: CurrentSnapshots, denied: Callable[[], None]) -> None:
        super().__init__("")
        self.whole = whole
        self._denied = denied

    @property
    def ready(self) -> bool:
        """Whether there is any snapshot, for any client."""
        return self.whole.ready

    @property
    def incomplete(self) -> str:
        """Why tenants may be missing here; empty for clients bound to tenants: the text may name other tenants."""
        return self.whole.incomplete if asking().tenants is None else ""

    def on_ready(self, callback: Callable[[bool], None]) -> None:
        """Calls back now, and whenever ``ready`` changes."""
        self.whole.on_ready(callback)

    def get(self, tenant: str) -> LoadedSnapshot | None:
        """The snapshot of a tenant.

        Raises:
            NotAllowed: the tenant is not the client's, existing or not.
        """
        tenants = self._tenants()
        if tenants is not None and tenant.lower() not in tenants:
            raise self._not_allowed()
        return self.whole.get(tenant)

    def held(self) -> list[LoadedSnapshot]:
        """The snapshots of the client's tenants."""
        tenants = self._tenants()
        if tenants is None:
            return self.whole.held()
        found = (self.whole.get(tenant) for tenant in tenants)
        return [held for held in found if held is not None]

    @property
    def edition(self) -> Mapping[str, LoadedSnapshot]:
        """The snapshots of all tenants by UUID, for any client; another object after each change."""
        return self.whole.edition

    def frozen(self) -> ScopedSnapshots:
        """The state of this moment, with the same restriction to clients."""
        return ScopedSnapshots(self.whole.frozen(), self._denied)

    def resolve(self, caller: str, outcall: str, tenant: str) -> Snapshot | None:
        """The snapshot that decides a call, among those of the client's tenants.

        For a client with one tenant, that tenant is the default.

        Raises:
            NotReady: there is no snapshot at all.
            NotAllowed: ``tenant`` is not the client's.
            UnknownTenant: ``tenant`` is, and has no rules here.
            AmbiguousCaller: no tenant was named, and more than one has a user with this alias.
            AmbiguousOutcall: no tenant was named, none knows the caller, and more than one has the outcall.
            TenantsMissing: none of the client's tenants here claims the call, and one that is missing may.
        """
        tenants = self._tenants()
        if tenants is None:
            return self.whole.resolve(caller, outcall, tenant)
        if tenant:
            if tenant.lower() not in tenants:
                raise self._not_allowed()
            return self.whole.resolve(caller, outcall, tenant)
        if len(tenants) == 1:
            return self.whole.resolve(caller, outcall, tenants[0])
        if not self.whole.ready:
            raise NotReady
        snapshots = [held.snapshot for held in self.held()]
        if self._may_be_missing(tenants) and not _claimed(snapshots, caller, outcall):
            raise TenantsMissing
        return _among(snapshots, caller, outcall)

    def _may_be_missing(self, tenants: tuple[str, ...]) -> bool:
        """Whether one of these tenants may be missing here."""
        whole = self.whole
        return bool(whole.incomplete) and (not whole.missing or not whole.missing.isdisjoint(tenants))

    def _tenants(self) -> tuple[str, ...] | None:
        """The tenants of the current client; None: every tenant."""
        client = asking()
        return client.tenants

    def _not_allowed(self) -> NotAllowed:
        self._denied()
        return NotAllowed("tenant")


def asking() -> Client:
    """The current client.

    Raises:
        NotAllowed: the client is unknown. No call should get here without a client; one that does is rejected.
    """
    client = ASKING.get()
    if client is None:
        raise NotAllowed("service")
    return client


def _among(snapshots: list[Snapshot], caller: str, outcall: str) -> Snapshot | None:
    for snapshot in snapshots:
        if snapshot.knows_caller(caller):
            return snapshot
    known = [snapshot for snapshot in snapshots if caller and snapshot.has_alias(caller)]
    if len(known) > 1:
        raise AmbiguousCaller(caller)
    if known:
        return known[0]
    having = [snapshot for snapshot in snapshots if outcall and snapshot.knows_outcall(outcall)]
    if len(having) > 1:
        raise AmbiguousOutcall(outcall)
    return having[0] if having else None


def _claimed(snapshots: list[Snapshot], caller: str, outcall: str) -> bool:
    """Whether no further tenant can have a say: the caller is known, or there is none and the outcall is known."""
    if caller:
        return any(snapshot.knows_caller(caller) or snapshot.has_alias(caller) for snapshot in snapshots)
    return not outcall or any(snapshot.knows_outcall(outcall) for snapshot in snapshots)
