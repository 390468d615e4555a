"""Challenges, streams and revisions as the client library has them, blocking and asynchronous, on a real server."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from given import ALICE, KEY, denying
from server import Running, current_of, running_server
from waiting import DEADLINE

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import decode
from rightcall import (
    Answer,
    Call,
    ChallengeAnswer,
    ChallengeOver,
    Client,
    Decision,
    InvalidCall,
    NoAnswer,
    RightcallError,
    RulesBehind,
    Unreachable,
    aio,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

REVISION = "1-abababababab"
FREE, ASKING = Call(caller=ALICE, extension="112"), Call(caller=ALICE, extension="0033")


@pytest.fixture
def running() -> Iterator[Running]:
    """A server that checks passwords."""
    compiler = Compiler(secret=KEY)
    rules = decode(compiler.compile(denying("_0!", password="42"), Revision(1, "ab" * 32), compiled_at=1.5e9))
    with running_server(current=current_of(rules), secrets=(KEY,)) as it:
        yield it


def test_a_password_opens_a_call(running: Running) -> None:
    """And a wrong one says how many are left, until there is a lockout."""
    with Client(running.server.address, timeout=DEADLINE) as client:
        asked = client.check(extension="0033", caller=ALICE)
        opened = client.answer_challenge(asked.challenge, "42")
        with pytest.raises(ChallengeOver, match="opened a call before"):
            client.answer_challenge(asked.challenge, "42")
        asked = client.check(extension="0033", caller=ALICE)
        refused = [client.answer_challenge(asked.challenge, "43") for _ in range(4)]

    assert (opened, opened.allowed) == (ChallengeAnswer(Decision.ALLOW, 0, REVISION, 0), True)
    assert [(one.allowed, one.attempts_left, one.retry_after) for one in refused[:3]] == [
        (False, 2, 0),
        (False, 1, 0),
        (False, 0, 900),
    ]
    assert 890 < refused[3].retry_after <= 900


def test_what_is_no_password_or_no_challenge_is_a_question_at_fault(running: Running) -> None:
    """And no message repeats what was dialled."""
    with Client(running.server.address, timeout=DEADLINE) as client:
        for challenge, password in (("x", "1234"), ("", "1234"), ("x", "12a4"), ("x", "\ud800")):
            with pytest.raises(InvalidCall) as refused:
                client.answer_challenge(challenge, password)
            assert password not in str(refused.value)
            assert refused.value.__cause__ is None or password not in str(refused.value.__cause__)


def test_a_question_may_ask_for_a_revision(running: Running) -> None:
    """One that is not there yet is an error of its own; a number that is none is refused here."""
    with Client(running.server.address, timeout=DEADLINE) as client:
        answer = client.check(extension="112", caller=ALICE, at_least_revision=1)
        with pytest.raises(RulesBehind, match="revision 2 is asked for"):
            client.check(extension="112", caller=ALICE, at_least_revision=2)
        many = client.check_many([FREE, Call(caller=ALICE, extension="1", at_least_revision=2)])
        with pytest.raises(InvalidCall, match="asks for a revision that is none"):
            client.check(extension="112", at_least_revision=2**63)

    assert answer.revision == REVISION
    assert isinstance(many[1], RulesBehind)


def test_a_stream_answers_each_question(running: Running) -> None:
    """Tagged, in order, errors among answers."""
    questions = [("a", FREE), ("b", Call(extension="")), ("c", ASKING)]
    with Client(running.server.address) as client:
        told = dict(client.check_stream(questions))
        endless = client.check_stream((str(number), FREE) for number in iter(int, 1))
        some = [identity for identity, _ in islice(endless, 3)]
        endless.close()  # type: ignore[attr-defined] # it is a generator

    assert list(told) == ["a", "b", "c"]
    assert [isinstance(one, Answer) and one.decision for one in told.values()] == [
        Decision.ALLOW,
        False,
        Decision.CHALLENGE,
    ]
    assert isinstance(told["b"], InvalidCall)
    assert some == ["0", "0", "0"]


def test_what_questions_raise_comes_behind_the_answers(running: Running) -> None:
    """Neither lost nor logged somewhere."""

    def questions() -> Iterator[tuple[str, Call]]:
        yield "a", FREE
        raise LookupError("no more calls")

    told: list[str] = []
    with Client(running.server.address) as client, pytest.raises(LookupError, match="no more calls"):
        told.extend(identity for identity, _ in client.check_stream(questions()))
    with Client(running.server.address) as client, pytest.raises(InvalidCall):
        list(client.check_stream([("\ud800", FREE)]))

    assert told == ["a"]


def test_a_stream_that_breaks_says_so(running: Running) -> None:
    """As soon as the server stops; and where there is none, at once."""
    with Client(running.server.address) as client:
        endless = client.check_stream((str(number), FREE) for number in range(10**9))
        next(endless)
        running.server.stop()
        with pytest.raises(NoAnswer):
            list(endless)
    with Client("127.0.0.1:1") as client, pytest.raises(Unreachable):
        list(client.check_stream([("a", FREE)]))


def test_the_asynchronous_client_does_the_same(running: Running) -> None:
    """Passwords, streams, revisions."""

    async def questions() -> AsyncIterator[tuple[str, Call]]:
        yield "a", FREE
        yield "b", ASKING
        yield "\ud800", FREE

    async def talk() -> tuple[ChallengeAnswer, list[tuple[str, Answer | RightcallError]]]:
        told: list[tuple[str, Answer | RightcallError]] = []

        async def stream(client: aio.Client) -> None:
            async for one in client.check_stream(questions()):
                told.append(one)  # noqa: PERF401 - what comes before an error counts

        async with aio.Client(running.server.address, timeout=DEADLINE) as client:
            asked = await client.check(extension="0033", caller=ALICE, at_least_revision=1)
            with pytest.raises(RulesBehind):
                await client.check(extension="0033", caller=ALICE, at_least_revision=2)
            opened = await client.answer_challenge(asked.challenge, "42")
            with pytest.raises(ChallengeOver):
                await client.answer_challenge(asked.challenge, "42")
            with pytest.raises(InvalidCall):
                await stream(client)
        return opened, told

    opened, told = asyncio.run(talk())

    assert opened.allowed
    assert [(identity, getattr(answer, "decision", None)) for identity, answer in told] == [
        ("a", Decision.ALLOW),
        ("b", Decision.CHALLENGE),
    ]
