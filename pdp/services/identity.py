"""Callers: from the names of users in requests to UUIDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import ClosedTenant
from pdp.services.messages import is_anonymous_or_uuid, no_caller

if TYPE_CHECKING:
    from pdp.rules.model import Call
    from pdp.rules.snapshot.snapshot import Snapshot


def check_open(snapshot: Snapshot | None) -> None:
    """Rejects calls of a tenant that is closed.

    Raises:
        ClosedTenant: the tenant is.
    """
    if snapshot is not None and snapshot.closed:
        raise ClosedTenant(snapshot.tenant, snapshot.tenant_name, snapshot.closed)


def identified(snapshot: Snapshot | None, call: Call) -> Call:
    """The call with the UUIDs of users in the place of their aliases.

    Raises:
        InvalidCall: a caller is neither a UUID nor an alias of a user of the tenant.
    """
    if is_anonymous_or_uuid(call.caller) and is_anonymous_or_uuid(call.forwarded_by):
        return call
    return call._replace(
        caller=_user(snapshot, "caller", call.caller), forwarded_by=_user(snapshot, "forwarded_by", call.forwarded_by)
    )


def _user(snapshot: Snapshot | None, name: str, text: str) -> str:
    if is_anonymous_or_uuid(text):
        return text
    uuid = snapshot.user_of(text) if snapshot is not None else ""
    if not uuid:
        raise no_caller(name, text)
    return uuid
