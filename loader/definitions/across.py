"""Checks across the tenants of all documents: no UUID may be defined twice."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from loader.definitions.findings import Finding
from loader.definitions.text.tokens import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loader.definitions.check import Entry
    from loader.definitions.document import Checked

Found: TypeAlias = tuple[str, "Entry", Finding]
"""The file, the tenant that is at fault, and why."""


def check_across(documents: Mapping[str, Checked]) -> list[Found]:
    """Finds tenants that are defined twice, and users of two tenants. Both sides are at fault.

    Args:
        documents: by the names of their files.
    """
    everything = [(file, entry) for file, document in documents.items() for entry in document.entries]
    return [*_tenants_defined_twice(everything), *_users_of_two_tenants(everything)]


def _tenants_defined_twice(everything: list[tuple[str, Entry]]) -> Iterable[Found]:
    places = defaultdict(list)
    for file, entry in everything:
        places[entry.uuid].append((file, entry))
    for uuid, defined in places.items():
        if not uuid or len(defined) == 1:
            continue
        for file, entry in defined:
            others = ", ".join(_place(other, its, file) for other, its in defined if its is not entry)
            problem = f"the tenant {uuid} is defined in {others} too"
            yield file, entry, Finding((*entry.path, "uuid"), problem, "keep one of them")


def _users_of_two_tenants(everything: list[tuple[str, Entry]]) -> Iterable[Found]:
    """Adds a fault for each user UUID of several tenants: the UUID of a caller selects the tenant whose rules apply."""
    if not _share_users(everything):
        return
    owners: dict[str, tuple[str, Entry, int]] = {}
    for file, entry in everything:
        for index, user in enumerate(entry.users):
            first = owners.setdefault(user, (file, entry, index)) if user else None
            if first is None or first[1].uuid == entry.uuid:
                continue
            yield file, entry, _shared_user(user, entry, index, _place(first[0], first[1], file))
            yield first[0], first[1], _shared_user(user, first[1], first[2], _place(file, entry, first[0]))


def _share_users(everything: list[tuple[str, Entry]]) -> bool:
    """Whether any two tenants have a user in common."""
    by_tenant: dict[str, set[str]] = defaultdict(set)
    for _, entry in everything:
        by_tenant[entry.uuid].update(entry.users)
    for users in by_tenant.values():
        users.discard("")
    return len(by_tenant) > 1 and len(set().union(*by_tenant.values())) < sum(map(len, by_tenant.values()))


def _shared_user(user: str, entry: Entry, index: int, other: str) -> Finding:
    problem = f"the user {user} belongs to another tenant too: {other}"
    return Finding((*entry.path, "users", index, "uuid"), problem, "keep the user in one of them")


def _place(file: str, entry: Entry, seen_from: str) -> str:
    """The place of a tenant, as named in a message about the file ``seen_from``."""
    place = f"tenants[{entry.path[-1]}]"
    return place if file == seen_from else f"{printable(file, len(file))}, {place}"
