"""What the loader leaves in Redis, against a real one."""

from __future__ import annotations

import threading

import pytest
from followers import loader_to, publisher_to
from given import ACME, ALICE, BOLT, KEY, GivenSource, denying
from redis_server import RedisServer

from loader.errors import PublishError
from loader.publishing.publish import PublishedState, RedisPublisher
from pdp.rules.model import Revision
from pdp.rules.publication.keys import Keys, without_credentials
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from rightcall.redis_url import open_redis

KEYS = Keys()


def pointer_in(server: RedisServer, tenant: str = ACME) -> Pointer | None:
    """The pointer of a tenant as it lies in Redis."""
    with server.client() as client:
        raw = client.hget(KEYS.pointers, tenant)
    return Pointer.load(tenant, raw, (KEY,)) if isinstance(raw, bytes) else None


def test_what_is_published_decides_as_the_source_says(redis: RedisServer) -> None:
    """The pointer leads to a blob that opens, is of that revision, and denies what the source denies."""
    report = loader_to(redis, GivenSource(denying("_00."))).sync()
    pointer = pointer_in(redis)
    assert pointer is not None
    assert [published.revision for published in report.published] == [pointer.revision]
    with redis.client() as client:
        blob = client.get(KEYS.snapshot(ACME, pointer.revision.number))
    assert isinstance(blob, bytes)
    snapshot = decode(blob, secrets=(KEY,))
    assert snapshot.revision == pointer.revision
    assert snapshot.decide(ALICE, "00339", "").permission_id == 1


def test_only_tenants_whose_content_changed_are_published(redis: RedisServer) -> None:
    """A second cycle publishes the edited tenant alone; a third, and another loader, publish nothing."""
    source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=ALICE.replace("2c", "3c")))
    loader = loader_to(redis, source)
    assert {published.tenant for published in loader.sync().published} == {ACME, BOLT}
    source.tenants = (denying("117"), source.tenants[1])
    assert [published.tenant for published in loader.sync().published] == [ACME]
    assert loader.sync().published == ()
    assert loader_to(redis, source).sync().unchanged == (ACME, BOLT)


def test_numbers_rise_with_every_publication_and_through_the_loss_of_all_data(redis: RedisServer) -> None:
    """Whatever Redis forgets, a revision's number is above those before it."""
    source = GivenSource(denying("1"))
    loader = loader_to(redis, source)
    numbers = []
    for extension in "12345":
        source.tenants = (denying(extension),)
        numbers += [published.revision.number for published in loader.sync().published]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 5


def test_the_last_revisions_are_kept_and_no_more(redis: RedisServer) -> None:
    """With ``keep=3``, three blobs remain of six publications, the current one among them."""
    source = GivenSource()
    loader = loader_to(redis, source, keep=3)
    numbers: list[int] = []
    for extension in "123456":
        source.tenants = (denying(extension),)
        numbers += [published.revision.number for published in loader.sync().published]
    with redis.client() as client:
        kept = set(client.scan_iter("rightcall:snapshot:*"))
        assert kept == {KEYS.snapshot(ACME, number).encode() for number in numbers[-3:]}
        assert client.zcard(KEYS.revisions(ACME)) == 3


def test_everything_is_published_again_after_redis_lost_it(redis: RedisServer) -> None:
    """FLUSHALL: the next cycle of the same loader publishes what it knows, under a higher number."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    with redis.client() as client:
        client.flushall()
    assert [published.tenant for published in loader.sync().published] == [ACME]
    assert pointer_in(redis) is not None


def test_a_blob_that_was_evicted_is_published_again(redis: RedisServer) -> None:
    """A pointer whose blob is gone helps no server that starts; the next cycle repairs it."""
    loader = loader_to(redis, GivenSource(denying("118")))
    loader.sync()
    before = pointer_in(redis)
    assert before is not None
    with redis.client() as client:
        client.delete(KEYS.snapshot(ACME, before.revision.number))
    loader.sync()
    after = pointer_in(redis)
    assert after is not None
    assert after.revision.number > before.revision.number
    assert after.revision.digest == before.revision.digest


def test_a_tenant_that_is_gone_leaves_a_pointer_that_says_so(redis: RedisServer) -> None:
    """Servers are told; and when it comes back its number goes on rising."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    first = pointer_in(redis)
    kept, source.tenants = source.tenants, ()
    assert loader.sync().removed == (ACME,)
    gone = pointer_in(redis)
    assert loader.sync().removed == ()
    source.tenants = kept
    loader.sync()
    back = pointer_in(redis)
    assert first is not None
    assert gone is not None
    assert back is not None
    assert (first.removed, gone.removed, back.removed) == (False, True, False)
    assert first.revision.number < gone.revision.number < back.revision.number


