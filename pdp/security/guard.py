"""Admission of calls, for every transport: authentication, authorization and client limits."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from pdp.errors import NotAllowed, TooManyCalls, Unauthenticated
from pdp.security.identity import ASKING, DECISION, Client, beyond, host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pdp.errors import CallError
    from pdp.metrics.registry import Metrics
    from pdp.security.identity import Authenticator
    from pdp.security.limits import ClientLimits
    from pdp.security.peers import Peers

_log = structlog.get_logger()

_LOG_SECONDS = 10.0
"""Seconds between two log records of one reason, so that rejected clients cannot fill the log. All are counted."""


class Guard:
    """Admits or rejects every call before a service sees the call.

    Args:
        authenticator: knows clients by the headers sent; None: headers are not read.
        peers: checks client certificates; None: TLS requests none.
        by_certificate: whether a certificate identifies the client, rather than being required besides.
        limits: limits of each client; None: no limits.
        metrics: where rejected calls are counted.
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
        """The limits of each client; None: no limits."""
        self._metrics = metrics
        self._told: dict[str, float] = {}

    def identify(self, authorization: Sequence[str | bytes], right: str) -> Client | None:
        """The client, as far as the headers of the call identify one.

        Args:
            authorization: the values of the headers of this name.
            right: the right that the call needs, one of ``RIGHTS``; empty: the call is open to all clients.

        Returns:
            None: the connection must identify the client; see ``admit``.

        Raises:
            Unauthenticated: the headers identify no client.
            NotAllowed: the client does not have that right.
        """
        if self._authenticator is None:
            return None
        try:
            return _may(self._authenticator.identify(authorization), right)
        except (Unauthenticated, NotAllowed) as error:
            raise self.refused(error) from None

    @contextmanager
    def admit(
        self,
        client: Client | None,
        right: str,
        *,
        peer: str,
        certificate: bytes | None,
        cost: int = 1,
        spared: Callable[[Client], bool] | None = None,
    ) -> Iterator[Client]:
        """Admits a call, for as long as the block lasts.

        Args:
            client: the result of ``identify``.
            right: as for ``identify``.
            peer: the address that the call comes from.
            certificate: the client's certificate, PEM; None: the client sent none.
            cost: requests in the call.
            spared: whether the call is admitted although the client is over the limits, for the emergency numbers in
                it; None: no.

        Raises:
            Unauthenticated: the client is unknown.
            NotAllowed: the client does not have that right.
            TooManyCalls: the client is over the limits.
        """
        try:
            known = self._known(client, right, peer, certificate)
            excess = self._excess(known, cost, spared)
        except (Unauthenticated, NotAllowed, TooManyCalls) as error:
            raise self.refused(error, peer) from None
        if excess is not None:
            with beyond(excess):
                yield known
            return
        try:
            yield known
        finally:
            if self.limits is not None:
                self.limits.leave(known.name)

    def _excess(self, client: Client, cost: int, spared: Callable[[Client], bool] | None) -> TooManyCalls | None:
        """Counts a call of a client; the limit that the client is over, where the call is admitted nevertheless.

        Raises:
            TooManyCalls: the client is over the limits.
        """
        if self.limits is None:
            return None
        try:
            self.limits.enter(client.name, cost)
        except TooManyCalls as excess:
            if spared is None or not spared(client):
                raise
            return excess
        return None

    @property
    def reads_headers(self) -> bool:
        """Whether headers identify clients."""
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
        """The client with these credentials, and their expiry in seconds of Unix time; counts nothing.

        Args:
            authorization: the value of the one header of this name; without effect where headers are not read.
            certificate: the client's certificate, PEM; None: the client sent none.

        Returns:
            None: no client has these credentials, or the client may not request decisions.
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
        """The objects that credentials are checked against; when one is replaced, all must be checked again."""
        header = self._authenticator.basis() if self._authenticator is not None else None
        return (header, *(self._peers.basis() if self._peers is not None else ()))

    def charge(self, more: int) -> None:
        """Charges the client of the current call for further requests in that call."""
        client = ASKING.get()
        if self.limits is not None and client is not None:
            self.limits.charge(client.name, more)

    def pace(self, client: Client) -> float:
        """Takes a token for one more request of a stream: 0, or the seconds after which to call again."""
        return self.limits.wait_for(client.name) if self.limits is not None else 0.0

    def refused(self, error: Unauthenticated | NotAllowed | TooManyCalls, peer: str = "") -> CallError:
        """Counts a rejected call, logs each reason now and then, and returns the error to raise."""
        count = self._metrics.rejected if isinstance(error, TooManyCalls) else self._metrics.auth_failed
        count(error.reason)
        now = time.monotonic()
        if now >= self._told.get(error.reason, 0.0):
            self._told[error.reason] = now + _LOG_SECONDS
            _log.warning("call_refused", reason=error.reason, peer=peer, next_in_seconds=_LOG_SECONDS)
        return error

    def _known(self, client: Client | None, right: str, peer: str, certificate: bytes | None) -> Client:
        if self._peers is not None:
            checked = self._peers.check(certificate)
            if self._by_certificate:
                return _may(self._peers.identify(checked), right)
        if client is not None:
            return client
        if self._authenticator is not None or self._by_certificate:
            raise Unauthenticated("missing")
        return Client(f"address:{host_of(peer)}")


def _may(client: Client, right: str) -> Client:
    if right and right not in client.rights:
        raise NotAllowed("service")
    return client
