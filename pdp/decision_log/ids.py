"""The id of the current request, for its decisions in the decision log and for the client.

Only a server with a decision log pays for ids: the gRPC interceptor and the HTTP routes are added then alone.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import grpc

from rightcall.v1 import decision_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Answer = Callable[[Any, grpc.ServicerContext], Any]

METADATA_KEY: Final = "rightcall-decision-id"
_ID_BYTES = 16
_DECIDING: Final = f"/{decision_pb2.DESCRIPTOR.services_by_name['DecisionService'].full_name}/"


class Question:
    """A request.

    Attributes:
        id: the request's, as random as a UUID.
    """

    __slots__ = ("_decisions", "id")

    def __init__(self) -> None:
        self.id = new_id()
        self._decisions = 0

    def next_id(self) -> str:
        """The id of the next decision: the request's id; from the second decision on, with a dot and the position."""
        self._decisions += 1
        return self.id if self._decisions == 1 else f"{self.id}.{self._decisions}"


_ASKED: ContextVar[Question | None] = ContextVar("asked", default=None)


def new_id() -> str:
    """An id that nothing else has."""
    return os.urandom(_ID_BYTES).hex()


def decision_id() -> str:
    """The id for a decision that is made now."""
    question = _ASKED.get()
    return new_id() if question is None else question.next_id()


def request_id() -> str:
    """The id of the request that is being answered; empty where there is no decision log."""
    question = _ASKED.get()
    return "" if question is None else question.id


def begin() -> Question:
    """Begins a request: all decisions from here on in this context belong to the request.

    No end is needed: gRPC makes a context for each call, and Starlette for each request.
    """
    question = Question()
    _ASKED.set(question)
    return question


class DecisionIds(grpc.ServerInterceptor):
    """Puts the id of each deciding request into the trailing metadata."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the handlers of methods that decide."""
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_DECIDING):
            return handler
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                _one(handler.stream_unary), handler.request_deserializer, handler.response_serializer
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                _many(handler.stream_stream), handler.request_deserializer, handler.response_serializer
            )
        return handler


def _one(answer: _Answer) -> _Answer:
    @wraps(answer)
    def answered(request: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(((METADATA_KEY, begin().id),))
        return answer(request, context)

    return answered


def _many(answer: _Answer) -> _Answer:
    @wraps(answer)
    def answered(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        context.set_trailing_metadata(((METADATA_KEY, begin().id),))
        yield from answer(requests, context)

    return answered
