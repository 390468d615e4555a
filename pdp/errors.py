"""The errors of the server.

ServerError                   the server cannot do its work
├── ListenError               an address cannot be listened on
└── CallError                 a question that gets a gRPC status instead of an answer
    ├── InvalidCall           INVALID_ARGUMENT: the question itself is at fault
    │   └── AmbiguousOutcall  no tenant was named, and more than one has this outcall
    ├── UnknownTenant         NOT_FOUND: a tenant was named that nobody knows
    ├── NotReady              UNAVAILABLE: no rules are loaded yet
    └── Stopping              UNAVAILABLE: the question came after the server had been told to stop

A DENY is an answer, never an error. Nothing here knows gRPC; ``transport`` turns a ``CallError`` into a status.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """The gRPC status codes that a question can end with; numbers and names are gRPC's."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    INTERNAL = 13
    UNAVAILABLE = 14


class ServerError(Exception):
    """Root of what the server raises."""


class ListenError(ServerError):
    """An address cannot be listened on."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"cannot listen on {address}: {problem}")


class CallError(ServerError):
    """A question that gets a status instead of an answer.

    Attributes:
        code: the gRPC status.
        message: what is wrong and what to do; safe to send to whoever asked.
    """

    code: Code

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class InvalidCall(CallError):
    """The question itself is at fault: the same question will never get an answer."""

    code = Code.INVALID_ARGUMENT


class AmbiguousOutcall(InvalidCall):
    """No tenant was named, and more than one has this outcall."""

    def __init__(self, outcall: str) -> None:
        super().__init__(f"outcall {outcall[:64]!r} exists in more than one tenant; name the tenant in the request")


class UnknownTenant(CallError):
    """A tenant was named that nobody knows."""

    code = Code.NOT_FOUND

    def __init__(self, tenant: str) -> None:
        super().__init__(f"tenant {tenant[:64]!r} is not known here; send its UUID, or leave the tenant empty")


class NotReady(CallError):
    """No rules are loaded yet."""

    code = Code.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("no rules are loaded yet; ask again, or see what the server's /readyz says")


class Stopping(CallError):
    """The question came after the server had been told to stop; nobody looked at it."""

    code = Code.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("this server is stopping; ask another one, or ask again")
