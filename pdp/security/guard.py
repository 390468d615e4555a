"""Whether a call is taken: who asks, whether that client may, and whether it asks too much. It knows no transport."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from pdp.errors import NotAllowed, TooManyCalls, Unauthenticated
from pdp.security.identity import ASKING, DECISION, Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pdp.errors import CallError
    from pdp.metrics.registry import Metrics
    from pdp.security.identity import Authenticator
    from pdp.security.limits import ClientLimits
    from pdp.security.peers import Peers

_log = structlog.get_logger()

_LOG_SECONDS = 10.0
"""Whoever knocks at a closed door must not fill the log: each reason is told once in so long. All are counted."""


class Guard:
    """Decides about every call before a service sees it.

    Args:
        authenticator: knows clients by what they send; None: nobody sends anything.
        peers: checks client certificates; None: TLS asks for none.
        by_certificate: whether a certificate tells who asks, rather than being wanted besides.
        limits: of each client; None: there are none.
        metrics: where refusals are counted.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator | None,
        peers: Peers | None,
        by_certificate: bool,
        limits: ClientLimits | None,
        metrics: Metrics,
    ) -> None:
        self._authenticator = authenticator
        self._peers = peers
        self._by_certificate = by_certificate
        self.limits = limits
        """Those of each client; None: there are none."""
        self._metrics = metrics
        self._told: dict[str, float] = {}

    def identify(self, authorization: Sequence[str | bytes], service: str) -> Client | None:
        """Who asks, as far as what came with the call can tell.

        Args:
            authorization: the values of the headers of this name.
            service: what is asked, one of ``SERVICES``; empty: something that all clients may.

        Returns:
            None: the connection will have to tell; see ``admit``.

        Raises:
            Unauthenticated: nobody knows.
            NotAllowed: the client may not ask that service.
        """
        if self._authenticator is None:
            return None
        try:
            return _may(self._authenticator.identify(authorization), service)
        except (Unauthenticated, NotAllowed) as error:
            raise self.refused(error) from None

    @contextmanager
    def admit(
        self,
        client: Client | None,
        service: str,
        *,
        peer: str,
        certificate: bytes | None,
        cost: int = 1,
        spared: Callable[[Client], bool] | None = None,
    ) -> Iterator[Client]:
        """Takes a call in, for as long as the block lasts.

        Args:
            client: what ``identify`` found.
            service: as there.
            peer: the address that the call comes from.
            certificate: the client's, PEM; None: it showed none.
            cost: questions that it holds.
            spared: whether it is taken in although the client asks more than it may; None: it is not.

        Raises:
            Unauthenticated: nobody knows who asks.
            NotAllowed: the client may not ask that service.
            TooManyCalls: it asks more than it may.
        """
        try:
            known = self._known(client, service, peer, certificate)
            counted = self._enter(known, cost, spared)
        except (Unauthenticated, NotAllowed, TooManyCalls) as error:
            raise self.refused(error, peer) from None
        try:
            yield known
        finally:
            if counted and self.limits is not None:
                self.limits.leave(known.name)

    def _enter(self, client: Client, cost: int, spared: Callable[[Client], bool] | None) -> bool:
        """Counts a call of a client; False: it is over the limits, and taken in nevertheless.

        Raises:
            TooManyCalls: it is over the limits.
        """
        if self.limits is None:
            return False
        try:
            self.limits.enter(client.name, cost)
        except TooManyCalls:
            if spared is None or not spared(client):
                raise
            return False
        return True

    @property
    def reads_headers(self) -> bool:
        """Whether clients are told apart by what they send."""
        return self._authenticator is not None

    @property
    def reads_certificates(self) -> bool:
        """Whether clients' certificates are looked at."""
        return self._peers is not None

    @property
    def knows_clients(self) -> bool:
        """Whether clients are known by more than their address."""
        return self._authenticator is not None or self._by_certificate

    def judge(self, authorization: str, certificate: bytes | None) -> tuple[Client, float] | None:
        """The client with these credentials, and until when they are good in seconds of Unix time; counts nothing.

        Args:
            authorization: the value of the one header of this name; without effect where nobody reads headers.
            certificate: the client's, PEM; None: it showed none.

        Returns:
            None: they are nobody's, or whoever they belong to may not ask for decisions.
        """
        client, until = Client(""), math.inf
        try:
            if self._authenticator is not None:
                client = self._authenticator.identify([authorization])
                until = self._authenticator.good_until([authorization])
            if self._peers is not None:
                shown = self._peers.check(certificate)
                until = min(until, shown.ends)
                if self._by_certificate:
                    client = self._peers.identify(shown)
            return _may(client, DECISION), until
        except (Unauthenticated, NotAllowed):
            return None

    def basis(self) -> tuple[object, ...]:
        """What credentials are judged by now; where an object in it is another one, all have to be judged again."""
        header = self._authenticator.basis() if self._authenticator is not None else None
        return (header, *(self._peers.basis() if self._peers is not None else ()))

    def charge(self, more: int) -> None:
        """Takes further questions of the request that is being answered from what its client may ask."""
        client = ASKING.get()
        if self.limits is not None and client is not None:
            self.limits.charge(client.name, more)

    def pace(self, client: Client) -> float:
        """One more question of a stream: 0, or the seconds after which to call this again."""
        return self.limits.wait_for(client.name) if self.limits is not None else 0.0

    def refused(self, error: Unauthenticated | NotAllowed | TooManyCalls, peer: str = "") -> CallError:
        """Counts a refusal, tells the log now and then, and hands it back to be raised."""
        count = self._metrics.rejected if isinstance(error, TooManyCalls) else self._metrics.auth_failed
        count(error.reason)
        now = time.monotonic()
        if now >= self._told.get(error.reason, 0.0):
            self._told[error.reason] = now + _LOG_SECONDS
            _log.warning("call_refused", reason=error.reason, peer=peer, next_in_seconds=_LOG_SECONDS)
        return error

    def _known(self, client: Client | None, service: str, peer: str, certificate: bytes | None) -> Client:
        if self._peers is not None:
            checked = self._peers.check(certificate)
            if self._by_certificate:
                return _may(self._peers.identify(checked), service)
        if client is not None:
            return client
        if self._authenticator is not None or self._by_certificate:
            raise Unauthenticated("missing")
        return Client(f"address:{_host(peer)}")


def _may(client: Client, service: str) -> Client:
    if service and service not in client.services:
        raise NotAllowed("service")
    return client


def _host(peer: str) -> str:
    """The host of an address as gRPC writes it: ``ipv4:1.2.3.4:5``, ``ipv6:[::1]:5``, ``unix:``."""
    return peer.rpartition(":")[0] if peer.startswith("ip") else peer
