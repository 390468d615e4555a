"""The fake server for users' own tests: the clients cannot tell it from a real one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from rightcall import Answer, Call, Client, DeadlineExceeded, Decision, Unreachable, aio
from rightcall.testing import FakeServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A server that denies one extension and asks for a PIN at another."""
    with FakeServer({"0900": Decision.DENY, "0033": Decision.CHALLENGE}, pin="4321") as server:
        yield server


def test_it_decides_as_told_and_keeps_what_it_was_asked(fake: FakeServer) -> None:
    """However it is asked; what it is told later counts as well."""
    with Client(fake.target) as client:
        assert client.healthy()
        assert client.check(extension="0900", caller="alice").decision is Decision.DENY
        many = client.check_many([Call(extension="200"), Call(extension="0900", outcall="3")])
        fake.decisions["200"] = Decision.DENY
        streamed = dict(client.check_stream([("a", Call(extension="200"))]))

    assert [one.decision for one in many if isinstance(one, Answer)] == [Decision.ALLOW, Decision.DENY]
    assert isinstance(streamed["a"], Answer)
    assert streamed["a"].decision is Decision.DENY
    assert [call.extension for call in fake.calls] == ["0900", "200", "0900", "200"]
    assert (fake.calls[0].caller, fake.calls[2].outcall) == ("alice", "3")


def test_its_challenges_open_with_its_pin(fake: FakeServer) -> None:
    """Wrong ones are counted; the third is a lockout, which the right one does not end."""

    async def dialled(*pins: str) -> list[tuple[bool, int, int]]:
        async with aio.Client(fake.target) as client:
            challenge = (await client.check(extension="0033")).challenge
            answers = [await client.answer_challenge(challenge, pin) for pin in pins]
        return [(one.allowed, one.attempts_left, one.retry_after) for one in answers]

    assert asyncio.run(dialled("1111", "4321")) == [(False, 2, 0), (True, 0, 0)]
    locked = (False, 0, 900)
    assert asyncio.run(dialled("1", "2", "3", "4321")) == [(False, 2, 0), (False, 1, 0), locked, locked]


def test_it_fails_and_dawdles_as_told(fake: FakeServer) -> None:
    """As a server that is away or frozen does."""
    with Client(fake.target, retry=False) as client:
        fake.failure = grpc.StatusCode.UNAVAILABLE
        with pytest.raises(Unreachable):
            client.check(extension="200")
        fake.failure, fake.delay = None, 0.3
        with pytest.raises(DeadlineExceeded):
            client.check(extension="200", timeout=0.05)
