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
_LOGGED: Final = "rightcall-front-logged"
_ID_BYTES = 16
_DECIDING: Final = f"/{decision_pb2.DESCRIPTOR.services_by_name['DecisionService'].full_name}/"


class Question:
    """A request.

    Args:
        id_: the request's id; empty: a new one.
        decisions: the number of decisions made already.

    Attributes:
        id: the request's, as random as a UUID.
    """

    __slots__ = ("_decisions", "id")

    def __init__(self, id_: str = "", decisions: int = 0) -> None:
        self.id = id_ or new_id()
        self._decisions = decisions

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


def begin(id_: str = "", decisions: int = 0) -> Question:
    """Begins a request: all decisions from here on in this context belong to the request.

    No end is needed: gRPC makes a context for each call, and Starlette for each request.

    Args:
        id_, decisions: as of ``Question``.
    """
    question = Question(id_, decisions)
    _ASKED.set(question)
    return question


class DecisionIds(grpc.ServerInterceptor):
    """Puts the id of each deciding request into the trailing metadata.

    Args:
        behind_front: whether a front may have begun a stream, and sends the id and the number of decisions made.
    """

    def __init__(self, *, behind_front: bool = False) -> None:
        self._behind_front = behind_front

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
                _many(handler.stream_stream, self._behind_front),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return handler


def _one(answer: _Answer) -> _Answer:
    @wraps(answer)
    def answered(request: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(((METADATA_KEY, begin().id),))
        return answer(request, context)

    return answered


def _many(answer: _Answer, behind_front: bool) -> _Answer:  # noqa: FBT001 - as of the class
    @wraps(answer)
    def answered(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        question = begin(*_begun(context)) if behind_front else begin()
        context.set_trailing_metadata(((METADATA_KEY, question.id),))
        yield from answer(requests, context)

    return answered


def _begun(context: grpc.ServicerContext) -> tuple[str, int]:
    """The id of a stream that a front has begun, and the number of decisions made; the front alone can send these."""
    for key, value in context.invocation_metadata():
        if key == _LOGGED:
            name, _, decisions = str(value).partition(".")
            return name, int(decisions)
    return "", 0
