"""Streams over the core: plain requests by the core, the others by Python in their place."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import grpc
from cores import CALL, DENY, asked, built, entries, in_python, logged, served, value
from given import ALICE, denying
from security import refusal
from server import DEADLINE
from waiting import until

from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = built


def test_a_stream_of_plain_calls_does_not_reach_python() -> None:
    """Not even as it ends; and it is counted, with each of its answers."""
    with served(denying("0900")) as running:
        answers = list(running.decisions.StreamCheckCalls(asked(*[CALL] * 500), timeout=DEADLINE))
        python = in_python(running)
        streams = value(running, "grpc_requests_total", method="StreamCheckCalls", code="OK")
        times = value(running, "grpc_request_duration_seconds_count", method="StreamCheckCalls")
        decisions = value(running, "decisions_total", decision="deny", stage="user")

    assert [answer.id for answer in answers] == [str(at) for at in range(500)]
    assert {answer.response.decision for answer in answers} == {DENY}
    assert (python, streams, times, decisions) == (0, 1, 500, 500)


def test_requests_of_a_stream_that_are_not_plain_are_answered_in_their_place() -> None:
    """By Python, in order with the others; the stream goes on."""
    wrong = v1.CheckCallRequest(caller=ALICE, extension="")
    odd = v1.CheckCallRequest(caller=ALICE, extension="0900é")
    with served(denying("0900")) as running:
        answers = list(running.decisions.StreamCheckCalls(asked(CALL, wrong, CALL, odd, CALL), timeout=DEADLINE))
        streams = value(running, "grpc_requests_total", method="StreamCheckCalls", code="OK")

    assert [answer.id for answer in answers] == ["0", "1", "2", "3", "4"]
    assert [answer.WhichOneof("result") for answer in answers] == ["response", "error", *["response"] * 3]
    assert answers[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert streams == 1


def test_the_decision_log_has_one_id_for_a_stream(tmp_path: Path) -> None:
    """That comes back in the trailers, wherever requests are answered."""
    odd = v1.CheckCallRequest(caller=ALICE, extension="0900é")
    with served(denying("0900"), decision_log=logged(tmp_path)) as running:
        plain = running.decisions.StreamCheckCalls(asked(CALL, CALL), timeout=DEADLINE)
        assert len(list(plain)) == 2
        assert in_python(running) == 0
        mixed = running.decisions.StreamCheckCalls(asked(CALL, odd, CALL), timeout=DEADLINE)
        assert len(list(mixed)) == 3
        ids = [str(dict(stream.trailing_metadata())["rightcall-decision-id"]) for stream in (plain, mixed)]
        until(lambda: value(running, "decision_log_entries_total", result="written") == 5, "all are written")

    logged_ids = sorted(entry["decision_id"] for entry in entries(tmp_path))
    assert logged_ids == sorted([ids[0], f"{ids[0]}.2", ids[1], f"{ids[1]}.2", f"{ids[1]}.3"])


def test_there_are_only_so_many_streams() -> None:
    """One too many is told so, and one that ends makes room."""
    release = threading.Event()

    def silence() -> Iterator[v1.StreamCheckCallsRequest]:
        yield from asked(CALL)
        release.wait(DEADLINE)

    with served(denying("0900"), max_streams=1) as running:
        first = running.decisions.StreamCheckCalls(silence(), timeout=DEADLINE)
        next(first)
        other = refusal(lambda: list(running.decisions.StreamCheckCalls(asked(CALL), timeout=DEADLINE)))
        release.set()
        list(first)

        def goes() -> bool:
            ask = running.decisions.StreamCheckCalls
            return refusal(lambda: list(ask(asked(CALL), timeout=DEADLINE))) is grpc.StatusCode.OK

        until(goes, "there is room again")

    assert other is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_stop_ends_streams_that_stand_idle() -> None:
    """With a status that says why, long before the time for calls in flight is over."""
    release = threading.Event()

    def silence() -> Iterator[v1.StreamCheckCallsRequest]:
        yield from asked(CALL)
        release.wait(DEADLINE)

    with served(denying("0900"), drain_seconds=300) as running:
        stream = running.decisions.StreamCheckCalls(silence(), timeout=60)
        next(stream)
        running.server.stop()
        end = refusal(lambda: list(stream))
        release.set()

    assert end is grpc.StatusCode.UNAVAILABLE
