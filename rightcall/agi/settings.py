"""The settings of the FastAGI adapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from pdp.rules.dialling import Emergency


class OnFailure(StrEnum):
    """The verdict on a call that the server has not decided."""

    CLOSED = "closed"
    """The call is denied."""
    OPEN = "open"
    """The call is allowed."""
    INTERNAL = "internal"
    """The call is allowed without an outcall, otherwise denied."""


class UnknownTenant(StrEnum):
    """The verdict on a call of a tenant that the server does not know."""

    ALLOW = "allow"
    DENY = "deny"


LOOPBACK: tuple[IPv4Network | IPv6Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, kw_only=True)
class AgiSettings:
    """The settings of the adapter.

    Attributes:
        listen: ``HOST:PORT``; port 0: a free one. Ignored if systemd hands over sockets.
        reuse_port: whether several adapters may listen on the same address.
        allow: networks that Asterisk may connect from.
        deadline: seconds that the server has for an answer.
        asterisk_deadline: seconds that Asterisk has for each reply.
        on_failure: the verdict on a call that the server has not decided.
        unknown_tenant: the verdict on a call of a tenant that the server does not know.
        emergency: numbers that are allowed without asking the server.
        attempts: PINs that a caller may try on one call, at most; the server may allow fewer.
        digit_seconds: silence after which a PIN counts as dialled.
        hash_in_pin: whether ``#`` is a key of a PIN like any other, so that silence alone ends one.
        prompt: sound that asks for a PIN.
        retry_prompt: sound that asks again after a wrong PIN.
        variable_prefix: start of the names of the channel variables.
        max_dialogues: limit of concurrent dialogues.
        max_dialogues_per_peer: limit of concurrent dialogues of one address.
        drain_seconds: that the dialogues have to end when the adapter stops.
        http: ``HOST:PORT`` of metrics and health; empty: none.
    """

    listen: str = "127.0.0.1:4573"
    reuse_port: bool = False
    allow: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK
    deadline: float = 1.0
    asterisk_deadline: float = 10.0
    on_failure: OnFailure = OnFailure.INTERNAL
    unknown_tenant: UnknownTenant = UnknownTenant.DENY
    emergency: Emergency = field(default_factory=lambda: Emergency(()))
    attempts: int = 3
    digit_seconds: float = 5.0
    hash_in_pin: bool = False
    prompt: str = "agent-pass"
    retry_prompt: str = "auth-incorrect"
    variable_prefix: str = "WAZO_"
    max_dialogues: int = 4000
    max_dialogues_per_peer: int = 2000
    drain_seconds: float = 30.0
    http: str = ""
