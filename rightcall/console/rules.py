"""The rules behind the pages: definitions, read again whenever they change, with an engine that decides by them."""

from __future__ import annotations

import threading
from functools import cached_property, partial
from typing import TYPE_CHECKING

from loader.cycle import Synchronizer
from loader.errors import SourceError
from pdp.rules.analysis.lookup import Lookup
from rightcall.console.findings import expectations
from rightcall.programs.local import Engine, Local
from rightcall.programs.remarks import tenant_remarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loader.sources import Reading
    from pdp.rules.analysis.lint.finding import Mistake
    from pdp.rules.model import Group, Outcall, Tenant, User
    from rightcall.console.findings import Proven


class TenantIndex:
    """The entities of a tenant by id and by words, for the pages.

    Args:
        tenant: the tenant.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
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
    def mistakes(self) -> list[Mistake]:
        """The mistakes of meaning in the rules, worst first."""
        return [remark.mistake for remark in tenant_remarks(None, self.tenant) if not remark.reason]

    @cached_property
    def expectations(self) -> list[Proven]:
        """The expectations, proven or broken."""
        return expectations(self.tenant)

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


class Book:
    """One state of the rules, with indexes for the pages.

    Args:
        reading: the content of the source.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.tenants: Sequence[Tenant] = reading.tenants
        self._indexes: dict[str, TenantIndex] = {}

    @cached_property
    def lookup(self) -> Lookup:
        """Finds users, outcalls and tenants by name."""
        return Lookup(self.tenants)

    def index(self, uuid: str) -> TenantIndex | None:
        """The tenant with this UUID, else the first one; None without tenants."""
        chosen = next((each for each in self.tenants if each.uuid == uuid), None)
        tenant = chosen or (self.tenants[0] if self.tenants else None)
        return self._indexes.setdefault(tenant.uuid, TenantIndex(tenant)) if tenant else None


class Rules:
    """Definitions at a path, and an engine over them.

    Every method is safe for use by several threads.

    Args:
        path: a file or a directory of definitions.

    Attributes:
        engine: decides by the rules as they were when the book was asked for last.
        name: the path.

    Raises:
        Failure: nothing at all could be read.
    """

    def __init__(self, path: str) -> None:
        # What fails an expectation is shown here, with the proof; it does not stay unread.
        self._local = Local(path, synchronizer=partial(Synchronizer, prove=False), isolate_faults=False)
        self._lock = threading.Lock()
        self._local.load()
        self._book = Book(self._local.reading())
        self.engine = Engine(self._local.current)
        self.name = path

    def book(self) -> Book:
        """The rules as they are now; the last ones that could be read, where the path cannot be."""
        with self._lock:
            try:
                reading = self._local.reading()
            except SourceError:
                return self._book
            if reading is not self._book.reading:
                self._local.load()
                self._book = Book(reading)
            return self._book

    def close(self) -> None:
        """Closes the source."""
        self._local.close()
