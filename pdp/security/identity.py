"""Who asks: what is known of the connection, and the client that it turned out to be."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

DECISION = "decision"
DIRECTORY = "directory"
SERVICES = (DECISION, DIRECTORY)
"""What a client may be allowed to ask; AuthZEN's evaluations are decisions."""


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who may ask.

    Attributes:
        name: as the log and the limits know it.
        tenants: UUIDs of the tenants that it may ask about, sorted; None: every one.
        services: those of ``SERVICES`` that it may ask.
    """

    name: str
    tenants: tuple[str, ...] | None = None
    services: frozenset[str] = frozenset(SERVICES)


class Authenticator(Protocol):
    """Tells clients apart by what they send with a call."""

    def identify(self, authorization: Sequence[str | bytes]) -> Client:
        """The client that sent these ``authorization`` headers.

        Raises:
            Unauthenticated: they are nobody's.
        """

    def good_until(self, authorization: Sequence[str | bytes]) -> float:
        """Until when headers that ``identify`` has accepted are good, in seconds of Unix time."""

    def basis(self) -> object:
        """What headers are judged by now; another object whenever it has changed."""


ASKING: ContextVar[Client | None] = ContextVar("asking", default=None)
"""Who asks the question that is being answered. Each call has a context of its own, from its arrival to its end."""
