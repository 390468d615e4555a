"""Users of published rules, known from there until each is read.

Reading a user costs wazo-confd milliseconds, and everything else little. So where rules stand published, a new loader
need not read every user before it can publish an edit: it begins with the users of these rules. Their passwords are
hashes there, which compile to the same bytes as the passwords.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loader.definitions.check import NUMBERED
from pdp.rules.snapshot.contents import users_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loader.sources.base import FaultyTenant, Reading
    from loader.sources.wazo.rest.picture import Thing
    from pdp.rules.model import Tenant, User
    from pdp.rules.snapshot.snapshot import Snapshot


def users_in(snapshot: Snapshot) -> Iterator[tuple[Thing, str | None]]:
    """The users of a snapshot as the picture holds them, each with what stands for the user's password."""
    for user, groups in users_of(snapshot):
        thing: Thing = {"uuid": user.uuid, "name": user.name, "call_permission_password": None, "groups": groups}
        for alias in user.aliases:
            if alias.startswith(NUMBERED):
                thing["id"] = int(alias.removeprefix(NUMBERED))
        yield thing, user.call_permission_password


class StandIns:
    """Gives users that were not read yet what stands for their passwords. Unchanged users stay the same objects."""

    def __init__(self) -> None:
        self._users: dict[str, tuple[User, User]] = {}
        """By UUID, a user without and with it."""

    def completed(self, reading: Reading, stand_ins: Mapping[str, str]) -> Reading:
        """The reading with the passwords of users that were not read.

        Args:
            reading: a reading in which these users have no password.
            stand_ins: what stands for the passwords, by UUID.
        """
        if not stand_ins:
            self._users.clear()
            return reading

        def shut(faulty: FaultyTenant) -> FaultyTenant:
            isolated = faulty.isolated
            return replace(faulty, isolated=isolated and self._completed(isolated, stand_ins))

        tenants = tuple(self._completed(tenant, stand_ins) for tenant in reading.tenants)
        return replace(reading, tenants=tenants, shut=tuple(map(shut, reading.shut)))

    def _completed(self, tenant: Tenant, stand_ins: Mapping[str, str]) -> Tenant:
        if not any(user.uuid in stand_ins for user in tenant.users):
            return tenant
        users = (self._user(user, stand_ins[user.uuid]) if user.uuid in stand_ins else user for user in tenant.users)
        return replace(tenant, users=tuple(users))

    def _user(self, user: User, stand_in: str) -> User:
        before = self._users.get(user.uuid)
        if before is None or before[0] is not user:
            before = self._users[user.uuid] = user, replace(user, call_permission_password=stand_in)
        return before[1]
