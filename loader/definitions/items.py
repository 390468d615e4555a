"""What a tenant's lists hold, checked one by one: users, groups, outcalls and permissions.

An item without an error is settled: as long as it is what it was, and what it refers to is there, it means the same,
also at another place of its list. What is at fault is not settled: its fault may name its place, or something that
could be meant instead, and any edit may make that another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from loader.definitions.text.tokens import LONG_LISTS
from pdp.rules.model import CallPermission, Group, Outcall, User

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loader.definitions.findings import Finding

Entity: TypeAlias = User | Group | Outcall | CallPermission


@dataclass(frozen=True, slots=True)
class Item:
    """A member of one of a tenant's lists, settled.

    Attributes:
        raw: what the document says.
        declared: the id that it has.
        entity: what it is.
        warnings: what it probably does not mean to say, with the way from the item on.
    """

    raw: object
    declared: str | int
    entity: Entity
    warnings: tuple[Finding, ...]


@dataclass(slots=True)
class TenantMemory:
    """What the last check of a tenant left for the next.

    Attributes:
        items: by list, and by the identity of the raw value (which an item holds, so that no other value gets it).
        known: the ids that could be referred to, by list.
    """

    items: dict[str, dict[int, Item]] = field(default_factory=lambda: {key: {} for key in LONG_LISTS})
    known: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def settle(self, known: Mapping[str, Mapping[str, str]]) -> None:
        """Forgets the items that refer to something that is known no more."""
        gone = {key: self.known[key].keys() - known[key].keys() for key in self.known}
        if gone.get("users"):
            _keep(self.items["groups"], gone["users"], "users")
        for key, ids in gone.items():
            if ids:
                _keep(self.items["call_permissions"], ids, key)
        self.known = known


def _keep(items: dict[int, Item], gone: set[str], key: str) -> None:
    """Leaves the items that refer to nothing in one of their lists that is gone."""
    touched = [id_ for id_, item in items.items() if not gone.isdisjoint(getattr(item.entity, key))]
    for id_ in touched:
        del items[id_]
