"""What the doctor finds in Redis: real ones, of which each has something wrong."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from doctors import Report, examined
from followers import loader_to, replica
from given import ACME, BOB, BOLT, KEY, GivenSource, denying
from pki import Authority
from redis_server import RedisServer, free_port
from redis_topologies import ClusterSet, SentinelSet
from server import running_server
from waiting import until

from loader.publishing.lease import Lease
from loader.publishing.revisions import Revisions
from pdp.rules.publication.keys import Keys
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

PASSWORD = "s3cr3t-of-redis"
WRITES = ("set", "hset", "zadd", "eval", "publish", "unlink", "del", "pexpire", "incr", "hincrby", "config|set")
TRUSTED = {"RIGHTCALL_SECRET_KEY": KEY.decode()}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis with the rules of two tenants in it, and a leader."""
    with RedisServer() as server:
        source = GivenSource(denying("118"), denying("119", tenant=BOLT, user=BOB))
        assert not loader_to(server, source).sync().error
        Lease(open_redis(server.url), "redis", "one", seconds=600).claim()
        yield server


def look(url: str, *arguments: str, target: str = "none", **variables: str) -> Report:
    """What it finds in a Redis, and in nothing else unless told."""
    return examined("--target", target, "--redis", url, *arguments, **{**TRUSTED, **variables})


def found(report: Report) -> dict[str, str]:
    """The checks that are neither well nor skipped."""
    return {check: verdict for check, verdict in report.verdicts.items() if verdict in ("warning", "failure")}


def test_a_good_redis_is_well_and_stays_as_it_is(redis: RedisServer) -> None:
    """Nothing is written, published or run that could write."""

    def written(client: Redis) -> dict[str, int]:
        stats = client.info("commandstats")
        return {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in WRITES}

    with redis.client() as client:
        before = written(client)
        report = look(redis.url)
        assert written(client) == before
        assert before["hset"] > 0
    assert (report.code, found(report)) == (0, {})
    assert "2 tenants, signed with this key" in report.told["rules published"]
    assert "one, for " in report.told["rules leader"]


def test_signatures_are_not_looked_at_without_a_key(redis: RedisServer) -> None:
    """It says so."""
    report = look(redis.url, RIGHTCALL_SECRET_KEY="")
    assert report.code == 0
    assert "--secret-key-file" in report.told["rules published"]


def test_a_redis_that_is_gone_is_one_failure(redis: RedisServer) -> None:
    """Nothing else can be looked at."""
    redis.kill()
    report = look(redis.url)
    assert (report.code, found(report)) == (4, {"Redis reached": "failure"})


def test_a_redis_that_hangs_holds_nobody_up(redis: RedisServer) -> None:
    """The check ends with its time."""
    redis.pause()
    try:
        report = look(redis.url, "--timeout", "0.5")
    finally:
        redis.resume()
    assert found(report) == {"Redis reached": "failure"}


def test_wrong_and_missing_passwords_are_told_apart_from_a_redis_that_is_gone() -> None:
    """And not shown."""
    with RedisServer(password=PASSWORD) as redis:
        for url in (redis.url.replace(PASSWORD, f"not-{PASSWORD}"), redis.url.replace(f":{PASSWORD}@", "")):
            report = look(url)
            assert found(report) == {"Redis credentials": "failure"}
            assert "user and password" in report.told["Redis credentials"]
            assert PASSWORD not in report.text


def test_tls_to_redis_is_looked_at_from_both_sides(tmp_path: Path) -> None:
    """Trust, the end of the certificate, and a Redis that does not speak it."""
    authority = Authority(tmp_path)
    pair = authority.issue("redis", addresses=("127.0.0.1",), days=(-1, 100))
    with RedisServer(tls=(pair.chain, pair.key_file, authority.file)) as redis:
        good = look(redis.url)
        assert good.verdicts["Redis encryption"] == "ok"
        assert "good for 99 days" in good.told["Redis encryption"]
        for url in (redis.url.partition("?")[0], redis.url.replace("rediss", "redis").partition("?")[0]):
            report = look(url)
            assert found(report) == {"Redis reached": "failure"}
            assert "rediss://" in report.told["Redis reached"] or "ssl_ca_certs" in report.told["Redis reached"]
    with RedisServer() as plain:
        report = look(plain.url.replace("redis://", "rediss://"), "--timeout", "2")
        assert found(report) == {"Redis reached": "failure"}
        assert "redis://" in report.told["Redis reached"]


