"""The digest of a tenant's content: equal rules have equal digests, however and whenever compiled.

The digest decides whether a tenant is published again, and is published itself. So the digest must not tell a password
to an attacker who knows the rest of the rules and tries all four-digit numbers: passwords enter as keyed hashes only,
or, where the deployment has no secret key, not at all (then no snapshot holds passwords either).

Every entity has a digest of its own, and those of all entities, in the order of their ids, make up the tenant's. So the
order of entities in a source, and of the members of a group, does not count, and of an edited tenant only the changed
entities are read again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Generic, TypeVar

from pdp.rules.compiler.changes import T, changes
from pdp.rules.model import PasswordOverride
from pdp.rules.snapshot.blob import FORMAT_VERSION
from pdp.rules.snapshot.passwords import hash_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pdp.rules.model import CallPermission, Group, Outcall, Tenant, User

Id = TypeVar("Id", int, str)
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def content_digest(tenant: Tenant, *, secret: bytes | None, password_override: PasswordOverride) -> str:
    """64 hexadecimal digits over everything that a snapshot of ``tenant`` depends on, and the snapshot's format."""
    return Digester(secret=secret, password_override=password_override).digest(tenant)


class Digester:
    """The digests of the successive states of one tenant; equal to ``content_digest`` of each.

    Args:
        secret: the deployment's key; None: passwords do not count.
        password_override: where a user's own password replaces a permission's.
    """

    def __init__(
        self, *, secret: bytes | None = None, password_override: PasswordOverride = PasswordOverride.ALL
    ) -> None:
        self._secret = secret
        self._password_override = password_override
        self._start_afresh("")

    def digest(self, tenant: Tenant) -> str:
        """64 hexadecimal digits over everything that a snapshot of ``tenant`` depends on, and the snapshot's format."""
        if tenant.uuid != self._tenant:
            self._start_afresh(tenant.uuid)
        head: list[object] = [FORMAT_VERSION, self._password_override, tenant.uuid, tenant.name]
        if tenant.emergency or tenant.dialling or tenant.closed:
            table = hashlib.sha256(tenant.dialling.table).hexdigest() if tenant.dialling else ""
            head += [tenant.emergency, table, tenant.closed]
        digest = hashlib.sha256(_json(head))
        for kind in (
            self._users.update(tenant.users, lambda user: user.uuid, self._user),
            self._groups.update(tenant.groups, lambda group: group.id, _group),
            self._outcalls.update(tenant.outcalls, lambda outcall: outcall.id, _outcall),
            self._permissions.update(tenant.call_permissions, lambda permission: permission.id, self._permission),
        ):
            digest.update(kind)
        return digest.hexdigest()

    def _start_afresh(self, tenant: str) -> None:
        self._tenant = tenant
        self._users = _Kind[str, "User"]()
        self._groups = _Kind[str, "Group"]()
        self._outcalls = _Kind[str, "Outcall"]()
        self._permissions = _Kind[int, "CallPermission"]()

    def _user(self, user: User) -> list[object]:
        password = self._password(user_owner(self._tenant, user), user.call_permission_password)
        names = [user.name, user.extension] if user.name or user.extension else []
        return [user.uuid, password, sorted(user.aliases), *names]

    def _permission(self, permission: CallPermission) -> list[object]:
        return [
            permission.id,
            permission.name,
            permission.mode,
            permission.enabled,
            self._password(permission_owner(self._tenant, permission), permission.password),
            permission.extensions,
            sorted(permission.users),
            sorted(permission.groups),
            sorted(permission.outcalls),
        ]

    def _password(self, owner: str, password: str | None) -> str:
        if password is None:
            return ""
        return hash_password(self._secret, owner, password).hex() if self._secret else "withheld"


class _Kind(Generic[Id, T]):
    """The entities of one kind with their digests."""

    def __init__(self) -> None:
        self._entities: dict[Id, T] = {}
        self._digests: dict[Id, bytes] = {}
        self._order: list[Id] = []

    def update(self, entities: Iterable[T], key: Callable[[T], Id], content: Callable[[T], list[object]]) -> bytes:
        """The digest of all these entities, given the content of each that counts."""
        found = changes(self._entities, entities, key)
        for entity in found.gone:
            del self._digests[key(entity)]
        for entity in found.changed:
            self._digests[key(entity)] = hashlib.sha256(_json(content(entity))).digest()
        self._entities = found.now
        if len(self._order) != len(self._digests) or found.gone:
            self._order = sorted(self._digests)
        return hashlib.sha256(b"".join([self._digests[id_] for id_ in self._order])).digest()


def _group(group: Group) -> list[object]:
    return [group.id, group.name, group.enabled, sorted(group.users)]


def _outcall(outcall: Outcall) -> list[object]:
    return [outcall.id, outcall.name]


def _json(content: list[object]) -> bytes:
    return _ENCODE(content).encode()


def user_owner(tenant: str, user: User) -> str:
    """The owner's name of a user's password, for its hash."""
    return f"{tenant}/user/{user.uuid}"


def permission_owner(tenant: str, permission: CallPermission) -> str:
    """The owner's name of a permission's password, for its hash."""
    return f"{tenant}/permission/{permission.id}"
