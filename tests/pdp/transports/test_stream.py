"""StreamCheckCalls on real connections: answers tagged, errors apart, back-pressure, limits, and the server's stop."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Self

import grpc
import pytest
from given import ALICE, BOB, KEY, denying
from server import DEADLINE, Running, current_of, running_server, snapshot_of
from waiting import until

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import decode
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.transports.choice import Transport

pytestmark = pytest.mark.every_transport

METHOD = "/rightcall.v1.DecisionService/StreamCheckCalls"
DENY, ALLOW = v1.Decision.DECISION_DENY, v1.Decision.DECISION_ALLOW
PATIENCE = 60.0
"""Seconds that a stream of a test may last."""


@pytest.fixture(scope="module")
def running(tested_transport: Transport) -> Iterator[Running]:
    """A server."""
    with running_server(denying("_0!"), transport=tested_transport) as it:
        yield it


class Conversation:
    """A stream whose questions a test asks one by one."""

    def __init__(self, running: Running) -> None:
        self._questions: queue.SimpleQueue[v1.StreamCheckCallsRequest | None] = queue.SimpleQueue()
        self.answers = running.decisions.StreamCheckCalls(iter(self._questions.get, None), timeout=PATIENCE)

    def ask(self, identity: str, extension: str) -> None:
        """Sends a question."""
        self._questions.put(question(identity, extension))

    def end(self) -> None:
        """Has no more questions."""
        self._questions.put(None)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Goes away, however far it got."""
        self.answers.cancel()
        self.end()


def question(identity: str, extension: str, *, caller: str = ALICE, at_least: int = 0) -> v1.StreamCheckCallsRequest:
    """A question."""
    call = v1.CheckCallRequest(caller=caller, extension=extension, at_least_revision=at_least)
    return v1.StreamCheckCallsRequest(id=identity, call=call)


def streams_counted(running: Running, code: str) -> float | None:
    """How many streams ended so."""
    labels = {"method": "StreamCheckCalls", "code": code}
    return running.metrics.registry.get_sample_value("rightcall_grpc_requests_total", labels)


def test_answers_come_one_by_one_with_their_questions_ids(running: Running) -> None:
    """Each before the next question is asked; any text is an id."""
    with Conversation(running) as conversation:
        told = []
        for identity, extension in (("a", "0033"), ("", "112"), ("a", "112"), ("é\n" * 99, "00")):
            conversation.ask(identity, extension)
            answer = next(conversation.answers)
            told.append((answer.id, answer.response.decision, answer.response.revision))

    revision = "1-abababababab"
    assert told == [
        ("a", DENY, revision),
        ("", ALLOW, revision),
        ("a", ALLOW, revision),
        ("é\n" * 99, DENY, revision),
    ]


def test_many_questions_at_once_are_answered_in_their_order(running: Running) -> None:
    """And each counts as a decision; the stream itself as one request."""
    before = running.metrics.registry.get_sample_value("rightcall_check_duration_seconds_count") or 0
    questions = [question(str(number), "0033" if number % 2 else "112") for number in range(3000)]

    answers = list(running.decisions.StreamCheckCalls(iter(questions), timeout=PATIENCE))

    after = running.metrics.registry.get_sample_value("rightcall_check_duration_seconds_count")
    assert [answer.id for answer in answers] == [str(number) for number in range(3000)]
    assert [answer.response.decision for answer in answers] == [ALLOW, DENY] * 1500
    assert after == before + 3000
    until(lambda: streams_counted(running, "OK"), "the stream is counted")


@pytest.mark.parametrize(
    ("faulty", "code", "message"),
    [
        (question("x", ""), grpc.StatusCode.INVALID_ARGUMENT, "send what was dialled"),
        (question("x", "1\n"), grpc.StatusCode.INVALID_ARGUMENT, "U+000A"),
        (v1.StreamCheckCallsRequest(id="x"), grpc.StatusCode.INVALID_ARGUMENT, "empty"),
        (
            v1.StreamCheckCallsRequest(id="x", call=v1.CheckCallRequest(extension="1", tenant=BOB)),
            grpc.StatusCode.NOT_FOUND,
            "not known here",
        ),
        (question("x", "1", at_least=2), grpc.StatusCode.FAILED_PRECONDITION, "revision 2 is asked for"),
    ],
)
def test_a_bad_question_gets_an_error_and_the_stream_goes_on(
    running: Running, faulty: v1.StreamCheckCallsRequest, code: grpc.StatusCode, message: str
) -> None:
    """With the status that it would have got alone."""
    questions = [question("a", "0033"), faulty, question("b", "112")]

    answers = list(running.decisions.StreamCheckCalls(iter(questions), timeout=PATIENCE))

    assert [answer.id for answer in answers] == ["a", "x", "b"]
    assert answers[1].error.code == code.value[0]
    assert message in answers[1].error.message
    assert [answers[at].response.decision for at in (0, 2)] == [DENY, ALLOW]


def test_bytes_that_are_no_question_get_an_error_and_the_stream_goes_on(running: Running) -> None:
    """Nobody knows their id, so the answer has none."""
    stream = running.channel.stream_stream(
        METHOD, request_serializer=bytes, response_deserializer=v1.StreamCheckCallsResponse.FromString
    )
    messages = [b"\xff\xff\xff", question("b", "112").SerializeToString(), b"\x0a\x01\xff"]

    answers = list(stream(iter(messages), timeout=PATIENCE))

    assert [answer.WhichOneof("result") for answer in answers] == ["error", "response", "error"]
    assert [answer.id for answer in answers] == ["", "b", ""]
    assert answers[0].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert answers[0].error.message == "the bytes are no rightcall.v1.StreamCheckCallsRequest"


