"""The errors of the server.

ServerError                   the server cannot do its work
├── ListenError               an address cannot be listened on
├── TransportError            the chosen transport lacks something that other settings need
├── SecurityError             the security settings cannot be put into effect
└── CallError                 a request that gets a gRPC status instead of a response
    ├── InvalidCall           INVALID_ARGUMENT: the request itself is at fault
    │   ├── UnknownUser       a caller is neither a UUID nor an alias of a user
    │   ├── AmbiguousCaller   no tenant was named, and more than one has a user with this alias
    │   ├── AmbiguousOutcall  no tenant was named, and more than one has this outcall
    │   └── ForgedChallenge   the challenge was not made by this deployment
    ├── Unauthenticated       UNAUTHENTICATED: the client is unknown
    ├── NotAllowed            PERMISSION_DENIED: the client may not send this request
    ├── RetryLater            RESOURCE_EXHAUSTED: the same request may be sent again after a time that the error names
    │   ├── TooManyCalls      one client, or all together, are over a limit
    │   └── PinsDelayed       there were too many wrong PINs for the permission or the tenant
    ├── TooLarge              RESOURCE_EXHAUSTED: the request has too many bytes
    ├── TooMuchWork           RESOURCE_EXHAUSTED: the response takes too long to make
    ├── UnknownTenant         NOT_FOUND: the named tenant is not known here
    ├── UnknownService        NOT_FOUND: a health check of a service that is not here
    ├── TooManyStreams        RESOURCE_EXHAUSTED: no further stream can be served
    ├── ClosedTenant          FAILED_PRECONDITION: the tenant is defined, and has never had good rules here
    ├── RulesBehind           FAILED_PRECONDITION: the rules here are older than the request demands
    ├── ChallengeOver         ABORTED: the challenge has expired, or opened a call before
    ├── NotReady              UNAVAILABLE: no rules are loaded yet
    ├── TenantsMissing        UNAVAILABLE: no tenant here claims the call, and rules of some tenants are missing
    ├── AttemptsUnavailable   UNAVAILABLE: attempts at passwords cannot be counted now
    └── Stopping              UNAVAILABLE: the request came after the server had been told to stop

A DENY is a response, never an error. Nothing here knows gRPC; ``transport`` turns a ``CallError`` into a status.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """The gRPC status codes of a request; numbers and names are gRPC's."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16

    @property
    def http_status(self) -> int:
        """The corresponding status of HTTP."""
        return _HTTP_STATUSES[self]


_HTTP_STATUSES: Final = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.FAILED_PRECONDITION: 409,
    Code.ABORTED: 409,
    Code.NOT_FOUND: 422,  # 404 is a path that is not served, so that a wrong URL is not taken for an unknown tenant
    Code.RESOURCE_EXHAUSTED: 429,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
}


class ServerError(Exception):
    """Root of the server's errors."""


class ListenError(ServerError):
    """An address cannot be listened on."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"cannot listen on {address}: {problem}")


class TransportError(ServerError):
    """The chosen transport is not installed, or lacks something that other settings need; the message says which."""


class SecurityError(ServerError):
    """The security settings cannot be put into effect; the message names the change to make, and no secret."""


class CallError(ServerError):
    """A request that gets a status instead of a response.

    Attributes:
        code: the gRPC status.
        message: the fault and the remedy; safe to send to the client.
    """

    code: Code

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class InvalidCall(CallError):
    """The request itself is at fault: the same request will never get a response."""

    code = Code.INVALID_ARGUMENT


class UnknownUser(InvalidCall):
    """A caller is neither a UUID nor an alias of a user."""


class AmbiguousCaller(InvalidCall):
    """No tenant was named, and more than one has a user with this alias."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"users of more than one tenant are called {alias[:64]!r}; name the tenant in the request")


class AmbiguousOutcall(InvalidCall):
    """No tenant was named, and more than one has this outcall."""

    def __init__(self, outcall: str) -> None:
        super().__init__(f"outcall {outcall[:64]!r} exists in more than one tenant; name the tenant in the request")


class ForgedChallenge(InvalidCall):
    """The challenge was not made by this deployment, or was altered."""

    def __init__(self) -> None:
        super().__init__("this is no challenge of ours; send the one that CheckCall answered with, unchanged")


class Unauthenticated(CallError):
    """The client is unknown. The client does not learn the reason, which would help to guess.

    Attributes:
        reason: for the log and the metric; one of ``AUTH_FAILURES`` in ``metrics``.
    """

    code = Code.UNAUTHENTICATED

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("this server answers known clients only; send valid credentials")


