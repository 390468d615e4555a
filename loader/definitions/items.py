"""The items of a tenant's lists, checked one by one: users, groups, outcalls and permissions.

An item without an error is settled: while item and references are unchanged, so is the meaning, also at another index
of the list. A faulty item is not settled: the fault may name the index, or another item that may be meant, and any edit
may change those.
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
    """A settled member of one of a tenant's lists.

    Attributes:
        raw: the value in the document.
        declared: the item's id.
        entity: the item as an object of the model.
        warnings: warnings about probable mistakes, with paths from the item on.
    """

    raw: object
    declared: str | int
    entity: Entity
    warnings: tuple[Finding, ...]


@dataclass(slots=True)
class TenantMemory:
    """The state that the last check of a tenant leaves for the next.

    Attributes:
        items: the items by list, and by the identity of the raw value (held by the item, so that the identity is not
            reused).
        known: the ids that references may name, by list.
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
