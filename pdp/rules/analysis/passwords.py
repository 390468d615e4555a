"""The passwords for which calls are challenged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.rulings import NOBODY
from pdp.rules.model import Mode, PasswordOverride, Stage

if TYPE_CHECKING:
    from pdp.rules.analysis.rulings import Ids, Rulings

Asked = tuple[tuple[str, int], ...]
"""Passwords, each with the extensions that need the password, sorted."""


class Passwords:
    """The passwords of one tenant.

    Args:
        rulings: the rulings of the tenant's rules.
        override: where a user's own password replaces a permission's.

    Attributes:
        own: the users' own, by UUID.
    """

    def __init__(self, rulings: Rulings, override: PasswordOverride = PasswordOverride.ALL) -> None:
        self._rulings = rulings
        self._override = override
        self._stages: dict[Ids, list[tuple[str, int]]] = {}
        self.own = {
            user.uuid: user.call_permission_password
            for user in rulings.tenant.users
            if user.call_permission_password is not None
        }

    def basis(self) -> tuple[object, ...]:
        """All that the choice of passwords depends on; two versions with an equal basis have the same passwords."""
        rulings = self._rulings
        asking = {
            id_: permission
            for id_, permission in rulings.permissions.items()
            if permission.mode is Mode.DENY and permission.password is not None
        }
        groups = {id_ for permission in asking.values() for id_ in permission.groups}
        return asking, {group.id: group for group in rulings.tenant.groups if group.id in groups}, self.own

    def of_caller(self, caller: str) -> tuple[Asked, int]:
        """The passwords of the stages before the outcall's, and the extensions left to the outcall.

        Args:
            caller: a user's UUID; one that the tenant does not know is a caller that is no user.
        """
        rulings = self._rulings
        found: dict[str, int] = {}
        left = rulings.universe & ~rulings.emergency
        own = self.own.get(caller)
        rights = rulings.rights.get(caller, NOBODY)
        for stage, ids in ((Stage.USER, rights.own), (Stage.GROUP, rights.groups)):
            replaced = own if stage is Stage.USER or self._override is PasswordOverride.ALL else None
            for password, numbers in self._in_stage(ids):
                if numbers & left:
                    found[replaced or password] = found.get(replaced or password, 0) | numbers & left
            left &= ~rulings.stage(ids).decided
        return tuple(sorted(found.items())), left

    def of_outcall(self, outcall: str | None, caller: str, left: int) -> Asked:
        """The passwords of an outcall's permissions for a caller, for the extensions left."""
        ids = self._rulings.outcalls.get(outcall, ()) if outcall is not None else ()
        replaced = self.own.get(caller) if self._override is PasswordOverride.ALL else None
        asked = tuple((password, numbers & left) for password, numbers in self._in_stage(ids) if numbers & left)
        return ((replaced, self._rulings.stage(ids).challenge & left),) if replaced and asked else asked

    def _in_stage(self, ids: Ids) -> list[tuple[str, int]]:
        """The permissions' passwords: where several match, the one of the highest id."""
        found = self._stages.get(ids)
        if found is None:
            found = self._stages[ids] = []
            left = self._rulings.stage(ids).challenge
            for id_ in sorted(ids, reverse=True):
                password = self._rulings.permissions[id_].password
                numbers = self._rulings.set_of(id_) & left
                if password is not None and numbers:
                    found.append((password, numbers))
                    left &= ~numbers
        return found