@pytest.mark.parametrize("trouble", ["incomplete", "faulty", "broken"])
def test_no_tenant_is_removed_because_the_source_is_in_trouble(redis: RedisServer, trouble: str) -> None:
    """A tenant that may be missing by accident keeps its last good rules."""
    source = GivenSource(denying("118"))
    loader = loader_to(redis, source)
    loader.sync()
    before = pointer_in(redis)
    source.tenants = ()
    source.complete = trouble != "incomplete"
    source.faulty = frozenset({ACME} if trouble == "faulty" else ())
    source.broken = trouble == "broken"
    report = loader.sync()
    assert report.removed == ()
    assert pointer_in(redis) == before
    assert bool(report.error) == (trouble == "broken")


def test_a_pointer_that_another_loader_moved_meanwhile_is_not_moved_back(redis: RedisServer) -> None:
    """Two loaders that publish at the same time: one of them is told, and nothing of the other's is lost."""
    publisher = publisher_to(redis)
    first, second = (Pointer.to(ACME, Revision(number, "a" * 64), 1) for number in (1, 2))
    publisher.publish(second, b"blob", PublishedState())
    with pytest.raises(PublishError, match="somebody else at the same time"):
        publisher.publish(first, b"blob", PublishedState())
    assert pointer_in(redis) == second


def test_many_loaders_at_once_leave_one_whole_revision(redis: RedisServer) -> None:
    """Four loaders with the same content: each fails or succeeds, and what stands is whole."""
    loaders = [loader_to(redis, GivenSource(denying("118"))) for _ in range(4)]
    threads = [threading.Thread(target=loader.sync) for loader in loaders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pointer = pointer_in(redis)
    assert pointer is not None
    with redis.client() as client:
        assert client.exists(KEYS.snapshot(ACME, pointer.revision.number))
    assert loaders[0].sync().unchanged == (ACME,)


def test_a_pointer_of_a_foreign_key_is_published_over(redis: RedisServer) -> None:
    """After a change of the key, or a forgery, the content is published again with this loader's signature."""
    source = GivenSource(denying("118"))
    loader_to(redis, source, secret=b"the key of somebody else").sync()
    assert [published.tenant for published in loader_to(redis, source).sync().published] == [ACME]
    assert pointer_in(redis) is not None


def test_no_password_reaches_redis() -> None:
    """Neither a permission's nor a user's, with a key or without one, in no key and no value."""
    with RedisServer() as server:
        for secret in (KEY, None):
            loader_to(server, GivenSource(denying("118", password="90210443322")), secret=secret).sync()
        with server.client() as client:
            everything = b"".join(client.dump(key) or b"" for key in client.scan_iter())
    assert everything
    assert b"90210443322" not in everything


def test_a_redis_that_is_away_is_told_of_without_its_password() -> None:
    """The message names the server and what to check, never the credentials; and the next cycle succeeds."""
    server = RedisServer(password="p4ssw0rd-of-redis")
    loader = loader_to(server, GivenSource(denying("118")))
    report = loader.sync()
    assert f"redis://127.0.0.1:{server.port}/0 cannot be written to" in report.error
    assert "check" in report.error
    assert "p4ssw0rd" not in report.error
    with server:
        assert [published.tenant for published in loader.sync().published] == [ACME]


def test_a_wrong_password_is_told_without_repeating_it() -> None:
    """A Redis that refuses the loader: what to check, and nothing secret."""
    with RedisServer(password="right-password") as server:
        url = server.url.replace("right-password", "wrong-password")
        publisher = RedisPublisher(open_redis(url), without_credentials(url))
        with pytest.raises(PublishError, match="refused the credentials; check user and password") as caught:
            publisher.standing()
    assert "password@" not in str(caught.value)
    assert "wrong-password" not in str(caught.value)


def test_redis_killed_while_publishing_leaves_the_old_rules_or_the_new() -> None:
    """Killed at any moment of a publication, and a restart with empty data: the loader reports it and goes on."""
    source = GivenSource(denying("118"))
    with RedisServer() as server:
        loader = loader_to(server, source)
        loader.sync()
        for attempt in range(5):
            source.tenants = (denying("118", *(f"_{attempt}{number:06d}." for number in range(2000))),)
            killer = threading.Timer(0.004 * attempt, server.kill)
            killer.start()
            loader.sync()
            killer.join()
            server.start()
            loader.sync()
            pointer = pointer_in(server)
            assert pointer is not None
            with server.client() as client:
                blob = client.get(KEYS.snapshot(ACME, pointer.revision.number))
            assert isinstance(blob, bytes)
            assert decode(blob, secrets=(KEY,)).counts.patterns == 2001
