"""What a Wazo stack holds, as far as call permissions go: edited at will, and telling of each edit as Wazo does."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    Event = dict[str, Any]

MASTER = "aaaaaaaa-0000-4000-8000-000000000001"


class WazoPlatform:
    """Tenants, users, groups, outcalls and permissions, and who is associated with what. Safe for threads."""

    def __init__(self, publish: Callable[[Event], None] | None = None) -> None:
        self.publish = publish or (lambda _: None)
        self.lock = threading.RLock()
        self.tenants: dict[str, dict[str, Any]] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[int, dict[str, Any]] = {}
        self.outcalls: dict[int, dict[str, Any]] = {}
        self.callpermissions: dict[int, dict[str, Any]] = {}
        self._members: set[tuple[int, str]] = set()
        self._local_members: set[tuple[int, str]] = set()
        self._dangling: list[int] = []
        self._dangling_permissions: set[int] = set()
        self.extensions: dict[str, int] = {}
        """How many extensions a user's line has, by the user's UUID, where that is not one."""
        self._associations: set[tuple[int, str, str | int]] = set()
        self._ids, self._uuids = count(1), count(1)
        self.add_tenant("master", uuid=MASTER)

    def add_tenant(self, name: str, *, uuid: str = "") -> str:
        """A tenant below the master tenant; its UUID."""
        uuid = uuid or self._uuid()
        with self.lock:
            self.tenants[uuid] = {"uuid": uuid, "name": name, "slug": name[:10], "parent_uuid": MASTER}
        self._tell("auth_tenant_added", uuid, uuid=uuid)
        return uuid

    def delete_tenant(self, uuid: str, *, confd: bool = True) -> None:
        """Removes a tenant and all that is in it; there is one event. Without ``confd`` its things stay, unseen."""
        with self.lock:
            del self.tenants[uuid]
            for things in (self.users, self.groups, self.outcalls, self.callpermissions) if confd else ():
                for key in [key for key, thing in things.items() if thing["tenant_uuid"] == uuid]:
                    del things[key]  # type: ignore[arg-type]  # likewise
            self._members = {each for each in self._members if self._is_there(*each)}
            self._local_members = {each for each in self._local_members if self._is_there(*each)}
            self._associations = {
                (permission, kind, member)
                for permission, kind, member in self._associations
                if permission in self.callpermissions and member in getattr(self, kind)
            }
        self._tell("auth_tenant_deleted", uuid, uuid=uuid)

    def add_user(self, tenant: str, *, password: str | None = None, uuid: str = "") -> str:
        """A user; the UUID."""
        uuid = uuid or self._uuid()
        with self.lock:
            user = {"id": next(self._ids), "uuid": uuid, "tenant_uuid": tenant, "firstname": "A", "lastname": "B"}
            self.users[uuid] = {**user, "enabled": True, "call_permission_password": password, "lines": []}
        self._tell("user_created", tenant, uuid=uuid)
        return uuid

    def edit_user(self, uuid: str, **changes: object) -> None:
        """Changes columns of a user."""
        with self.lock:
            self.users[uuid].update(changes)
        self._tell("user_edited", self.users[uuid]["tenant_uuid"], id=self.users[uuid]["id"], uuid=uuid)

    def delete_user(self, uuid: str) -> None:
        """Removes a user, and silently its memberships and associations."""
        with self.lock:
            tenant = self.users.pop(uuid)["tenant_uuid"]
            self._members = {each for each in self._members if each[1] != uuid}
            self._local_members = {each for each in self._local_members if each[1] != uuid}
            self._associations = {each for each in self._associations if each[1:] != ("users", uuid)}
        self._tell("user_deleted", tenant, uuid=uuid)

    def add_group(self, tenant: str, label: str, *, enabled: bool = True) -> int:
        """A group, whose name is made; its id."""
        with self.lock:
            number, uuid = next(self._ids), self._uuid()
            name = f"grp-{self.tenants[tenant]['slug']}-{uuid}"
            group = {"id": number, "uuid": uuid, "tenant_uuid": tenant, "name": name, "label": label}
            self.groups[number] = {**group, "enabled": enabled}
        self._tell("group_created", tenant, id=number)
        return number

    def edit_group(self, number: int, **changes: object) -> None:
        """Changes columns of a group."""
        with self.lock:
            self.groups[number].update(changes)
        self._tell("group_edited", self.groups[number]["tenant_uuid"], id=number)

    def join(self, group: int, user: str, *, local: bool = False) -> None:
        """Makes a user a member; ``local``: of one whose interface is a ``Local/`` channel."""
        with self.lock:
            (self._local_members if local else self._members).add((group, user))
        if not local:  # an old release or SQL made the row: wazo-confd makes none of a user
            self._tell_members("users", group)

    def dangle(self, group: int) -> None:
        """A row of ``queuemember`` whose user is gone; nothing tells of it."""
        with self.lock:
            self._dangling.append(group)

    def dangle_permission(self, permission: int, *, mended: bool = False) -> None:
        """A row of ``rightcallmember`` whose user is gone, or its end; nothing tells of it."""
        with self.lock:
            (self._dangling_permissions.discard if mended else self._dangling_permissions.add)(permission)

    def set_groups(self, user: str, groups: Collection[int]) -> None:
        """Makes these, of any tenant, all the groups of a user."""
        with self.lock:
            self._members = {each for each in self._members if each[1] != user} | {(group, user) for group in groups}
            self._local_members = {each for each in self._local_members if each[1] != user}
        tenant = self.users[user]["tenant_uuid"]
        self._tell("user_groups_associated", tenant, user_uuid=user, group_ids=list(groups))

    def set_members(self, group: int, users: Collection[str]) -> None:
        """Makes these all the members of a group that have a line; those of ``Local/`` channels stay."""
        with self.lock:
            self._members = {each for each in self._members if each[0] != group} | {(group, user) for user in users}
        self._tell_members("users", group, user_uuids=list(users))

    def set_extensions(self, group: int) -> None:
        """Makes other extensions the members of a group; every member through a ``Local/`` channel goes."""
        with self.lock:
            self._local_members = {each for each in self._local_members if each[0] != group}
        self._tell_members("extensions", group, extensions=[])

    def end_line(self, user: str) -> None:
        """Takes the line of a user away, and with it every membership but those of ``Local/`` channels."""
        with self.lock:
            self._members = {each for each in self._members if each[1] != user}
        tenant = self.users[user]["tenant_uuid"]
        self._tell("user_line_dissociated", tenant, user={"uuid": user}, line={"id": 1}, main_line=True)

    def delete_group(self, number: int) -> None:
        """Removes a group, and silently its members and associations."""
        with self.lock:
            tenant = self.groups.pop(number)["tenant_uuid"]
            self._members = {each for each in self._members if each[0] != number}
            self._local_members = {each for each in self._local_members if each[0] != number}
            self._associations = {each for each in self._associations if each[1:] != ("groups", number)}
        self._tell("group_deleted", tenant, id=number)

    def add_outcall(self, tenant: str, name: str) -> int:
        """An outcall; its id."""
        with self.lock:
            number = next(self._ids)
            self.outcalls[number] = {"id": number, "tenant_uuid": tenant, "name": name, "enabled": True, "trunks": []}
        self._tell("outcall_created", tenant, id=number)
        return number

    def add_permission(self, tenant: str, name: str, extensions: Iterable[str], **columns: object) -> int:
        """A call permission, a plain ``deny`` unless ``columns`` say otherwise; its id."""
        with self.lock:
            number = next(self._ids)
            permission = {"id": number, "tenant_uuid": tenant, "name": name, "extensions": list(extensions)}
            defaults = {"mode": "deny", "password": None, "enabled": True, "description": None}
            self.callpermissions[number] = {**permission, **defaults, **columns}
        self._tell("call_permission_created", tenant, id=number)
        return number

    def edit_permission(self, number: int, **changes: object) -> None:
        """Changes columns of a permission."""
        with self.lock:
            self.callpermissions[number].update(changes)
        self._tell("call_permission_edited", self.callpermissions[number]["tenant_uuid"], id=number)

    def delete_permission(self, number: int) -> None:
        """Removes a permission with its associations."""
        with self.lock:
            tenant = self.callpermissions.pop(number)["tenant_uuid"]
            self._associations = {each for each in self._associations if each[0] != number}
        self._tell("call_permission_deleted", tenant, id=number)

    def associate(self, permission: int, kind: str, member: str | int) -> None:
        """Associates a permission with one of the ``users``, ``groups`` or ``outcalls``."""
        with self.lock:
            self._associations.add((permission, kind, member))
        name = f"{kind[:-1]}_call_permission_associated"
        self._tell(name, self._tenant_of(kind, member), call_permission_id=permission)

    def dissociate(self, permission: int, kind: str, member: str | int) -> None:
        """Undoes an association."""
        with self.lock:
            self._associations.discard((permission, kind, member))
        name = f"{kind[:-1]}_call_permission_dissociated"
        self._tell(name, self._tenant_of(kind, member), call_permission_id=permission)

    def _uuid(self) -> str:
        """The next of those that this platform gives: the same edits make the same platform."""
        return f"{next(self._uuids):08x}-{MASTER.partition('-')[2]}"

    def _is_there(self, group: int, user: str) -> bool:
        return group in self.groups and user in self.users

    def _tenant_of(self, kind: str, member: str | int) -> str:
        tenant: str = getattr(self, kind)[member]["tenant_uuid"]
        return tenant

    def rendered(
        self, kind: str, tenants: set[str], wanted: Mapping[str, Collection[str]] | None = None
    ) -> list[dict[str, Any]]:
        """The things of a resource with what is embedded in them, as wazo-confd shows them.

        Args:
            kind: the resource, or ``summary`` for that view of users.
            tenants: whose.
            wanted: by column, the values of those to be shown.
        """
        render = getattr(self, f"_{kind}")
        with self.lock:
            things = getattr(self, "users" if kind == "summary" else kind).values()
            return [
                render(thing)
                for thing in things
                if thing["tenant_uuid"] in tenants
                and all(str(thing.get(key)) in values for key, values in (wanted or {}).items())
            ]

    def _callpermissions(self, permission: dict[str, Any]) -> dict[str, Any]:
        if permission["id"] in self._dangling_permissions:
            raise AttributeError("'NoneType' object has no attribute 'uuid'")
        mine = [each[1:] for each in self._associations if each[0] == permission["id"]]  # in no order, as in Wazo
        users = [_some(self.users[member], "uuid", "firstname") for kind, member in mine if kind == "users"]  # type: ignore[index]  # a user's key is text
        groups = [_some(self.groups[member], "uuid", "id", "name") for kind, member in mine if kind == "groups"]  # type: ignore[index]  # a group's key is a number
        outcalls = [_some(self.outcalls[member], "id", "name") for kind, member in mine if kind == "outcalls"]  # type: ignore[index]  # likewise
        return {**permission, "users": users, "groups": groups, "outcalls": outcalls}

    def _summary(self, user: dict[str, Any]) -> dict[str, Any]:
        return _some(user, "id", "uuid", "firstname", "lastname", "enabled")

    def _users(self, user: dict[str, Any]) -> dict[str, Any]:
        mine = [group for group, member in self._members | self._local_members if member == user["uuid"]]
        groups = [_some(self.groups[group], "uuid", "id", "name") for group in mine]
        return {**user, "groups": groups, "call_permissions": [], "forwards": {}, "services": {}, "schedules": []}

    def _groups(self, group: dict[str, Any]) -> dict[str, Any]:
        users = [
            _some(self.users[user], "uuid", "firstname") for number, user in self._members if number == group["id"]
        ]
        users += [{"priority": 0} for number in self._dangling if number == group["id"]]
        extensions = [
            {"exten": "1001", "context": "default"} for number, _ in self._local_members if number == group["id"]
        ]
        return {**group, "members": {"users": users, "extensions": extensions}, "call_permissions": []}

    def _outcalls(self, outcall: dict[str, Any]) -> dict[str, Any]:
        return {**outcall, "extensions": [], "schedules": [], "call_permissions": []}

    def _tell_members(self, what: str, group: int, **data: object) -> None:
        thing = self.groups[group]
        name = f"group_member_{what}_associated"
        self._tell(name, thing["tenant_uuid"], group_id=group, group_uuid=thing["uuid"], **data)

    def _tell(self, name: str, tenant: str, **data: object) -> None:
        """Publishes an event, after the edit is done."""
        required = {"required_access": f"event.{name}", "origin_uuid": MASTER, "timestamp": str(time.time())}
        self.publish({"name": name, "tenant_uuid": tenant, "user_uuid:*": True, **required, "data": data})


def _some(thing: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: thing[key] for key in keys}