class NotAllowed(CallError):
    """The client may not send this request; the status does not reveal whether the requested thing exists.

    Attributes:
        reason: as of ``Unauthenticated``.
    """

    code = Code.PERMISSION_DENIED

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("this client may not ask that; ask about its own tenants, and what it was allowed to ask")


class RetryLater(CallError):
    """The same request may be sent again later.

    Attributes:
        retry_after: seconds after which the client may retry.
    """

    code = Code.RESOURCE_EXHAUSTED

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class TooManyCalls(RetryLater):
    """One client, or all together, are over a limit.

    Attributes:
        reason: for the metric; one of ``REJECTIONS`` in ``metrics``.
    """

    def __init__(self, reason: str, retry_after: float) -> None:
        self.reason = reason
        super().__init__(
            f"too many calls ({reason}); ask again in {retry_after:.3f} s, or ask another server", retry_after
        )


class PinsDelayed(RetryLater):
    """There were too many wrong PINs for the permission or the tenant, so this one has not been looked at."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            "too many wrong PINs for this permission or tenant, so none is looked at for a while; "
            f"ask the caller again in {math.ceil(retry_after)} s",
            retry_after,
        )


class TooLarge(CallError):
    """The request has more bytes than are taken."""

    code = Code.RESOURCE_EXHAUSTED

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"the request has {size} bytes, and at most {most} are taken; send it in smaller ones")


class TooMuchWork(CallError):
    """The response takes too long to make."""

    code = Code.RESOURCE_EXHAUSTED

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the response takes more than {seconds:.0f} s of processor time; ask about fewer, or ask the definitions "
            "with rightcall explain, reach or callers --definitions"
        )


class UnknownTenant(CallError):
    """The named tenant is not known here."""

    code = Code.NOT_FOUND

    def __init__(self, tenant: str) -> None:
        super().__init__(f"tenant {tenant[:64]!r} is not known here; send its UUID, or leave the tenant empty")


class UnknownService(CallError):
    """A health check of a service that is not here."""

    code = Code.NOT_FOUND

    def __init__(self) -> None:
        super().__init__("no service of this name is here; ask for one that reflection lists, or for the empty name")


class TooManyStreams(CallError):
    """No further stream can be served."""

    code = Code.RESOURCE_EXHAUSTED

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} streams are open here, and no more are served; share one, or ask another server")


class ClosedTenant(CallError):
    """The tenant is defined, and the definitions have never been free of faults here."""

    code = Code.FAILED_PRECONDITION

    def __init__(self, tenant: str, name: str, faults: int) -> None:
        counted = "1 fault" if faults == 1 else f"{faults} faults"
        called = f"{name[:64]!r} ({tenant})" if name else tenant
        super().__init__(
            f"tenant {called} is closed: its definitions have {counted}; repair them, or see the loader's log"
        )


class RulesBehind(CallError):
    """The rules here are older than the request demands."""

    code = Code.FAILED_PRECONDITION

    def __init__(self, at_least: int, number: int | None) -> None:
        here = "unknown" if number is None else f"at revision {number}"
        super().__init__(f"this call's tenant is {here} here, and revision {at_least} is asked for; ask again soon")


class ChallengeOver(CallError):
    """The challenge has expired, or opened a call before.

    Attributes:
        used: which of the two.
    """

    code = Code.ABORTED

    def __init__(self, problem: str, *, used: bool = False) -> None:
        self.used = used
        super().__init__(f"the challenge {problem}; ask CheckCall again")


class NotReady(CallError):
    """No rules are loaded yet."""

    code = Code.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("no rules are loaded yet; ask again, or see what the server's /readyz says")


class TenantsMissing(CallError):
    """No loaded tenant claims the call, and some are missing: a missing tenant's rules may deny the call."""

    code = Code.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "no tenant that is loaded here claims this call, and rules of some tenants are missing; "
            "ask again, or another server"
        )


class AttemptsUnavailable(CallError):
    """Attempts at passwords cannot be counted now, so none is let through; calls that need none are decided as ever."""

    code = Code.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("passwords cannot be checked now, because attempts cannot be counted; check Redis, ask again")


class Stopping(CallError):
    """The request came after the server had been told to stop, and was not processed."""

    code = Code.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("this server is stopping; ask another one, or ask again")