def test_a_replica_cannot_be_published_to(redis: RedisServer) -> None:
    """It can be read, so a server would seem to be well."""
    with redis.client() as client:
        client.replicaof("127.0.0.1", str(free_port()))
        report = look(redis.url)
    assert found(report) == {"Redis role": "failure"}
    assert "redis+sentinel://" in report.told["Redis role"]


def test_a_redis_that_evicts_or_is_nearly_full_is_told(redis: RedisServer) -> None:
    """Both are warnings: it works until it does not."""
    with redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        evicting = look(redis.url)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 1024)
        full = look(redis.url)
    assert found(evicting) == {"Redis memory": "warning"}
    assert "allkeys-lru" in evicting.told["Redis memory"]
    assert full.verdicts["Redis memory"] == "warning"
    assert "raise maxmemory" in full.told["Redis memory"]


def test_a_redis_that_cannot_save_is_told(redis: RedisServer) -> None:
    """By default it refuses writes from then on."""
    shutil.rmtree(redis._directory)
    with redis.client() as client:
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "saving has failed")
    assert look(redis.url).verdicts["Redis persistence"] == "failure"


def test_an_account_is_told_which_rights_it_lacks(redis: RedisServer) -> None:
    """A server's account needs no more than a server's."""
    with redis.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "pdp", "on", f">{PASSWORD}", "%R~rightcall:*", "~rightcall:attempts:*", "&rightcall:*",
            "+@all", "-publish",
        )  # fmt: skip
    report = look(redis.url.replace("redis://", f"redis://pdp:{PASSWORD}@"))
    assert found(report) == {"Redis rights of a loader": "warning"}
    assert "PUBLISH rightcall:changes" in report.told["Redis rights of a loader"]
    assert "pdp" in report.told["Redis credentials"]
    assert PASSWORD not in report.text


def test_an_account_that_may_not_ask_about_redis_is_no_failure(redis: RedisServer) -> None:
    """What cannot be looked at is skipped, and the rules are looked at all the same."""
    with redis.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "small", "on", f">{PASSWORD}", "%R~rightcall:*", "+@read", "+@connection"
        )
    report = look(redis.url.replace("redis://", f"redis://small:{PASSWORD}@"))
    asking = {f"Redis {name}" for name in ("role", "memory", "persistence", "rights of a server", "rights of a loader")}
    assert (report.code, found(report)) == (0, {})
    assert asking <= report.with_verdict("skipped")
    assert report.verdicts["rules whole"] == "ok"


def test_an_account_that_may_not_read_the_rules_is_a_failure(redis: RedisServer) -> None:
    """Its keys are those of somebody else."""
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "other", "on", f">{PASSWORD}", "~other:*", "+@all")
    report = look(redis.url.replace("redis://", f"redis://other:{PASSWORD}@"))
    assert report.verdicts["rules published"] == "failure"
    assert "give this account its rights" in report.told["rules published"]


def test_pointers_that_are_not_signed_with_our_key_are_told(redis: RedisServer) -> None:
    """Loader and servers have different keys, or somebody else writes."""
    report = look(redis.url, RIGHTCALL_SECRET_KEY="another key of sixteen bytes and more")
    assert found(report) == {"rules published": "failure"}
    assert "2 pointers cannot be used" in report.told["rules published"]
    assert "another key" not in report.text


