"""A slow first reading: tenants count one by one, and those whose rules stand published before their users are read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from waiting import until
from wazo_stack import TENANTS, assert_equal, digests, stack

from loader.errors import PublishError
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import PasswordOverride, Revision
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loader.sources.base import Reading
    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.snapshot import Snapshot

KEY = b"key"
LARGE = "loader.sources.wazo.rest.sweep.FEW_USERS"
"""How many users a platform may have so that nothing is taken from published rules: of that the tests' have few."""


def published(tenants: Iterable[Tenant]) -> list[Snapshot]:
    """The tenants as a loader publishes them."""
    compiler = Compiler(secret=KEY, password_override=PasswordOverride.ALL)
    return [decode(compiler.compile(tenant, Revision(1, "0" * 12), compiled_at=0.0)) for tenant in tenants]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_restart_goes_on_with_what_was_published(data: st.DataObject) -> None:
    """Rules are current before users are read, but for users' own fields; in the end all is as a fresh source reads."""
    with stack() as one, patch(LARGE, 0):
        last = published(one.settled().tenants)
        one.source.close()
        for _ in range(data.draw(st.integers(0, 6))):
            one.edit(data, silent=data.draw(st.booleans()))
        one.messages.clear()
        one.source.resume(lambda: last)
        one.connect()
        first, fresh = one.read(), one.fresh()
        assert first is not None
        assert not first.complete
        as_it_is = {tenant.uuid: tenant for tenant in fresh.tenants}
        for early in first.tenants:
            now = as_it_is[early.uuid]
            assert early.call_permissions == now.call_permissions
            assert [user.uuid for user in early.users] == [user.uuid for user in now.users]
        for _ in range(data.draw(st.integers(0, 3))):
            one.edit(data)
            one.deliver(*one.messages)
            one.messages.clear()
        assert_equal(one.settled(), one.fresh())


@pytest.mark.parametrize("few", [1, 100])
def test_what_was_published_is_not_published_again(few: int) -> None:
    """Where nothing changed the digests are equal, although of many PINs only hashes are known yet."""
    with stack() as one, patch(LARGE, few):
        for number, user in enumerate(one.platform.users):
            one.platform.edit_user(user, call_permission_password=f"{number}#*")
        one.deliver(*one.messages)
        settled = one.settled()
        one.source.close()
        one.source.resume(lambda: published(settled.tenants))
        one.connect()
        first = one.read()
        assert first is not None
        assert (first.tenants != settled.tenants) == (few == 1)
        assert digests(first) == digests(settled)
        assert_equal(one.settled(), one.fresh())


def test_tenants_count_one_by_one() -> None:
    """The smaller one while the larger one's users are not read; it takes edits, and the larger one is not removed."""
    with stack() as one:
        small, large = TENANTS
        for _ in range(60):
            one.platform.add_user(large)
        one.behaviour.price = {"users": 0.002}
        one.source.close()
        one.messages.clear()
        one.source.resume(list)
        one.connect()
        readings: list[Reading] = []

        def small_is_there() -> bool:
            reading = one.read()
            readings.extend([reading] if reading else [])
            return reading is not None and small in {tenant.uuid for tenant in reading.tenants}

        until(small_is_there, "the smaller tenant counts")
        assert large not in {tenant.uuid for tenant in readings[-1].tenants} | readings[-1].faulty
        assert not readings[-1].complete
        number = one.platform.add_permission(small, "new", ["119"])
        one.deliver(*one.messages)

        def new() -> bool:
            reading = one.read()
            found = next(tenant for tenant in reading.tenants if tenant.uuid == small) if reading else None
            return found is not None and number in {permission.id for permission in found.call_permissions}

        until(new, "the edit is read")
        assert_equal(one.settled(), one.fresh())


def test_published_rules_that_cannot_be_read_hinder_nothing() -> None:
    """The source is read as if there were none."""

    def lost() -> Iterable[Snapshot]:
        raise PublishError("Redis is away")

    with stack() as one:
        one.source.close()
        with capture_logs() as logs:
            one.source.resume(lost)
        one.connect()
        assert_equal(one.settled(), one.fresh())
    assert [entry["event"] for entry in logs] == ["published_rules_not_resumed"]
