"""The rules behind the pages, wherever they come from: tenants, with indexes, and an engine that decides by them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pdp.rules.analysis.lookup import Lookup
from rightcall.console.findings import expectations
from rightcall.programs.remarks import tenant_remarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.rules.analysis.lint.finding import Mistake
    from pdp.rules.model import Group, Outcall, Tenant, User
    from pdp.rules.snapshot.snapshot import Snapshot
    from rightcall.console.findings import Assumed, Proven
    from rightcall.programs.local import Engine
    from rightcall.programs.state import State


class Named(NamedTuple):
    """A tenant in a list.

    Attributes:
        uuid: the tenant's UUID.
        name: the tenant's name; may be empty.
    """

    uuid: str
    name: str


class TenantIndex:
    """The entities of a tenant by id and by words, for the pages.

    Args:
        tenant: the tenant.
        assumed: the options of the server that decides by the rules.
        snapshot: the rules as they were compiled; None: they are not.
    """

    def __init__(self, tenant: Tenant, assumed: Assumed, snapshot: Snapshot | None) -> None:
        self.tenant = tenant
        self.snapshot = snapshot
        self._assumed = assumed
        self.users: dict[str, User] = {user.uuid: user for user in tenant.users}
        self.outcalls: dict[str, Outcall] = {outcall.id: outcall for outcall in tenant.outcalls}
        self.groups: dict[str, Group] = {group.id: group for group in tenant.groups}

    def groups_of(self, user: str) -> Sequence[Group]:
        """The groups with this member."""
        return self._memberships.get(user, ())

    def found(self, words: str) -> list[User]:
        """The users whose names, extension, aliases or UUID contain all these words; sorted by name."""
        wanted = words.casefold().split()
        return [user for text, user in self._sorted if all(word in text for word in wanted)]

    @cached_property
    def lookup(self) -> Lookup:
        """Finds users and outcalls by name."""
        return Lookup((self.tenant,))

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The mistakes of meaning in the rules, worst first."""
        found = tenant_remarks(None, self.tenant, self._assumed.emergency)
        return [remark.mistake for remark in found if not remark.reason]

    @cached_property
    def expectations(self) -> list[Proven]:
        """The expectations, proven or broken."""
        return expectations(self.tenant, self._assumed)

    @cached_property
    def _memberships(self) -> dict[str, list[Group]]:
        found: dict[str, list[Group]] = {}
        for group in self.tenant.groups:
            for user in group.users:
                found.setdefault(user, []).append(group)
        return found

    @cached_property
    def _sorted(self) -> list[tuple[str, User]]:
        """The users with the text to search, by name."""
        named = [(" ".join((user.name, user.extension, *user.aliases, user.uuid)), user) for user in self.tenant.users]
        return sorted(((text.casefold(), user) for text, user in named), key=lambda each: each[0])


class Book(Protocol):
    """One state of the rules, as far as the client of a request may see them.

    Attributes:
        name: the place of the rules; empty: a client bound to tenants does not learn it.
        tenants: the tenants, sorted as they shall be listed.
    """

    name: str

    @property
    def tenants(self) -> Sequence[Named]:
        """The tenants."""

    def index(self, uuid: str) -> TenantIndex | None:
        """The tenant with this UUID; None: there is no such tenant here."""

    def state(self) -> State:
        """The tenants with their revisions, and the faults of the definitions."""


class Rules(Protocol):
    """The rules behind the pages. Every method is safe for use by several threads.

    Attributes:
        engine: decides by the rules as they were when the book was asked for last.
        assumed: the options of the server that decides by the rules.
        path: the files of definitions; None: the rules are not read from files here.
    """

    engine: Engine
    assumed: Assumed

    @property
    def path(self) -> Path | None:
        """The files of definitions."""

    def book(self) -> Book:
        """The rules as they are now."""
