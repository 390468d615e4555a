"""Challenges with the programs as a user runs them: loader, Redis, and two servers that count together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from given import ACME, ALICE
from programs import Program, run_program
from redis_server import RedisServer
from waiting import until

from rightcall import Client, Decision, NoAnswer, NotReady

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FREE = ("--listen", "127.0.0.1:0", "--http", "none")
KEY = "0123456789abcdef0123456789abcdef"
PIN = "8093571246"
RULES = f"""
tenants:
  - uuid: {ACME}
    name: acme
    users: [{{uuid: {ALICE}}}]
    call_permissions:
      - {{id: 1, name: abroad, password: "{PIN}", extensions: ["_00."], users: [{ALICE}]}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A definitions file."""
    path = tmp_path / "acme.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis with a password."""
    with RedisServer(password="s3cr3t-of-redis") as server:
        yield server


def challenge_of(client: Client) -> str:
    """The challenge of a call abroad, as soon as there are rules."""
    challenges = []

    def asked() -> bool:
        try:
            answer = client.check(caller=ALICE, extension="0033123456789")
        except NotReady:
            return False
        challenges.append(answer.challenge)
        return answer.decision is Decision.CHALLENGE

    until(asked, "there are rules")
    return challenges[-1]


def test_replicas_share_challenges_and_lockouts(path: Path, redis: RedisServer) -> None:
    """A password that one refuses counts at the other, and no log has it."""
    key = {"RIGHTCALL_SECRET_KEY": KEY}
    wrong = "5550199"
    load = ("load", "--source", str(path), "--redis", redis.url, "--once")
    assert run_program(*load, **key).returncode == 0
    serve = ("serve", "--redis", redis.url, "--recheck", "0.2", "--challenge-attempts", "2", *FREE)
    with Program(*serve, **key) as one, Program(*serve, **key) as two:
        targets = [program.wait_for("server_started")["grpc"] for program in (one, two)]
        with Client(targets[0], timeout=10) as first, Client(targets[1], timeout=10) as second:
            challenges = [challenge_of(client) for client in (first, second)]
            opened = second.answer_challenge(challenges[0], PIN)
            refused = [client.answer_challenge(challenges[1], wrong) for client in (first, second)]
            locked = first.answer_challenge(challenges[1], PIN)
            redis.kill()
            with pytest.raises(NoAnswer, match="passwords cannot be checked now"):
                second.answer_challenge(challenges[1], PIN)
            assert challenge_of(second)
        told = two.wait_for("caller_locked_out")
        events = str(one.events + two.events)
        assert (one.stop(), two.stop()) == (0, 0)

    assert opened.allowed
    assert [(one.allowed, one.attempts_left, one.retry_after) for one in refused] == [(False, 1, 0), (False, 0, 900)]
    assert (locked.allowed, locked.attempts_left) == (False, 0)
    assert (told["tenant"], told["caller"], told["seconds"]) == (ACME, ALICE, 900)
    assert wrong not in events
    assert PIN not in events


def test_a_server_without_a_key_makes_one_for_its_own_definitions(path: Path) -> None:
    """Passwords open calls there; another server's challenges do not."""
    serve = ("serve", "--definitions", str(path), *FREE)
    with Program(*serve) as one:
        with Client(one.wait_for("server_started")["grpc"], timeout=10) as client:
            answer = client.answer_challenge(challenge_of(client), PIN)
        assert one.stop() == 0

    assert answer.allowed