def test_whoever_does_not_read_is_not_asked_for_more() -> None:
    """Memory stays bounded: the server stops reading, and decides nothing in advance."""
    long = "9" * 60_000
    asked = 0

    def questions() -> Iterator[v1.StreamCheckCallsRequest]:
        nonlocal asked
        for number in range(4000):
            asked += 1
            yield question(f"{number} {long}", "0033")

    with running_server(denying("_0!")) as running:
        answers = running.decisions.StreamCheckCalls(questions(), timeout=PATIENCE)
        first = next(answers)
        settled = [-1, -2]

        def quiet() -> bool:
            settled.append(asked)
            time.sleep(0.2)
            return len(set(settled[-3:])) == 1

        until(quiet, "no more questions are taken")
        taken = asked
        rest = sum(1 for _ in answers)

    assert first.id.startswith("0 ")
    assert taken < 1000
    assert rest == 3999


def test_streams_leave_threads_to_other_calls_and_one_too_many_is_told() -> None:
    """With two threads for calls, and eight streams open."""
    with running_server(denying("_0!"), threads=2, max_streams=8) as running:
        conversations = [Conversation(running) for _ in range(8)]
        for conversation in conversations:
            conversation.ask("a", "0033")
            assert next(conversation.answers).response.decision == DENY
        with pytest.raises(grpc.RpcError) as refused, Conversation(running) as ninth:
            next(ninth.answers)
        single = running.decisions.CheckCall(question("", "112").call, timeout=DEADLINE)
        conversations.pop().end()

        def another() -> bool:
            with Conversation(running) as conversation:
                conversation.ask("b", "112")
                try:
                    return next(conversation.answers).id == "b"
                except grpc.RpcError:
                    return False

        until(another, "the place that is free again is given to another stream")
        for conversation in conversations:
            conversation.end()

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details() == (
        "8 streams are open here, and no more are served; share one, or ask another server"
    )
    assert single.decision == ALLOW


def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    """Its place is free at once."""
    with running_server(denying("_0!"), max_streams=1) as running:
        for _ in range(5):

            def served() -> bool:
                with Conversation(running) as conversation:
                    conversation.ask("a", "0033")
                    try:
                        return next(conversation.answers).id == "a"
                    except grpc.RpcError:
                        return False

            until(served, "the place is free")
        # Of a client that went away, grpcio may first say that there are no more questions: then it ended well.
        ends = ("CANCELLED", "OK")
        until(lambda: sum(streams_counted(running, code) or 0 for code in ends) >= 5, "ended streams are counted")


def test_rules_that_change_while_a_stream_is_open_hold_from_the_next_question_on() -> None:
    """By the revision that each answer names."""
    with running_server(denying("_0!")) as running, Conversation(running) as conversation:
        conversation.ask("a", "0033")
        before = next(conversation.answers).response
        running.current.replace(snapshot_of(denying("_9!"), number=2))
        conversation.ask("b", "0033")
        after = next(conversation.answers).response

    assert (before.decision, before.revision[:2]) == (DENY, "1-")
    assert (after.decision, after.revision[:2]) == (ALLOW, "2-")


def test_a_stop_does_not_wait_for_idle_streams() -> None:
    """They are told to go elsewhere, long before the time for calls in flight is over."""
    with running_server(denying("_0!"), drain_seconds=3600) as running:
        conversations = [Conversation(running) for _ in range(3)]
        for conversation in conversations:
            conversation.ask("a", "0033")
            next(conversation.answers)
        running.server.stop()  # if it waited, the test would run out of time
        codes = set()
        for conversation in conversations:
            with pytest.raises(grpc.RpcError) as ended:
                next(conversation.answers)
            codes.add(ended.value.code())
            conversation.end()

    assert codes <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


def test_a_stop_ends_a_busy_stream_behind_an_answer() -> None:
    """What was answered is an unbroken row, and the status tells to go elsewhere."""
    stopped = threading.Event()

    def questions() -> Iterator[v1.StreamCheckCallsRequest]:
        number = 0
        while not stopped.is_set():
            yield question(str(number), "0033")
            number += 1

    with running_server(denying("_0!"), drain_seconds=30) as running:
        answers = running.decisions.StreamCheckCalls(questions(), timeout=PATIENCE)
        got = [next(answers).id for _ in range(100)]
        stopping = threading.Thread(target=running.server.stop)
        stopping.start()
        with pytest.raises(grpc.RpcError) as ended:
            got.extend(answer.id for answer in answers)
        stopped.set()
        stopping.join()

    assert got == [str(number) for number in range(len(got))]
    assert ended.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_a_challenge_of_a_stream_is_answered_as_any_other() -> None:
    """On the same connection, by another method."""
    compiler = Compiler(secret=KEY)
    rules = decode(compiler.compile(denying("_0!", password="42"), Revision(1, "ab" * 32), compiled_at=1.5e9))
    with running_server(current=current_of(rules), secrets=(KEY,)) as running:
        (asked,) = running.decisions.StreamCheckCalls(iter([question("a", "0033")]), timeout=PATIENCE)
        request = v1.AnswerChallengeRequest(challenge=asked.response.challenge, password="42")
        answer = running.decisions.AnswerChallenge(request, timeout=DEADLINE)

    assert (answer.decision, answer.revision) == (ALLOW, asked.response.revision)
