"""Reasons of decisions: the verdicts that the adapter sets on a channel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The values of ``RIGHTCALL_REASON``. The names are promised in docs/compatibility.md."""

    RULE = "rule"
    NO_RULE = "no-rule"
    EMERGENCY = "emergency"
    NOT_CHECKED = "not-checked"
    PIN = "pin"
    LOCKED = "locked"
    DELAYED = "delayed"
    NO_SOUND = "no-sound"
    NO_ANSWER = "no-answer"
    CLOSED_TENANT = "closed-tenant"
    UNKNOWN_TENANT = "unknown-tenant"
    UNKNOWN_CALLER = "unknown-caller"
    UNKNOWN_OUTCALL = "unknown-outcall"
    INVALID = "invalid"
    UNANSWERABLE = "unanswerable"


MEANINGS: Final = {
    Reason.RULE: "A permission decided.",
    Reason.NO_RULE: "No permission matches: the call is allowed.",
    Reason.EMERGENCY: "An emergency number: allowed without asking.",
    Reason.NOT_CHECKED: "Neither a user nor an outcall: no rule can apply, so it is allowed without asking.",
    Reason.PIN: "The right PIN was dialled (ALLOW), or no right one was (DENY).",
    Reason.LOCKED: "Too many wrong PINs; `RIGHTCALL_RETRY_AFTER` has the seconds until the next may be tried.",
    Reason.DELAYED: "Too many wrong PINs of any callers, so this one was not looked at; `RIGHTCALL_RETRY_AFTER` has "
    "the seconds until the next may be.",
    Reason.NO_SOUND: "No PIN was dialled, and the sound that asks for one could not be played.",
    Reason.NO_ANSWER: "The server has not decided: `--on-failure` did. With a PIN that was not checked: DENY.",
    Reason.CLOSED_TENANT: "The tenant's definitions have never been free of faults: `--on-failure` decided.",
    Reason.UNKNOWN_TENANT: "The server does not know the channel's tenant: `--unknown-tenant` decided.",
    Reason.UNKNOWN_CALLER: "The server denies callers that it does not know (`--unknown-caller deny`).",
    Reason.UNKNOWN_OUTCALL: "The server denies outcalls that it does not know (`--unknown-outcall deny`).",
    Reason.INVALID: "What was dialled is no number, or the server rejects the request: denied.",
    Reason.UNANSWERABLE: "A PIN is needed that cannot be asked for: the call is forwarded, and the user who knows it "
    "is not on the line; or the server has no secret key to check one with.",
}
"""By reason, for the manual and for the metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict for a channel.

    Attributes:
        allowed: whether the call may go on.
        reason: the reason.
        permission: id of the permission that decided; empty where none did.
        decision_id: id of the entry in the server's decision log; empty without one.
        retry_after: seconds until a PIN may be tried again; 0: now.
    """

    allowed: bool
    reason: Reason
    permission: str = ""
    decision_id: str = ""
    retry_after: int = 0

    @property
    def word(self) -> str:
        """The verdict as text for the dialplan."""
        return "ALLOW" if self.allowed else "DENY"
