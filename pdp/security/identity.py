"""The identity of a call: the connection's facts, and the client."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.errors import TooManyCalls

DECISION, CALLERS, REACH, STATUS = "decision", "callers", "reach", "status"
RIGHTS = (DECISION, CALLERS, REACH, STATUS)
"""The rights of a client of which no clients file says more; AuthZEN's searches need those to callers and reach."""
DIRECTORY = "directory"
"""The name of the rights to the whole directory."""
LOCKOUTS = "lockouts"
"""The right to lift lockouts, which a client has only where a clients file or a token says so."""
CONSOLE = "console"
"""The right to read the pages of the console, which a client has only where a clients file or a token says so."""
ROLLBACK = "rollback"
"""The right to make an earlier revision current; given like ``CONSOLE``."""
GRANTS = {
    **{right: (right,) for right in (*RIGHTS, LOCKOUTS, CONSOLE, ROLLBACK)},
    DIRECTORY: (CALLERS, REACH, STATUS),
}
"""By the name of a service in a clients file, the rights that it stands for."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client that may send requests.

    Attributes:
        name: name in the log and for the limits.
        tenants: UUIDs of the client's tenants, sorted; None: every tenant.
        rights: the client's rights, each of ``RIGHTS``, ``LOCKOUTS``, ``CONSOLE`` or ``ROLLBACK``.
    """

    name: str
    tenants: tuple[str, ...] | None = None
    rights: frozenset[str] = frozenset(RIGHTS)


class Authenticator(Protocol):
    """Identifies clients by the headers of a call."""

    def identify(self, authorization: Sequence[str | bytes]) -> Client:
        """The client that sent these ``authorization`` headers.

        Raises:
            Unauthenticated: the headers belong to no client.
        """

    def good_until(self, authorization: Sequence[str | bytes]) -> float:
        """The expiry of headers that ``identify`` has accepted, in seconds of Unix time."""

    def basis(self) -> object:
        """The object that headers are checked against; replaced whenever the credentials change."""


_BY_ADDRESS = "address:"
"""The beginning of the names of clients that are known by nothing else; for the limits all of HTTP is one of them."""
ORIGIN: ContextVar[str] = ContextVar("origin", default="")
"""The address that the current call comes from, where no client is known."""
ASKING: ContextVar[Client | None] = ContextVar("asking", default=None)
"""The client of the current call. Each call has a separate context, from arrival to end."""
EXCESS: ContextVar[TooManyCalls | None] = ContextVar("excess", default=None)
"""The limit that the current request exceeds; None: none. Beyond it calls to emergency numbers alone are decided."""


@contextmanager
def beyond(excess: TooManyCalls) -> Iterator[None]:
    """Has only calls to emergency numbers decided in the block; others get this error."""
    token = EXCESS.set(excess)
    try:
        yield
    finally:
        EXCESS.reset(token)


def client_name() -> str:
    """The name of the current call's client: the known one, else the address."""
    client, origin = ASKING.get(), ORIGIN.get()
    if client is None or (origin and client.name.startswith(_BY_ADDRESS)):
        return f"{_BY_ADDRESS}{origin}"
    return client.name


def host_of(peer: str) -> str:
    """The host of an address in gRPC's form: ``ipv4:1.2.3.4:5``, ``ipv6:[::1]:5``, ``unix:``."""
    return peer.rpartition(":")[0] if peer.startswith("ip") else peer