def test_a_prefix_under_which_nothing_is_published_is_told(redis: RedisServer) -> None:
    """Nor does anybody lead there."""
    report = look(redis.url, "--redis-prefix", "wrong:")
    assert found(report) == {"rules published": "failure", "rules leader": "failure"}
    assert "--redis-prefix" in report.told["rules published"]


def test_snapshots_that_are_missing_or_of_another_format_are_told(redis: RedisServer) -> None:
    """The tenant is named."""
    with redis.client() as client:
        key = next(client.scan_iter(f"rightcall:snapshot:{{{ACME}}}*"))
        blob = client.get(key)
        assert isinstance(blob, bytes)
        client.set(key, blob[:8] + b"\xff" + blob[9:])
        foreign = look(redis.url)
        client.delete(key)
        missing = look(redis.url)
    for report, word in ((foreign, "another format"), (missing, "missing")):
        assert found(report) == {"rules whole": "failure"}
        assert word in report.told["rules whole"]
        assert ACME in report.told["rules whole"]


def test_a_tenant_that_is_pinned_is_a_warning(redis: RedisServer) -> None:
    """Somebody may have forgotten it."""
    revisions = Revisions(open_redis(redis.url), "redis", secret=KEY)
    revisions.roll_back(ACME, str(revisions.kept(ACME)[0].revision))
    report = look(redis.url)
    assert found(report) == {"rules published": "warning"}
    assert f"rightcall unpin {ACME}" in report.told["rules published"]


def test_a_lease_that_nobody_holds_or_that_never_ends_is_told(redis: RedisServer) -> None:
    """In either case no edit arrives, sooner or later."""
    with redis.client() as client:
        client.persist(Keys().leader)
        endless = look(redis.url)
        client.delete(Keys().leader)
        nobody = look(redis.url)
    assert found(endless) == {"rules leader": "failure"}
    assert "delete the key" in endless.told["rules leader"]
    assert found(nobody) == {"rules leader": "failure"}


def test_a_server_that_answers_from_other_rules_is_told(redis: RedisServer) -> None:
    """One that lacks a tenant, has another revision, or has a tenant that is not published."""
    with replica(redis.url) as follower, running_server(current=follower.current) as running:
        until(lambda: follower.denies("118") and follower.denies("119", BOLT, BOB), "it has followed")
        target = running.server.address
        assert look(redis.url, target=target).verdicts["rules served"] == "ok"

        follower.follower.stop()
        source = GivenSource(denying("117"), denying("119", tenant=BOLT, user=BOB))
        assert loader_to(redis, source).sync().published
        other = look(redis.url, target=target)
        follower.current.remove(BOLT)
        lacking = look(redis.url, target=target)

        redis.kill()
        redis.start()
        assert loader_to(redis, GivenSource()).sync().error == ""
        lost = look(redis.url, target=target)
    assert other.verdicts["rules served"] == lacking.verdicts["rules served"] == "failure"
    assert f"another revision of {ACME}" in other.told["rules served"]
    assert f"lacks {BOLT}" in lacking.told["rules served"]
    assert lost.verdicts["rules served"] == "warning"
    assert f"not published here: {ACME}" in lost.told["rules served"]


def test_a_server_of_definitions_has_nothing_to_agree_with(redis: RedisServer) -> None:
    """It follows no Redis."""
    with replica(redis.url) as follower, running_server(current=follower.current) as running:
        follower.current.source = "definitions company.yaml"
        report = look(redis.url, target=running.server.address)
    assert report.verdicts["rules served"] == "skipped"


def test_a_cluster_and_the_master_of_sentinels_are_looked_at() -> None:
    """As one server is, but for encryption, which several addresses have each for itself."""
    for kind in (ClusterSet, SentinelSet):
        with kind() as topology:
            report = look(topology.url)
            assert found(report) == {"rules published": "failure", "rules leader": "failure"}
            assert report.verdicts["Redis encryption"] == "skipped"
            for check in ("role", "memory", "rights of a loader", "clock"):
                assert report.verdicts[f"Redis {check}"] == "ok", report.told
