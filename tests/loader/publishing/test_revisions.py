"""Looking at revisions, rolling back, pinning and letting go, against a real Redis with a server that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from followers import loader_to, replica
from given import ACME, BOB, BOLT, KEY, GivenSource, denying
from waiting import until

from loader.publishing.revisions import Revisions, UnknownRevision
from loader.removal import RemovalGuard
from pdp.rules.model import CallPermission, Tenant
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from redis_server import RedisServer

    from loader.cycle import Synchronizer


def revisions_in(server: RedisServer) -> Revisions:
    """As the command line makes it."""
    return Revisions(open_redis(server.url), "redis", secret=KEY)


def test_revisions_are_listed_newest_first_with_who_and_how_much(redis: RedisServer) -> None:
    """Each with its digest and size; the newest is current."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    source.tenants = (denying("117"), denying("119", tenant=BOLT, user=BOB))
    loader.sync()
    kept = revisions_in(redis).kept(ACME)
    assert [one.current for one in kept] == [True, False]
    assert kept[0].revision.number > kept[1].revision.number
    assert {one.permissions for one in kept} == {1}
    assert {one.origin.by for one in kept} == {"rightcall load"}
    assert not any(one.pinned for one in kept)
    assert {one.tenant for one in revisions_in(redis).kept()} == {ACME, BOLT}


def test_a_rollback_reaches_the_servers_and_stays_until_it_is_unpinned(redis: RedisServer) -> None:
    """The loader says that the tenant is pinned and leaves it alone; afterwards the source decides again."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    source.tenants = (denying("117"),)
    loader.sync()
    revisions = revisions_in(redis)
    with replica(redis.url) as server:
        until(lambda: server.denies("117"), "it has loaded")
        good = revisions.kept(ACME)[1].revision
        revisions.roll_back(ACME, str(good))
        until(lambda: server.denies("118"), "it has followed the rollback")
        assert not server.denies("117")
        source.tenants = (denying("116"),)
        assert loader.sync().pinned == (ACME,)
        assert [one.pinned for one in revisions.kept(ACME) if one.current] == [True]
        assert revisions.unpin(ACME) == good
        assert revisions.unpin(ACME) is None
        loader.sync()
        until(lambda: server.denies("116"), "the source decides again")


def test_a_rollback_takes_the_number_alone(redis: RedisServer) -> None:
    """Operators type; the digest is there to be read."""
    loader = loader_to(redis, GivenSource(denying("118")))
    loader.sync()
    number = revisions_in(redis).kept(ACME)[0].revision.number
    assert revisions_in(redis).roll_back(ACME, str(number)).revision.number == number


def test_a_rollback_to_what_is_not_there_changes_nothing_and_lists_what_is(redis: RedisServer) -> None:
    """The error names the revisions that are kept, or says that there is no such tenant."""
    loader_to(redis, GivenSource(denying("118"))).sync()
    revisions = revisions_in(redis)
    kept = revisions.kept(ACME)
    with pytest.raises(UnknownRevision, match=str(kept[0].revision)):
        revisions.roll_back(ACME, "12-nothing")
    with pytest.raises(UnknownRevision, match="is not in redis"):
        revisions.roll_back(BOLT, "12-nothing")
    with pytest.raises(UnknownRevision, match="is not in redis"):
        revisions.unpin(BOLT)
    assert revisions.kept(ACME) == kept


def test_a_pinned_tenant_that_is_gone_from_the_source_stays(redis: RedisServer) -> None:
    """Whoever pinned it wanted just that."""
    source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=BOB))
    loader = loader_to(redis, source)
    loader.sync()
    revisions = revisions_in(redis)
    revisions.roll_back(ACME, str(revisions.kept(ACME)[0].revision))
    source.tenants = source.tenants[1:]
    report = loader.sync()
    assert (report.removed, report.pinned) == ((), (ACME,))


def guarded(redis: RedisServer, source: GivenSource, fraction: float = 0.5) -> Synchronizer:
    """A loader's inside that does not believe large removals."""
    return loader_to(redis, source, guard=RemovalGuard(fraction))


def with_permissions(count: int) -> Tenant:
    """A tenant with so many permissions."""
    permissions = tuple(CallPermission(id=number + 1, extensions=("118",)) for number in range(count))
    return Tenant(ACME, "acme", call_permissions=permissions)


@pytest.mark.parametrize(("before", "after"), [(10, 4), (3, 1), (1, 0), (2, 0)])
def test_a_loss_of_more_than_half_of_a_tenants_permissions_is_held_back(
    redis: RedisServer, before: int, after: int
) -> None:
    """The tenant keeps what it had, and the report says how to confirm; whoever confirms gets it."""
    source = GivenSource(with_permissions(before))
    guarded(redis, source).sync()
    source.tenants = (with_permissions(after),)
    report = guarded(redis, source).sync()
    assert report.published == ()
    assert f"from {before} permissions to {after}" in report.error
    assert "--accept-removal" in report.error
    assert guarded(redis, source, fraction=1).sync().published


@pytest.mark.parametrize(("before", "after"), [(10, 5), (2, 1), (4, 3), (1, 1), (0, 0), (1, 9)])
def test_everyday_edits_are_not_held_back(redis: RedisServer, before: int, after: int) -> None:
    """Half of them, or one of two, may go."""
    source = GivenSource(with_permissions(before))
    guarded(redis, source).sync()
    source.tenants = (with_permissions(after),)
    assert guarded(redis, source).sync().held_back == ()


def test_a_loss_of_more_than_half_of_the_tenants_is_held_back(redis: RedisServer) -> None:
    """An empty answer of a broken source must not open every line; one tenant less is an everyday thing."""
    uuids = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(5)]
    source = GivenSource(*(Tenant(uuid) for uuid in uuids))
    loader = guarded(redis, source)
    loader.sync()
    everything, source.tenants = source.tenants, ()
    assert "5 of 5 tenants are gone from given" in loader.sync().error
    source.tenants = everything[:2]
    assert loader.sync().removed == ()
    source.tenants = everything[:4]
    assert loader.sync().removed == (uuids[4],)
    source.tenants = ()
    assert guarded(redis, source, fraction=1).sync().removed == tuple(uuids[:4])
