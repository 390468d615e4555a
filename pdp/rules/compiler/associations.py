"""The associations of users, groups and outcalls with permissions, kept up to date as permissions and groups change.

Each change names the entities whose set of permissions changed, so that no work is done for others. Ids without an
entity are kept too: an entity that comes later under such an id has the permissions of that id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.model import CallPermission, Group

T = TypeVar("T")


class Associations:
    """The slots of permissions by user, group and outcall, and the groups by user.

    Attributes:
        users, groups, outcalls: slots by id, in the order of insertion.
        memberships: ids of groups by a user's UUID.
        active: the slots whose permissions are enabled and have patterns.
        touched_users, touched_groups, touched_outcalls: ids that changes touched since ``settle``.
    """

    def __init__(self) -> None:
        self.users: dict[str, tuple[int, ...]] = {}
        self.groups: dict[str, tuple[int, ...]] = {}
        self.outcalls: dict[str, tuple[int, ...]] = {}
        self.memberships: dict[str, tuple[str, ...]] = {}
        self.active: set[int] = set()
        self.settle()

    def settle(self) -> None:
        """Forgets the ids that changes touched."""
        self.touched_users: set[str] = set()
        self.touched_groups: set[str] = set()
        self.touched_outcalls: set[str] = set()

    def replace_permission(
        self, old: CallPermission | None, old_slot: int, new: CallPermission | None, new_slot: int
    ) -> None:
        """Puts ``new`` in the place of ``old``; None: there was no permission before, or there is none now."""
        unchanged = old is not None and new is not None and old_slot == new_slot and old.enabled == new.enabled
        if old is not None:
            self.active.discard(old_slot)
        if new is not None and new.enabled and new.extensions:
            self.active.add(new_slot)
        if old is None and new is not None:
            for table, touched, ids in (
                (self.users, self.touched_users, new.users),
                (self.groups, self.touched_groups, new.groups),
                (self.outcalls, self.touched_outcalls, new.outcalls),
            ):
                if ids:
                    joined = set(ids)
                    _add(table, joined, new_slot)
                    touched.update(joined)
            return
        for table, touched, before, after in (
            (self.users, self.touched_users, old.users if old else (), new.users if new else ()),
            (self.groups, self.touched_groups, old.groups if old else (), new.groups if new else ()),
            (self.outcalls, self.touched_outcalls, old.outcalls if old else (), new.outcalls if new else ()),
        ):
            if unchanged and before == after:
                continue
            left, joined = _difference(before, after, everybody=not unchanged)
            _remove(table, left, old_slot)
            _add(table, joined, new_slot)
            touched.update(left, joined)

    def replace_group(self, old: Group | None, new: Group | None) -> None:
        """Puts ``new`` in the place of ``old``; None: there was no group before, or there is none now."""
        group = new or old
        if group is None:
            return
        unchanged = old is not None and new is not None and old.enabled == new.enabled
        before, after = old.users if old else (), new.users if new else ()
        left, joined = _difference(before, after, everybody=not unchanged)
        _remove(self.memberships, left, group.id)
        _add(self.memberships, joined, group.id)
        self.touched_users.update(left, joined)


def _difference(before: Iterable[str], after: Iterable[str], *, everybody: bool) -> tuple[set[str], set[str]]:
    """The ids that left and that joined; ``everybody``: all ids of before leave, and all ids of after join."""
    was, is_ = set(before), set(after)
    return (was, is_) if everybody else (was - is_, is_ - was)


def _add(table: dict[str, tuple[T, ...]], ids: Iterable[str], member: T) -> None:
    for id_ in ids:
        table[id_] = (*table.get(id_, ()), member)


def _remove(table: dict[str, tuple[T, ...]], ids: Iterable[str], member: T) -> None:
    for id_ in ids:
        left = tuple(other for other in table[id_] if other != member)
        if left:
            table[id_] = left
        else:
            del table[id_]
