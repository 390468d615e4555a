"""From a snapshot back to the tenant: the same decisions, and the same digest where the snapshot holds everything."""

from __future__ import annotations

from dataclasses import replace

from given import KEY, denying
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import tenants

from loader.definitions.reaching import dialling_of
from loader.definitions.shapes import DiallingShape
from loader.numbering import numbering_table
from pdp.rules.analysis.comparison import Comparison
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.digest import content_digest
from pdp.rules.model import PasswordOverride, Revision, Tenant
from pdp.rules.snapshot.contents import stands_in, tenant_of
from pdp.rules.snapshot.snapshot import decode
from rightcall.programs.comparable import comparable


def restored(*states: Tenant) -> Tenant:
    """What a snapshot of the last state says, compiled after the others."""
    compiler = Compiler(secret=KEY)
    for number, state in enumerate(states, 1):
        blob = compiler.compile(state, Revision(number, "0" * 64), compiled_at=0)
    return tenant_of(decode(blob, secrets=(KEY,)), numbering_table)


def named(tenant: Tenant) -> Tenant:
    """The tenant with names, aliases, emergency numbers and dialling, whose PINs are all gone."""
    users = tuple(
        replace(user, call_permission_password=None, name=f"Zoë {at}", extension=str(100 + at), aliases=(f"user:{at}",))
        for at, user in enumerate(tenant.users)
    )
    rules = tuple(replace(rule, password=None) for rule in tenant.call_permissions)
    dialling = dialling_of(DiallingShape(country="FR", outside_line="0"))
    return replace(tenant, users=users, call_permissions=rules, emergency=("112", "15"), dialling=dialling)


def digest(tenant: Tenant) -> str:
    """As a loader works it out."""
    return content_digest(tenant, secret=KEY, password_override=PasswordOverride.ALL)


def held(tenant: Tenant) -> Tenant:
    """The tenant without what no snapshot holds: what belongs to nobody."""
    return replace(
        tenant,
        groups=tuple(group for group in tenant.groups if group.users),
        call_permissions=tuple(
            replace(rule, groups=tuple(id_ for id_ in rule.groups if id_ in _with_members(tenant)))
            for rule in tenant.call_permissions
            if rule.users or rule.outcalls or set(rule.groups) & _with_members(tenant)
        ),
    )


def _with_members(tenant: Tenant) -> set[str]:
    return {group.id for group in tenant.groups if group.users}


@settings(max_examples=15, deadline=None)
@given(tenants(), st.booleans())
def test_a_restored_tenant_decides_the_same(tenant: Tenant, keyed: bool) -> None:  # noqa: FBT001 - drawn
    """Each caller, outcall and number; with the key, PINs are the same as well."""
    old, new, told = comparable(tenant, restored(tenant), KEY if keyed else None)
    found = Comparison(old, new)
    assert not found.lines
    assert not found.passwords
    assert told or not keyed


@settings(max_examples=15, deadline=None)
@given(tenants(), tenants())
def test_a_restored_tenant_without_pins_has_the_same_digest(before: Tenant, tenant: Tenant) -> None:
    """Names, aliases, dialling and emergency numbers included, also after an edit."""
    assert digest(restored(named(before), held(named(tenant)))) == digest(held(named(tenant)))


def test_what_stands_for_a_pin_tells_another_pin_from_the_same() -> None:
    """By the hashes, and never in the clear."""
    published = restored(denying("118", password="1234"))
    assert stands_in(published.call_permissions[0].password or "")
    for password, changes in (("1234", 0), ("4321", 1)):
        old, new, told = comparable(published, denying("118", password=password), KEY)
        assert told
        assert len(Comparison(old, new).passwords) == changes
    *_, told = comparable(published, denying("118", password="4321"), None)
    assert not told
