"""Server spans: requests, statuses and decisions, for collectors of OpenTelemetry.

Only a server that traces imports this module, which wraps handlers and routes when the server is put together; without
tracing there is no cost. Names follow OpenTelemetry's conventions for RPC and HTTP; docs/tracing.md describes each
attribute. Callers and extensions are not among the attributes.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

import grpc
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, StatusCode
from starlette.exceptions import HTTPException
from starlette.routing import Route

from pdp.authzen.evaluator import EVALUATIONS
from pdp.decision_log.ids import request_id
from pdp.rules.model import Decision
from pdp.security.identity import ASKING
from pdp.services.methods import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer
    from starlette.requests import Request
    from starlette.responses import Response

    from pdp.decision_log.log import Recorder
    from pdp.rules.model import Call
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome

    _Handler = grpc.RpcMethodHandler[Any, Any]
    _Continuation = Callable[[grpc.HandlerCallDetails], _Handler | None]

_OURS: Final = "/rightcall."
"""The prefix of traced methods: spans of probes and reflection would drown those of interest."""
_KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
_SEVERAL: Final = ("CheckCalls", "StreamCheckCalls")
"""Methods that decide more than one call; their spans have counts in place of one decision."""
_FAULTS: Final = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))
"""Statuses that are a server's fault, by the conventions; a client's mistake is no error of this span."""
_FIRST_FAULT: Final = 500
"""HTTP statuses that are a server's fault."""


class _Traced:
    """A request with an open span, and the decisions so far.

    Args:
        span: of the request.
        several: whether the request may need more than one decision.
    """

    __slots__ = ("_counts", "_several", "_span")

    def __init__(self, span: Span, *, several: bool) -> None:
        self._span = span
        self._several = several
        self._counts: Counter[Decision] = Counter()

    def decided(self, snapshot: Snapshot | None, outcome: Outcome, challenge: str) -> None:
        """Notes a decision."""
        verdict = outcome.verdict
        said: dict[str, str] = {}
        if not self._counts:
            client = ASKING.get()
            said = {"client": client.name if client is not None else "", "decision_id": request_id()}
        self._counts[verdict.decision] += 1
        if not self._several:
            said |= {
                "decision": verdict.decision.name,
                "stage": verdict.stage.name,
                "reason": outcome.reason.name,
                "permission_id": "" if verdict.permission_id is None else str(verdict.permission_id),
                "tenant": snapshot.tenant if snapshot is not None else "",
                "revision": str(snapshot.revision) if snapshot is not None else "",
                "challenge": challenge,
            }
        self._span.set_attributes({f"rightcall.{name}": value for name, value in said.items() if value})

    def end(self, status: str, value: str | int, *, fault: bool) -> None:
        """Ends the span.

        Args:
            status: the name of the status attribute.
            value: the attribute's value.
            fault: whether the server is at fault.
        """
        self._span.set_attribute(status, value)
        if self._several:
            if (calls := CALLS.get()) > 0:
                self._span.set_attribute("rightcall.calls", calls)
            for decision in Decision:
                self._span.set_attribute(f"rightcall.decisions.{decision.name.lower()}", self._counts[decision])
        if fault:
            self._span.set_attribute("error.type", str(value))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


_TRACED: ContextVar[_Traced | None] = ContextVar("traced", default=None)
"""The current request. No reset is needed: each request has a separate context."""


