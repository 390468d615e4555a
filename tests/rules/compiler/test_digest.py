"""The digest that decides whether anything is published."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import strategies
from definitions import tenant_from
from hypothesis import HealthCheck, given, settings

from pdp.rules.compiler.digest import Digester, content_digest
from pdp.rules.model import PasswordOverride, User

if TYPE_CHECKING:
    from pdp.rules.model import Tenant

SECRET = b"a key of the deployment"
TENANT = tenant_from(
    {
        "uuid": strategies.TENANT,
        "users": [{"uuid": strategies.USERS[0], "call_permission_password": "4242"}, {"uuid": strategies.USERS[1]}],
        "groups": [{"id": "7", "users": [strategies.USERS[0]]}],
        "outcalls": [{"id": "3", "name": "world"}],
        "call_permissions": [{"id": 12, "password": "1234", "extensions": ["_00."], "groups": ["7"]}, {"id": 13}],
    }
)


def digest(tenant: Tenant, secret: bytes | None = SECRET, override: PasswordOverride = PasswordOverride.ALL) -> str:
    """The digest of a tenant."""
    return content_digest(tenant, secret=secret, password_override=override)


def test_what_a_snapshot_depends_on_changes_the_digest() -> None:
    """Each of these is published."""
    first, second = TENANT.call_permissions
    others = [
        replace(TENANT, name="acme"),
        replace(TENANT, uuid=strategies.STRANGER),
        replace(TENANT, users=TENANT.users[:1]),
        replace(TENANT, users=(User(strategies.USERS[0], "4243"), TENANT.users[1])),
        replace(TENANT, groups=(replace(TENANT.groups[0], enabled=False),)),
        replace(TENANT, outcalls=()),
        replace(TENANT, call_permissions=(first,)),
        replace(TENANT, call_permissions=(replace(first, password="4321"), second)),
        replace(TENANT, call_permissions=(replace(first, password=None), second)),
        replace(TENANT, call_permissions=(replace(first, extensions=("_00.", "1")), second)),
        replace(TENANT, call_permissions=(replace(first, enabled=False), second)),
    ]
    digests = {digest(tenant) for tenant in (TENANT, *others)}
    digests |= {digest(TENANT, override=PasswordOverride.USER), digest(TENANT, b"another key"), digest(TENANT, None)}
    assert len(digests) == len(others) + 4
    assert all(len(one) == 64 for one in digests)


def test_the_order_in_which_a_source_lists_things_does_not_count() -> None:
    """No revision for rules that mean the same."""
    turned = replace(TENANT, users=TENANT.users[::-1], call_permissions=TENANT.call_permissions[::-1])
    assert digest(turned) == digest(TENANT)


def test_without_a_key_a_digest_tells_no_password() -> None:
    """Nothing could keep somebody from trying all four-digit numbers."""
    other = replace(TENANT, users=(User(strategies.USERS[0], "0000"), TENANT.users[1]))
    assert digest(other, None) == digest(TENANT, None)
    assert digest(other) != digest(TENANT)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.histories())
def test_a_digester_that_remembers_says_what_one_without_memory_says(history: list[Tenant]) -> None:
    """Of every state of an edited tenant, and of another tenant in between."""
    digester = Digester(secret=SECRET)
    for tenant in [*history, TENANT, history[0], replace(TENANT, uuid=strategies.STRANGER)]:
        assert digester.digest(tenant) == digest(tenant)
