"""The errors of the client library. Each may be caught by any class above.

RightcallError
├── QuestionError          the question is at fault: asking again gets the same error
│   ├── InvalidCall        the question is no valid call: an empty extension, say
│   ├── UnknownTenant      a tenant was named that the server does not know
│   ├── NotAllowed         the server does not know this client, or does not permit the question
│   └── ChallengeOver      the challenge has expired, or opened a call before
├── NoAnswer               there is no answer now, and there may be one later
│   ├── Unreachable        no server answers at the target
│   ├── NotReady           the server has loaded no rules yet
│   ├── TenantClosed       the tenant's definitions have never been free of faults where the server could see them
│   ├── RulesBehind        the server's rules are older than the question requires
│   ├── PinsDelayed        there were too many wrong PINs, so none is looked at for a while
│   └── DeadlineExceeded   the time allowed ran out
└── ServerError            the server failed, or its answer is unknown to this client

A DENY is an answer, never an error.
"""

from __future__ import annotations


class RightcallError(Exception):
    """Root of the client library's errors."""


class QuestionError(RightcallError):
    """The question is at fault: asking again gets the same error."""


class InvalidCall(QuestionError):
    """The question is no valid call. The message names the valid form."""


class UnknownTenant(QuestionError):
    """A tenant was named that the server does not know."""


class NotAllowed(QuestionError):
    """The server does not know this client, or does not permit the question. The message hides what is accepted."""


class ChallengeOver(QuestionError):
    """The challenge has expired, or opened a call before: ``check`` the call again."""


class NoAnswer(RightcallError):
    """There is no answer now, and there may be one later."""


class Unreachable(NoAnswer):
    """No server answers at the target.

    Attributes:
        target: the server's target.
    """

    def __init__(self, target: str, problem: str) -> None:
        self.target = target
        super().__init__(
            f"no Rightcall server answers at {target} ({problem}); check that one is running there, "
            "that the address is right, and that both sides use TLS or neither does"
        )


class NotReady(NoAnswer):
    """The server has loaded no rules yet."""


class TenantClosed(NoAnswer):
    """The tenant is defined, and its definitions have never been free of faults where the server could see them."""


class RulesBehind(NoAnswer):
    """The server's rules are older than the question requires; newer ones may be on the way."""


class PinsDelayed(NoAnswer):
    """There were too many wrong PINs for the permission or the tenant, so this one has not been looked at.

    Attributes:
        retry_after: seconds after which a PIN may be looked at.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class DeadlineExceeded(NoAnswer):
    """The time allowed ran out.

    Attributes:
        target: the server's target.
    """

    def __init__(self, target: str, seconds: float) -> None:
        self.target = target
        super().__init__(
            f"no answer from {target} within {seconds:g} s; check that a Rightcall server is running there, "
            "or allow more time"
        )


class ServerError(RightcallError):
    """The server failed, or its answer is unknown to this client."""