class ServerTracing:
    """The wrappers that make a server trace.

    Args:
        tracer: makes the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def interceptor(self) -> grpc.ServerInterceptor:
        """Makes a span of each call of this API; to come before all others."""
        return _Interceptor(self._begin)

    def route(self, route: Route) -> Route:
        """A route whose POST requests have spans; others stay as they are."""
        if "POST" not in (route.methods or ()):
            return route
        return Route(route.path, self._posted(route.path, route.endpoint), methods=["POST"])

    def decisions(self, log: Recorder | None) -> Recorder:
        """The recorder of decisions, for spans and for the decision log where there is one."""
        return _Decisions(log)

    def _begin(
        self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, Any], *, several: bool, at: int
    ) -> _Traced:
        """Opens a request's span; to be called in the request's own context.

        Args:
            name: of the span.
            carrier: metadata of the request, which may name the client's span.
            attributes: first attributes.
            several: whether the request may need more than one decision.
            at: time of arrival, in nanoseconds since the epoch.
        """
        span = self._tracer.start_span(name, extract(carrier), SpanKind.SERVER, attributes, start_time=at)
        traced = _Traced(span, several=several)
        if span.is_recording():
            _TRACED.set(traced)
        return traced

    def _posted(self, path: str, endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def traced(request: Request) -> Response:
            scheme = request.url.scheme
            about = {"http.request.method": "POST", "http.route": path, "url.path": path, "url.scheme": scheme}
            several = path == EVALUATIONS
            opened = self._begin(f"POST {path}", request.headers, about, several=several, at=time.time_ns())
            code = _FIRST_FAULT
            try:
                response: Response = await endpoint(request)
                code = response.status_code
            except HTTPException as error:
                code = error.status_code
                raise
            finally:
                opened.end("http.response.status_code", code, fault=code >= _FIRST_FAULT)
            return response

        return traced


class _Interceptor(grpc.ServerInterceptor):
    """Wraps the handler of each call, so that the span includes the wait for a thread."""

    def __init__(self, begin: Callable[..., _Traced]) -> None:
        self._begin = begin

    def intercept_service(
        self, continuation: _Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """The handler, within a span; the handler of a rejected call, too."""
        at = time.time_ns()
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OURS):
            return handler
        kind = next(kind for kind in _KINDS if getattr(handler, kind))
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        wrap = _streaming if handler.response_streaming else _single
        made: _Handler = make(
            wrap(getattr(handler, kind), partial(self._spanned, handler_call_details, at)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return made

    @contextmanager
    def _spanned(self, details: grpc.HandlerCallDetails, at: int, context: grpc.ServicerContext) -> Iterator[None]:
        """The span of a call, from arrival to end."""
        method = details.method.removeprefix("/")
        about: dict[str, Any] = {"rpc.system.name": "grpc", "rpc.method": method}
        carrier = {key: value for key, value in details.invocation_metadata or () if isinstance(value, str)}
        several = method.rpartition("/")[2] in _SEVERAL
        opened = self._begin(method, carrier, about, several=several, at=at)
        failed = True
        try:
            yield
            failed = False
        finally:
            status = _status(context, failed=failed)
            opened.end("rpc.response.status_code", status, fault=status in _FAULTS)


class _Decisions:
    """Records each decision in the request's span, and then in the decision log."""

    def __init__(self, log: Recorder | None) -> None:
        self._record = log.record if log is not None else None

    def record(
        self,
        snapshot: Snapshot | None,
        call: Call,
        outcome: Outcome,
        seconds: float,
        challenge: str = "",
    ) -> None:
        """As ``DecisionLog.record``."""
        traced = _TRACED.get()
        if traced is not None:
            traced.decided(snapshot, outcome, challenge)
        if self._record is not None:
            self._record(snapshot, call, outcome, seconds, challenge)


def _single(behavior: Callable[..., Any], spanned: Callable[..., AbstractContextManager[None]]) -> Callable[..., Any]:
    @wraps(behavior)  # a thread pool of its own, too
    def traced(request: Any, context: grpc.ServicerContext) -> Any:
        with spanned(context):
            return behavior(request, context)

    return traced


def _streaming(
    behavior: Callable[..., Any], spanned: Callable[..., AbstractContextManager[None]]
) -> Callable[..., Any]:
    @wraps(behavior)
    def traced(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with spanned(context):
            yield from behavior(request, context)

    return traced


def _status(context: grpc.ServicerContext, *, failed: bool) -> str:
    """The name of the status that a call ends with."""
    # None: no status was set, so grpcio will set one. The method is documented, and missing in the stubs.
    given = context.code()  # type: ignore[attr-defined]
    if given is not None:
        return grpc.StatusCode(given).name
    if not context.is_active():
        return "CANCELLED"
    return "UNKNOWN" if failed else "OK"
