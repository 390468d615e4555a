"""A server for the tests of programs that ask Rightcall: decides as told, and keeps the requests.

The server needs no rules and nothing but grpcio, listens on a free port of this machine, and serves clients in any
language. A test of the rules themselves needs the real server: ``rightcall serve --definitions rules.yaml``.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import grpc

from rightcall import v1
from rightcall.client.channel import HEALTH_METHOD, HEALTH_SERVING
from rightcall.client.values import Call, Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

__all__ = ["FakeServer"]

_THREADS = 8
_ATTEMPTS = 3
_LOCKOUT_SECONDS = 900


class FakeServer(v1.DecisionServiceServicer):
    """A server that runs inside the block of a ``with`` statement.

    ::

        with FakeServer({"0900123456": Decision.DENY}) as server, Client(server.target) as client:
            assert not client.check(extension="0900123456").allowed
            assert server.calls == [Call(extension="0900123456")]

    The attributes may be changed at any time; the next request sees the change.

    Args:
        decisions: by extension, the decision on each call.
        otherwise: the decision on all other calls.
        pin: opens every challenge; the third wrong one is a lockout.

    Attributes:
        target: the address for clients, with the port.
        decisions: as above.
        otherwise: as above.
        pin: as above.
        calls: the calls that were asked about, in the order of arrival.
        failure: the status of every request, in the place of a response; None: requests are answered.
        delay: seconds before a response.
    """

    def __init__(
        self,
        decisions: Mapping[str, Decision] | None = None,
        *,
        otherwise: Decision = Decision.ALLOW,
        pin: str = "1234",
    ) -> None:
        self.decisions = dict(decisions or {})
        self.otherwise = otherwise
        self.pin = pin
        self.calls: list[Call] = []
        self.failure: grpc.StatusCode | None = None
        self.delay = 0.0
        self._wrong: dict[str, int] = {}
        self._server = grpc.server(ThreadPoolExecutor(_THREADS))
        v1.add_DecisionServiceServicer_to_server(self, self._server)
        self._server.add_generic_rpc_handlers((_Health(),))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        """Serves."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops at once."""
        self._server.stop(None).wait()

    def CheckCall(self, request: v1.CheckCallRequest, context: grpc.ServicerContext) -> v1.CheckCallResponse:  # noqa: N802 - gRPC's name
        """One decision."""
        self._begin(context)
        return self._decide(request)

    def CheckCalls(self, request: v1.CheckCallsRequest, context: grpc.ServicerContext) -> v1.CheckCallsResponse:  # noqa: N802 - gRPC's name
        """Many decisions."""
        self._begin(context)
        return v1.CheckCallsResponse(answers=[v1.CheckCallsAnswer(response=self._decide(one)) for one in request.calls])

    def StreamCheckCalls(  # noqa: N802 - gRPC's name
        self, request_iterator: Iterator[v1.StreamCheckCallsRequest], context: grpc.ServicerContext
    ) -> Iterator[v1.StreamCheckCallsResponse]:
        """Decisions as requests come."""
        for request in request_iterator:
            self._begin(context)
            yield v1.StreamCheckCallsResponse(id=request.id, response=self._decide(request.call))

    def AnswerChallenge(  # noqa: N802 - gRPC's name
        self, request: v1.AnswerChallengeRequest, context: grpc.ServicerContext
    ) -> v1.AnswerChallengeResponse:
        """Whether a PIN is the one."""
        self._begin(context)
        wrong = self._wrong.setdefault(request.challenge, 0)
        if wrong < _ATTEMPTS and request.password == self.pin:
            return v1.AnswerChallengeResponse(decision=v1.Decision.DECISION_ALLOW)
        self._wrong[request.challenge] = wrong + 1
        left = max(0, _ATTEMPTS - 1 - wrong)
        return v1.AnswerChallengeResponse(
            decision=v1.Decision.DECISION_DENY,
            attempts_left=left,
            retry_after_seconds=0 if left else _LOCKOUT_SECONDS,
        )

    def ExplainCall(self, request: v1.ExplainCallRequest, context: grpc.ServicerContext) -> v1.ExplainCallResponse:  # noqa: N802 - gRPC's name
        """A decision, with nothing to explain."""
        self._begin(context)
        return v1.ExplainCallResponse(answer=self._decide(request.call), summary="a test told the server to decide so")

    def _begin(self, context: grpc.ServicerContext) -> None:
        """Waits, and fails where requests are to fail."""
        time.sleep(self.delay)
        if self.failure is not None:
            context.abort(self.failure, "this server was told to fail")

    def _decide(self, request: v1.CheckCallRequest) -> v1.CheckCallResponse:
        fields = {field.name: getattr(request, field.name) for field in request.DESCRIPTOR.fields}
        self.calls.append(Call(**fields))
        decision = self.decisions.get(request.extension, self.otherwise)
        matched = request.extension in self.decisions
        return v1.CheckCallResponse(
            decision=v1.Decision.ValueType(decision),
            stage=v1.Stage.STAGE_USER if matched else v1.Stage.STAGE_NONE,
            permission=v1.Permission(id="1", name="of a test") if matched else None,
            revision="1-000000000000",
            challenge=f"challenge {len(self.calls)}" if decision is Decision.CHALLENGE else "",
            caller_known=bool(request.caller),
            outcall_known=bool(request.outcall),
            reason=v1.Reason.REASON_PERMISSION if matched else v1.Reason.REASON_NO_PERMISSION,
        )


class _Health(grpc.GenericRpcHandler):
    """Says SERVING."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of health checks; None for other methods."""
        if handler_call_details.method != HEALTH_METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: HEALTH_SERVING)
