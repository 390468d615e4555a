"""Makes the passwords of two versions of a tenant comparable, where one of the versions holds only their hashes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pdp.rules.compiler.digest import content_digest, permission_owner, user_owner
from pdp.rules.model import PasswordOverride
from pdp.rules.snapshot.contents import WITHHELD, stand_in, stands_in
from pdp.rules.snapshot.passwords import hash_password

if TYPE_CHECKING:
    from pdp.rules.model import Tenant

_ANY = b"-"
"""A key to compare digests in which passwords count."""


def comparable(old: Tenant, new: Tenant, secret: bytes | None) -> tuple[Tenant, Tenant, bool]:
    """Both versions with passwords that are equal where the passwords in the clear are.

    Args:
        old: the version before.
        new: the version now.
        secret: the deployment's key, which the hashes were made with; None: hashes cannot be compared with passwords.

    Returns:
        The versions, and whether changed passwords can be told.
    """
    kinds = [{stands_in(password) for password in _passwords(tenant)} for tenant in (old, new)]
    if not any(True in kind for kind in kinds):
        return old, new, True
    withheld = any(WITHHELD in _passwords(tenant) for tenant in (old, new))
    if withheld or (secret is None and any(False in kind for kind in kinds)):
        return _withheld(old), _withheld(new), False
    return (_hashed(old, secret), _hashed(new, secret), True) if secret else (old, new, True)


def same_rules(old: Tenant, new: Tenant) -> bool:
    """Whether two versions with comparable passwords decide alike by their digests, in which order does not count."""
    digests = {content_digest(each, secret=_ANY, password_override=PasswordOverride.ALL) for each in (old, new)}
    return len(digests) == 1


def _passwords(tenant: Tenant) -> list[str]:
    of_users = [user.call_permission_password for user in tenant.users]
    of_permissions = [permission.password for permission in tenant.call_permissions]
    return [password for password in (*of_users, *of_permissions) if password is not None]


def _withheld(tenant: Tenant) -> Tenant:
    """The tenant with one password for all permissions that ask for any."""
    return replace(
        tenant,
        users=tuple(replace(user, call_permission_password=None) for user in tenant.users),
        call_permissions=tuple(
            permission if permission.password is None else replace(permission, password=WITHHELD)
            for permission in tenant.call_permissions
        ),
    )


def _hashed(tenant: Tenant, secret: bytes) -> Tenant:
    """The tenant with the hashes of passwords instead of passwords, as in a snapshot."""

    def hashed(owner: str, password: str | None) -> str | None:
        if password is None or stands_in(password):
            return password
        return stand_in(hash_password(secret, owner, password))

    return replace(
        tenant,
        users=tuple(
            replace(
                user,
                call_permission_password=hashed(user_owner(tenant.uuid, user), user.call_permission_password),
            )
            for user in tenant.users
        ),
        call_permissions=tuple(
            replace(permission, password=hashed(permission_owner(tenant.uuid, permission), permission.password))
            for permission in tenant.call_permissions
        ),
    )
