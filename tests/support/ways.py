"""One call, asked on every way that a server has, for tests: each is to answer the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from authzen_client import ask as ask_authzen
from server import DEADLINE

from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from server import Running

_STATUSES = {400: "INVALID_ARGUMENT", 422: "NOT_FOUND", 409: "FAILED_PRECONDITION", 503: "UNAVAILABLE"}
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class Told(NamedTuple):
    """What came back: an error's status alone, or a decision with all that says why."""

    error: str = ""
    decision: str = ""
    stage: str = ""
    reason: str = ""
    caller_known: bool = False
    outcall_known: bool = False


def every_way(running: Running, calls: Sequence[v1.CheckCallRequest]) -> dict[str, list[Told]]:
    """What a server says to these calls, by the way that they are asked."""
    return {
        "alone": [_alone(running, call) for call in calls],
        "many": _many(running, calls),
        "stream": _stream(running, calls),
        "explained": [_explained(running, call) for call in calls],
        "AuthZEN": [_authzen(running, call) for call in calls],
        "AuthZEN, many": _authzen_many(running, calls),
    }


def told(response: v1.CheckCallResponse) -> Told:
    """A response of gRPC."""
    return Told(
        "",
        v1.Decision.Name(response.decision).removeprefix("DECISION_"),
        v1.Stage.Name(response.stage).removeprefix("STAGE_"),
        v1.Reason.Name(response.reason).removeprefix("REASON_"),
        response.caller_known,
        response.outcall_known,
    )


def _alone(running: Running, call: v1.CheckCallRequest) -> Told:
    try:
        return told(running.decisions.CheckCall(call, timeout=DEADLINE))
    except grpc.RpcError as error:
        return Told(error.code().name)


def _many(running: Running, calls: Sequence[v1.CheckCallRequest]) -> list[Told]:
    found: list[Told] = []
    for start in range(0, len(calls), 500):
        request = v1.CheckCallsRequest(calls=calls[start : start + 500])
        answers = running.decisions.CheckCalls(request, timeout=DEADLINE).answers
        found += [told(one.response) if one.HasField("response") else Told(_CODES[one.error.code]) for one in answers]
    return found


def _stream(running: Running, calls: Sequence[v1.CheckCallRequest]) -> list[Told]:
    requests = (v1.StreamCheckCallsRequest(id=str(at), call=call) for at, call in enumerate(calls))
    answers = running.decisions.StreamCheckCalls(requests, timeout=DEADLINE * 3)
    return [told(one.response) if one.HasField("response") else Told(_CODES[one.error.code]) for one in answers]


def _explained(running: Running, call: v1.CheckCallRequest) -> Told:
    try:
        explained = running.decisions.ExplainCall(v1.ExplainCallRequest(call=call), timeout=DEADLINE)
    except grpc.RpcError as error:
        return Told(error.code().name)
    answer = told(explained.answer)
    assert (explained.caller_known, explained.outcall_known) == answer[4:]
    return answer


def _evaluation(call: v1.CheckCallRequest) -> dict[str, Any]:
    context = {"outcall": call.outcall, "tenant": call.tenant, "forwarded_by": call.forwarded_by}
    return {
        "subject": {"type": "user", "id": call.caller},
        "action": {"name": "call"},
        "resource": {"type": "extension", "id": call.extension},
        "context": {name: value for name, value in context.items() if value},
    }


def _authzen(running: Running, call: v1.CheckCallRequest) -> Told:
    answer = ask_authzen(running, _evaluation(call))
    if answer.status != 200:
        return Told(_STATUSES[answer.status])
    return _in_context(answer.document)


def _authzen_many(running: Running, calls: Sequence[v1.CheckCallRequest]) -> list[Told]:
    found: list[Told] = []
    for start in range(0, len(calls), 500):
        evaluations = [_evaluation(call) for call in calls[start : start + 500]]
        answer = ask_authzen(running, {"evaluations": evaluations}, path="/access/v1/evaluations")
        assert answer.status == 200, json.dumps(answer.document)
        found += [_in_context(one) for one in answer.document["evaluations"]]
    return found


def _in_context(document: Mapping[str, Any]) -> Told:
    context = document["context"]
    if "error" in context:
        assert document["decision"] is False
        return Told(_STATUSES[context["error"]["status"]])
    assert document["decision"] is (context["decision"] == "ALLOW")
    return Told("", *(context[name] for name in Told._fields[1:]))
