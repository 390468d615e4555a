"""Mistakes in a Redis URL are usage errors that name them; credentials come from files that are read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from followers import loader_to, replica
from given import KEY, GivenSource, denying
from pki import Authority
from programs import run_program
from redis_server import RedisServer
from redis_topologies import ClusterSet, SentinelSet
from waiting import until

from loader.errors import PublishError
from loader.publishing.publish import RedisPublisher
from rightcall.cli import main
from rightcall.redis_url import RedisUrlError, open_redis

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cr3t-of-redis"


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("redis://:s3cr3t@h/0?ssl_ca_certs=/x", "'ssl_ca_certs' is for TLS; write rediss instead of redis"),
        ("redis://:s3cr3t@h/0?foo=bar", "'foo' is no option; these are: username, "),
        ("redis://:s3cr3t@h/notadb", "the database behind the host is no number"),
        ("redis://:s3cr3t@h/0/1", "the database behind the host is no number"),
        ("redis://:s3cr3t@h/0?db=one", "the value of 'db' cannot be read"),
        ("redis://:s3cr3t@h/0?password_file=/x", "a password and a password_file"),
        ("redis://:s3cr3t@h/0?sentinel_password=s3cr3t", "'sentinel_password' belongs to redis+sentinel://"),
        ("redis://:s3cr3t@a,b/0", "it has several hosts; write redis+sentinel:// or redis+cluster://"),
        ("redis://:s3cr3t#x@h/0", "it has a '#'; write %23 in a password"),
        ("redis://:s3cr3t@h:port/0", "a port is no number"),
        ("redis+sentinel://:s3cr3t@h", "the name by which the sentinels know the master is missing"),
        ("redis+cluster://:s3cr3t@h/0", "a cluster has one database"),
        ("redis+cluster://:s3cr3t@", "a host is missing"),
        ("rediss+cluster://h?ssl_check_hostname=perhaps", "the value of 'ssl_check_hostname' cannot be read"),
        ("localhost:6379", "it does not begin like one"),
    ],
)
def test_the_mistake_is_named_and_the_password_is_not(url: str, mistake: str) -> None:
    """Behind it stand the forms that can be read."""
    with pytest.raises(RedisUrlError) as caught:
        open_redis(url)
    assert mistake in str(caught.value)
    assert "write it as redis://" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("command", ["serve", "load", "revisions", "unpin"])
def test_a_mistake_is_a_usage_error_of_every_command(command: str, tmp_path: Path) -> None:
    """Exit code 2 and one line, where there were 200 lines of a traceback and 70."""
    path = tmp_path / "acme.yaml"
    path.write_text("tenants: []\n")
    more = {"load": ["--source", str(path), "--once"], "unpin": ["00000000-0000-4000-8000-000000000000"]}
    ran = CliRunner().invoke(main, [command, "--redis", "redis://h/0?foo=bar", *more.get(command, [])])
    assert ran.exit_code == 2
    assert "'foo' is no option" in " ".join(ran.output.split())
    assert "Traceback" not in ran.output


def told(*arguments: str) -> tuple[int, str]:
    """What a program says at its end, in one line."""
    ran = run_program(*arguments, RIGHTCALL_SECRET_KEY=KEY.decode())
    return ran.returncode, " ".join((ran.stdout + ran.stderr).replace("│", " ").split())


def test_one_kind_of_redis_taken_for_another_is_a_usage_error() -> None:
    """A single server for a cluster, a cluster's node and a sentinel for a single server."""
    with RedisServer() as redis:
        code, text = told("serve", "--redis", f"redis+cluster://127.0.0.1:{redis.port}", "--listen", "127.0.0.1:0")
        assert (code, "it leads to a single server, which is no cluster" in text) == (2, True), text
        code, text = told("revisions", "--redis", f"redis+sentinel://127.0.0.1:{redis.port}/main/0")
        assert (code, "which is no sentinel; write redis://" in text) == (2, True), text
    with ClusterSet() as cluster:
        code, text = told("revisions", "--redis", f"redis://127.0.0.1:{cluster.nodes[0]}/0")
        assert (code, "a node of a cluster; write redis+cluster://" in text) == (2, True), text
        code, text = told("revisions", "--redis", cluster.url, "--json")
        assert (code, '"revisions": []' in text) == (0, True), text


def test_a_cluster_that_is_down_is_told_of_as_any_other_redis() -> None:
    """It is no defect of ours: the client's own kind of error is none of Redis' errors."""
    with pytest.raises(PublishError, match="the cluster cannot be reached"):
        RedisPublisher(open_redis("redis+cluster://127.0.0.1:1"), "redis").standing()


def test_a_password_in_a_file_is_read_for_each_connection(tmp_path: Path) -> None:
    """It is rotated without a restart: the next connection has the new one."""
    path = tmp_path / "password"
    path.write_text("the-first\n")
    with RedisServer(password="the-first") as redis:
        loader = loader_to(redis, source := GivenSource(denying("118")))
        url = f"redis://default@127.0.0.1:{redis.port}/0?password_file={path}"
        with replica(url) as server:
            assert not loader.sync().error
            until(lambda: server.denies("118"), "it has loaded")
            with redis.client() as client:
                client.config_set("requirepass", "the-second")
                path.write_text("the-second\n")
                client.client_kill_filter(_type="normal", skipme=True)
                client.client_kill_filter(_type="pubsub", skipme=True)
            redis.url = redis.url.replace("the-first", "the-second")
            source.tenants = (denying("117"),)
            assert not loader_to(redis, source).sync().error
            until(lambda: server.denies("117"), "it has connected with the new password")
            until(lambda: server.current.source_error == "", "all is well")


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Neither a defect nor a dump of objects."""
    with RedisServer(password=SECRET) as redis:
        for content, problem in ((None, "No such file"), ("", "is empty")):
            path = tmp_path / "password"
            if content is not None:
                path.write_text(content)
            publisher = RedisPublisher(open_redis(f"redis://127.0.0.1:{redis.port}/0?password_file={path}"), "redis")
            with pytest.raises(PublishError, match=f"refused the credentials.*{path}.*{problem}"):
                publisher.standing()


def test_sentinels_have_a_password_and_tls_of_their_own(tmp_path: Path) -> None:
    """The servers' password does not go to them; without theirs the error says so in a sentence."""
    path = tmp_path / "sentinels"
    path.write_text(SECRET)
    with SentinelSet(password=SECRET) as redis:
        with pytest.raises(PublishError) as caught:
            RedisPublisher(open_redis(redis.url), "redis").standing()
        assert "it wants a password; give sentinel_password_file" in str(caught.value)
        assert f"127.0.0.1:{redis.sentinels[0]}: " in str(caught.value)
        assert "<" not in str(caught.value)
        for more in (f"sentinel_password={SECRET}", f"sentinel_password_file={path}"):
            assert RedisPublisher(open_redis(f"{redis.url}?{more}"), "redis").standing() == {}


def test_sentinels_are_asked_over_tls(tmp_path: Path) -> None:
    """With an authority of their own."""
    authority = Authority(tmp_path)
    pair = authority.issue("sentinel", addresses=("127.0.0.1",))
    with SentinelSet(tls=(pair.chain, pair.key_file, authority.file)) as redis:
        good = f"{redis.url}?sentinel_ssl=true&sentinel_ssl_ca_certs={authority.file}"
        assert RedisPublisher(open_redis(good), "redis").standing() == {}
        with pytest.raises(PublishError, match="certificate verify failed"):
            RedisPublisher(open_redis(f"{redis.url}?sentinel_ssl=true"), "redis").standing()
