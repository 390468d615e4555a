"""What can be set about the FastAGI adapter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network


class OnFailure(StrEnum):
    """What happens to a call when there is no answer in time."""

    CLOSED = "closed"
    """It is denied."""
    OPEN = "open"
    """It is allowed."""
    INTERNAL = "internal"
    """It is allowed if it leaves through no outcall, else denied."""


LOOPBACK: tuple[IPv4Network | IPv6Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, kw_only=True)
class AgiSettings:
    """How the adapter talks to Asterisk.

    Attributes:
        listen: ``HOST:PORT``; port 0: one that is free.
        allow: networks that Asterisk may connect from.
        deadline: seconds for one decision, from Asterisk's request on.
        on_failure: what happens when they are over, or when there is no answer.
        attempts: passwords that a caller may try on one call, at most; the server may end it earlier.
        digit_seconds: silence after which a password counts as dialled.
        prompt: sound that asks for a password.
        retry_prompt: sound that says that it was wrong, and asks again.
        variable_prefix: start of the names of the channel variables.
        max_conversations: that are held at the same time; Asterisk is hung up on beyond that.
        drain_seconds: that the conversations have to end when the adapter stops.
    """

    listen: str = "127.0.0.1:4573"
    allow: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK
    deadline: float = 0.3
    on_failure: OnFailure = OnFailure.CLOSED
    attempts: int = 3
    digit_seconds: float = 5.0
    prompt: str = "agent-pass"
    retry_prompt: str = "auth-incorrect"
    variable_prefix: str = "WAZO_"
    max_conversations: int = 1000
    drain_seconds: float = 10.0
