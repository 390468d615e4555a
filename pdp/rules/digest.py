"""The digest of a tenant's content: equal rules have equal digests, however and whenever they were compiled.

It decides whether anything is published, and it is published itself. So it must not tell a password to somebody who knows
the rest of the rules and tries all four-digit numbers: passwords enter as keyed hashes only, or, where the deployment has
no secret key, not at all (then no snapshot holds them either).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pdp.rules.blob import FORMAT_VERSION
from pdp.rules.passwords import hash_password

if TYPE_CHECKING:
    from pdp.rules.model import CallPermission, PasswordOverride, Tenant, User


def content_digest(tenant: Tenant, *, secret: bytes | None, password_override: PasswordOverride) -> str:
    """64 hexadecimal digits over everything that a snapshot of ``tenant`` depends on, and the snapshot's format."""
    content = [
        [FORMAT_VERSION, password_override, tenant.uuid, tenant.name],
        [_user(user, tenant.uuid, secret) for user in tenant.users],
        [[group.id, group.name, group.enabled, group.users] for group in tenant.groups],
        [[outcall.id, outcall.name] for outcall in tenant.outcalls],
        [_permission(permission, tenant.uuid, secret) for permission in tenant.call_permissions],
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _user(user: User, tenant: str, secret: bytes | None) -> list[str]:
    return [user.uuid, _password(secret, user_owner(tenant, user), user.call_permission_password)]


def _permission(permission: CallPermission, tenant: str, secret: bytes | None) -> list[object]:
    return [
        permission.id,
        permission.name,
        permission.mode,
        permission.enabled,
        _password(secret, permission_owner(tenant, permission), permission.password),
        permission.extensions,
        permission.users,
        permission.groups,
        permission.outcalls,
    ]


def _password(secret: bytes | None, owner: str, password: str | None) -> str:
    if password is None:
        return ""
    return hash_password(secret, owner, password).hex() if secret else "withheld"


def user_owner(tenant: str, user: User) -> str:
    """What a user's password belongs to, for its hash."""
    return f"{tenant}/user/{user.uuid}"


def permission_owner(tenant: str, permission: CallPermission) -> str:
    """What a permission's password belongs to, for its hash."""
    return f"{tenant}/permission/{permission.id}"
