"""The rights that docs/cli.md lists suffice, and what is missing is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from doctors import examined
from followers import replica
from given import ACME, ALICE, KEY, GivenSource, denying
from redis_server import RedisServer
from structlog.testing import capture_logs
from waiting import until

from loader.cycle import Synchronizer
from loader.publishing.lease import Lease
from loader.publishing.publish import RedisPublisher
from loader.publishing.revisions import Revisions
from pdp.challenges.attempts import Limits, TurnState
from pdp.challenges.attempts_redis import RedisAttempts
from pdp.challenges.delays import Guess, Paces
from pdp.challenges.delays_redis import RedisDelays
from pdp.errors import AttemptsUnavailable
from pdp.rules.model import PasswordOverride
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LIMITS = Limits(attempts=3, lockout_seconds=900)


def listed_rights() -> list[str]:
    """What docs/cli.md tells to give an account."""
    manual = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    found = re.search(r"^ACL SETUSER rightcall on >PASSWORD (.*)$", manual, re.MULTILINE)
    assert found
    return found[1].split()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with RedisServer(password="of-the-default-user") as server:
        yield server


def account(redis: RedisServer, *rights: str) -> str:
    """The URL of an account with these rights."""
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "rightcall", "reset", "on", ">secret", *rights)
    return f"redis://rightcall:secret@127.0.0.1:{redis.port}/0"


def test_the_rights_that_the_manual_lists_suffice(redis: RedisServer) -> None:
    """For loading, following, rolling back, pruning, and counting attempts; the doctor finds none missing."""
    url = account(redis, *listed_rights())
    client = open_redis(url)
    lease = Lease(client, "redis", "one")
    source = GivenSource(denying("118"))
    publisher = RedisPublisher(client, "redis", secret=KEY, lease=lease, keep=2)
    loader = Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL)
    assert lease.claim()
    with replica(url) as server:
        for extension in ("118", "117", "116"):
            source.tenants = (denying(extension),)
            assert loader.sync().error == ""
            until(lambda: server.denies(extension), "it has followed")
        assert server.current.source_error == ""
        revisions = Revisions(client, "redis", secret=KEY)
        revisions.roll_back(ACME, str(revisions.kept()[1].revision))
        until(lambda: server.denies("117"), "it has followed the rollback")
    attempts = RedisAttempts(client, LIMITS)
    turn = attempts.take("alice", "1", "n")
    assert turn.state is TurnState.TAKEN
    assert attempts.succeed("alice", "1", "n", turn, 60)
    delays, guess = RedisDelays(client, Paces()), Guess(ACME, "1", "alice", "client", "mark")
    for _ in range(2):
        delays.succeed(guess, delays.take(guess))
    lease.stop()
    with redis.client() as admin:  # what the doctor needs to ask for the account
        admin.execute_command("ACL", "SETUSER", "rightcall", "+acl|whoami", "+acl|dryrun")
    report = examined("--target", "none", "--http", "none", "--redis", url, RIGHTCALL_SECRET_KEY=KEY.decode())
    assert report.verdicts["Redis rights of a server"] == "ok", report.told["Redis rights of a server"]
    assert report.verdicts["Redis rights of a loader"] == "ok", report.told["Redis rights of a loader"]


def test_a_connection_needs_no_right_to_its_name(redis: RedisServer) -> None:
    """CLIENT SETNAME is for who looks at CLIENT LIST."""
    url = account(redis, *listed_rights(), "-client|setname")
    assert RedisAttempts(open_redis(url), LIMITS).take("alice", "1", "n").state is TurnState.TAKEN


def test_a_right_that_is_missing_is_named(redis: RedisServer) -> None:
    """Redis says only that a script may not run a command; the log says which, and where the rights are listed."""
    attempts = RedisAttempts(open_redis(account(redis, *listed_rights(), "-time")), LIMITS)
    with capture_logs() as logs, pytest.raises(AttemptsUnavailable):
        attempts.take("alice", "1", "n")
    assert "TIME: " in logs[-1]["problem"]
    assert "docs/cli.md" in logs[-1]["advice"]


def test_a_caller_whose_counter_is_damaged_locks_nobody_else_out(redis: RedisServer) -> None:
    """A key of the wrong type refuses that caller's passwords, names the key, and everybody else's are looked at."""
    attempts = RedisAttempts(open_redis(redis.url), LIMITS)
    with redis.client() as client:
        client.set("rightcall:attempts:{alice}", "no hash")
    with capture_logs() as logs, pytest.raises(AttemptsUnavailable):
        attempts.take("alice", "1", "n")
    assert logs[-1]["key"] == "rightcall:attempts:{alice}"
    assert "until the key is deleted" in logs[-1]["advice"]
    assert attempts.take(ALICE, "1", "n").state is TurnState.TAKEN, "at once, not after a second"


def test_a_loader_without_a_right_names_it(redis: RedisServer) -> None:
    """In the report of the cycle, and in what the lease says."""
    client = open_redis(account(redis, *listed_rights(), "-hset"))
    publisher = RedisPublisher(client, "redis", secret=KEY)
    loader = Synchronizer(GivenSource(denying("118")), publisher, secret=KEY, password_override=PasswordOverride.ALL)
    assert "HSET: " in loader.sync().error
    assert "give the loader's Redis user its rights" in loader.sync().error
