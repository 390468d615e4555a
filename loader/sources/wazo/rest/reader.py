"""A consistent state of a platform out of lists that are read one after the other.

Nothing joins wazo-confd's lists: a user may be deleted after the permissions were read and before the users are. So the
lists are read in turn, again and again, until each has said the same twice running. Then there was a time, between the
last of the earlier answers and the first of the later ones, at which all of them were true together. The answers of the
last cycle count as earlier ones, so that of a platform where nothing changed each list is read once.

This is found tenant by tenant: that one of them is being changed all the time holds up no other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from loader.errors import SourceError
from loader.sources.wazo.rest.api import explained
from loader.sources.wazo.rest.client import RefusedError
from loader.sources.wazo.rest.mapping import CUT, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loader.sources.wazo.rest.api import Api

MOST_ROUNDS: Final = 6
"""How often each list is read before a tenant counts as one that never rests."""

_TENANTS: Final = "tenants"

_ByTenant: TypeAlias = dict[str, list[Part]]


@dataclass(frozen=True, slots=True)
class State:
    """What was read of one tenant; all of it was true at the same time.

    Attributes:
        name: of the tenant.
        parts: what belongs to it, by resource.
    """

    name: str
    parts: Mapping[str, list[Part]]


@dataclass(slots=True)
class _Held:
    """The last answer of a list."""

    digest: bytes
    parts: _ByTenant


class Reader:
    """Reads states, and remembers what each list said last.

    Args:
        api: where the lists are.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._held: dict[str, _Held] = {}

    def everything(self) -> dict[str, State | None]:
        """The state of every tenant, by UUID; None for one that did not rest.

        Raises:
            SourceError: something could not be read.
        """
        settled: defaultdict[str, int] = defaultdict(int)
        resources = (_TENANTS, *CUT)
        for count, resource in enumerate(islice(cycle(resources), MOST_ROUNDS * len(resources)), start=1):
            before = self._held.get(resource)
            now = self._whole(resource)
            for tenant in settled.keys() | now.keys() | (before.parts.keys() if before else set()):
                same = before is not None and before.parts.get(tenant, []) == now.get(tenant, [])
                settled[tenant] = settled[tenant] + 1 if same else 0
            if count >= len(resources) and all(times >= len(resources) for times in settled.values()):
                break
        there = {tenant for held in self._held.values() for tenant, parts in held.parts.items() if parts}
        return {tenant: self._state(tenant) if settled[tenant] >= len(resources) else None for tenant in sorted(there)}

    def one(self, tenant: str) -> State | None:
        """The state of one tenant; None where it did not rest.

        Raises:
            RefusedError: it may be there no longer.
            SourceError: something could not be read.
        """
        settled = 0
        for resource in islice(cycle(CUT), MOST_ROUNDS * len(CUT)):
            before = self._held[resource].parts.get(tenant, [])
            now = self._of(resource, tenant)
            settled = settled + 1 if before == now else 0
            if settled >= len(CUT):
                return self._state(tenant)
        return None

    def knows(self, tenant: str) -> bool:
        """Whether the tenant was there when everything was read."""
        return _TENANTS in self._held and tenant in self._held[_TENANTS].parts

    def _whole(self, resource: str) -> _ByTenant:
        """What a list says of each tenant; the very object of the last time where it says the same."""
        held = self._held.get(resource, _Held(b"", {}))
        read = self._api.tenants if resource == _TENANTS else partial(self._api.resource, resource)
        try:
            listing = read(known=held.digest)
        except RefusedError as error:
            raise explained(error) from None
        if listing is None:
            return held.parts
        parts = _tenants(listing.items) if resource == _TENANTS else _cut(resource, listing.items)
        self._held[resource] = _Held(listing.digest, parts)
        return parts

    def _of(self, resource: str, tenant: str) -> list[Part]:
        """What a list says of one tenant. The digest of the whole list is then that of an earlier state."""
        parts = _cut(resource, self._api.resource_of(resource, tenant))
        if parts.keys() - {tenant}:
            raise SourceError(f"wazo-confd's {resource} of tenant {tenant} are another's; check the proxy before it")
        now = parts.get(tenant, [])
        self._held[resource] = _Held(b"", {**self._held[resource].parts, tenant: now})
        return now

    def _state(self, tenant: str) -> State:
        names = self._held[_TENANTS].parts.get(tenant, [])
        return State(
            names[0]["name"] if names else "",
            {resource: self._held[resource].parts.get(tenant, []) for resource in CUT},
        )


def _tenants(items: list[dict[str, Any]]) -> _ByTenant:
    """The tenants, each with its name as its only part."""
    parts = {}
    for item in items:
        name = item.get("name")
        parts[_uuid(item, "uuid", _TENANTS)] = [{"name": name if isinstance(name, str) else ""}]
    if not parts:
        raise SourceError("wazo-auth names no tenant, not even the user's own; check that its answers are whole")
    return parts


def _cut(resource: str, items: list[dict[str, Any]]) -> _ByTenant:
    """What a list holds, cut down, by tenant."""
    cut = CUT[resource]
    parts: _ByTenant = {}
    for item in items:
        parts.setdefault(_uuid(item, "tenant_uuid", resource), []).append(cut(item))
    return parts


def _uuid(item: Mapping[str, Any], key: str, resource: str) -> str:
    uuid = item.get(key)
    if not isinstance(uuid, str) or not uuid:
        raise SourceError(f"Wazo's {resource} hold one without {key}; check that the Wazo release is a supported one")
    return uuid.lower()
