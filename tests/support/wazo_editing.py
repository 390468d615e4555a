"""Edits of a platform as people make them in Wazo, and by SQL; each is chosen by a function that is given."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wazo_platform import MASTER, WazoPlatform

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    Plan = Callable[[], object]


class NothingThereError(LookupError):
    """There is nothing of what was to be edited."""


class Edits:
    """Plans edits of a platform.

    Args:
        platform: what is edited.
        choose: chooses one of a sequence that is not empty.
        kept: tenants that stay.
    """

    def __init__(
        self, platform: WazoPlatform, choose: Callable[[Sequence[Any]], Any], kept: Collection[str] = ()
    ) -> None:
        self._platform = platform
        self._choose = choose
        self._kept = {MASTER, *kept}

    def plan(self, *, silent: bool = False) -> Plan:
        """An edit to be made now or later; does nothing if there is nothing to edit.

        Args:
            silent: also what only SQL does, of which no event tells.
        """
        makers = {**self._of_things(), **self._of_members(), **(self._by_sql() if silent else {})}
        try:
            return makers[self._some(makers)]()
        except NothingThereError:
            return lambda: None

    def _some(self, values: Iterable[Any]) -> Any:
        there = sorted(values)
        if not there:
            raise NothingThereError
        return self._choose(there)

    def _of_things(self) -> dict[str, Callable[[], Plan]]:
        platform, some = self._platform, self._some
        users, groups, permissions = platform.users, platform.groups, platform.callpermissions
        removable = platform.tenants.keys() - self._kept
        patterns = ["118", "_00.", "_0[2-5]XN7", "_0900!"]
        return {
            "user": lambda: partial(platform.add_user, some(platform.tenants)),
            "group": lambda: partial(platform.add_group, some(platform.tenants), "g"),
            "outcall": lambda: partial(platform.add_outcall, some(platform.tenants), "o"),
            "permission": lambda: partial(platform.add_permission, some(platform.tenants), "p", [some(patterns)]),
            "password": lambda: partial(platform.edit_user, some(users), call_permission_password=some(["1", "2"])),
            "name": lambda: partial(platform.edit_user, some(users), firstname=some(["Ann", "Bo"])),
            "delete user": lambda: partial(platform.delete_user, some(users)),
            "extensions": lambda: partial(platform.edit_permission, some(permissions), extensions=[some(patterns)]),
            "mode": lambda: partial(platform.edit_permission, some(permissions), mode=some(["allow", "deny"])),
            "delete permission": lambda: partial(platform.delete_permission, some(permissions)),
            "disable": lambda: partial(platform.edit_group, some(groups), enabled=some([True, False])),
            "label": lambda: partial(platform.edit_group, some(groups), label=some(["sales", "staff"])),
            "delete group": lambda: partial(platform.delete_group, some(groups)),
            "tenant": lambda: partial(platform.add_tenant, "new"),
            "delete tenant": lambda: partial(platform.delete_tenant, some(removable)),
            "half delete tenant": lambda: partial(platform.delete_tenant, some(removable), confd=False),
        }

    def _of_members(self) -> dict[str, Callable[[], Plan]]:
        platform, some = self._platform, self._some
        users, groups = platform.users, platform.groups
        return {
            "associate": lambda: self._associated(platform.associate),
            "dissociate": lambda: self._associated(platform.dissociate),
            # also of another tenant, as the real one takes it
            "groups": lambda: partial(platform.set_groups, some(users), [some(groups)]),
            "no groups": lambda: partial(platform.set_groups, some(users), []),
            "members": lambda: partial(platform.set_members, some(groups), [some(users)]),
            "extensions of a group": lambda: partial(platform.set_extensions, some(groups)),
            "line": lambda: partial(platform.end_line, some(users)),
        }

    def _by_sql(self) -> dict[str, Callable[[], Plan]]:
        platform, some = self._platform, self._some
        return {
            "local": lambda: partial(platform.join, some(platform.groups), some(platform.users), local=True),
            "dangling member": lambda: partial(platform.dangle, some(platform.groups)),
        }

    def _associated(self, change: Callable[[int, str, str | int], None]) -> Plan:
        kind = self._some(["users", "groups", "outcalls"])
        return partial(
            change, self._some(self._platform.callpermissions), kind, self._some(getattr(self._platform, kind))
        )
