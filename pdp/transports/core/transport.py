"""The core transport: the front in Rust, and grpcio behind the front for all calls that are not plain.

The front listens, speaks TLS, identifies clients, enforces limits and answers plain CheckCall and CheckCalls. All other
calls are passed on, frame by frame, to a grpcio server on a Unix socket in a directory that only this user can enter,
with the client's address and certificate. So each method has one implementation, and the fast path gives the same
response as the slow path.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pdp import _core
from pdp.challenges.tokens import VERSION
from pdp.errors import TransportError
from pdp.rules.model import Decision
from pdp.rules.snapshot.blob import FORMAT_VERSION
from pdp.rules.snapshot.ruling import AS_WAZO
from pdp.runtime.cores import available_cores
from pdp.services.shadow import DifferenceLog
from pdp.snapshots.emergency import EmergencyCalls
from pdp.transports.core.counted import Counted
from pdp.transports.core.limits import CoreLimits
from pdp.transports.core.pulse import Pulse
from pdp.transports.core.sockets import listening_sockets, remove_socket_file
from pdp.transports.core.upkeep import Upkeep, connection, telling
from pdp.transports.grpcio import SETTLE_SECONDS, GrpcTransport

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import grpc

    from pdp.decision_log.log import DecisionLog
    from pdp.metrics.registry import Metrics
    from pdp.rules.snapshot.ruling import Policy
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.security.setup import Security
    from pdp.services.methods import Method
    from pdp.settings import ServerSettings
    from pdp.snapshots.current import CurrentSnapshots, LoadedSnapshot

__all__ = ["CoreTransport", "PlainCalls"]

_LOOK_SECONDS = 0.02
_QUIET_SECONDS = 0.15
"""Seconds without a short call after which clients have received GOAWAY."""
_CERTIFICATE_SIZE = 64 * 1024
"""Bytes that a certificate may add to a call's metadata on the way to the grpcio server."""


class PlainCalls(NamedTuple):
    """The settings of plain decisions in Rust.

    Attributes:
        policy: further reasons to deny.
        emergency: recognises calls to emergency numbers, of all tenants.
        seal: for challenges: the signing key, and the validity in milliseconds; None: no challenges.
        decision_log: records the decisions; None: no log.
        differences: logs calls that candidates decide otherwise.
    """

    policy: Policy
    emergency: EmergencyCalls
    seal: tuple[bytes, int] | None
    decision_log: DecisionLog | None
    differences: DifferenceLog


class CoreTransport:
    """Serves methods on one address.

    Args:
        settings: the address, and the limits.
        methods: the methods served.
        metrics: where requests are counted.
        current: the snapshots that plain calls are decided by.
        security: guard and certificate.
        plain: how plain calls are decided in Rust; None: all calls are decided in Python.
        interceptors: interceptors of the grpcio server, for the calls that get there.

    Raises:
        TransportError: the core cannot use the server's certificate.
    """

    def __init__(
        self,
        settings: ServerSettings,
        methods: Sequence[Method],
        metrics: Metrics,
        *,
        current: CurrentSnapshots,
        security: Security,
        plain: PlainCalls | None,
        interceptors: Sequence[grpc.ServerInterceptor] = (),
    ) -> None:
        self.address = settings.listen
        self._settings = settings
        self._current = current
        self._emergency = plain.emergency if plain is not None else EmergencyCalls(current)
        self._serving = self._stopping = False
        self._directory = Path(tempfile.mkdtemp(prefix="rightcall-"))
        path = str(self._directory / "grpc.sock")
        self._behind = GrpcTransport(
            _behind(settings, path),
            methods,
            metrics,
            interceptors=interceptors,
            guard=security.guard,
            connection=connection,
        )
        services = {"", *(method.service for method in methods)}
        self._front = _front(settings, path, security, plain, services)
        log = plain.decision_log if plain is not None else None
        if log is not None:
            log.follow(self._front.logged)
        differences = plain.differences if plain is not None else DifferenceLog()
        self._upkeep = Upkeep(self._front, security, differences)
        self._pulse = Pulse(self._front.beats)
        metrics.watch_threads(lambda: self._pulse.stuck)
        metrics.tallies.add_source(Counted(self._front, metrics, log).tally)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 - the state itself, the only argument
        """Sets the status of health checks; without effect once stopping."""
        self._behind.set_serving(serving)
        self._front.set_serving(serving and not self._stopping)

    def start(self) -> None:
        """Listens and serves; from then on ``address`` names the real port.

        Raises:
            ListenError: the address cannot be listened on.
        """
        try:
            sockets, self.address = listening_sockets(self._settings.listen)
        except BaseException:
            self._release()
            raise
        self._serving = True
        self._current.on_change(self._take_over)
        self._current.on_candidate(self._compare)
        self._behind.start()
        self._upkeep.start()
        self._pulse.start()
        self._front.start([(one.detach(), _is_unix(one)) for one in sockets])

    def stop(self) -> None:
        """Sets NOT_SERVING, waits for load balancers, sends GOAWAY, and ends the calls in flight.

        Clients are served until they have acted on GOAWAY, so no call is lost. Then streams end, and calls that outlast
        the time for draining.
        """
        self._stopping = True
        self._pulse.stop()
        self._front.set_serving(False)
        self._behind.announce_stop()
        time.sleep(max(self._settings.drain_delay, SETTLE_SECONDS))
        deadline = time.monotonic() + self._settings.drain_seconds
        self._front.drain()
        self._await_quiet(deadline)
        self._front.end_streams()
        self._behind.stop()
        while self._front.load()[0] and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self._release()
        if self._serving:
            remove_socket_file(self.address)
        self._serving = False

    def _await_quiet(self, deadline: float) -> None:
        """Returns when no connection is left, or none has had a short call for a while."""
        quiet_since = time.monotonic()
        while (now := time.monotonic()) < deadline:
            connections, short = self._front.load()
            if short:
                quiet_since = now
            if not connections or now - quiet_since > _QUIET_SECONDS:
                return
            time.sleep(_LOOK_SECONDS)

    def _release(self) -> None:
        self._pulse.stop()
        self._upkeep.stop()
        self._front.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _take_over(self, held: Mapping[str, LoadedSnapshot], changed: Iterable[str], incomplete: str) -> None:
        """Hands changed snapshots to the front."""
        if not self._serving:
            return
        # Calls that no tenant claims are decided only while no tenant is missing, so also during the change.
        if incomplete:
            self._front.set_incomplete(True)
        for tenant in changed:
            if tenant in held:
                self._replace(held[tenant].snapshot)
            else:
                self._front.remove(tenant)
        if not incomplete:
            self._front.set_incomplete(False)

    def _compare(self, tenant: str, candidate: Snapshot | None) -> None:
        """Hands a candidate to the front, which decides no call by it."""
        if not self._serving:
            return
        if candidate is None:
            self._front.stop_comparing(tenant)
        else:
            self._hand(self._front.compare, candidate)

    def _replace(self, snapshot: Snapshot) -> None:
        self._hand(self._front.replace, snapshot)

    def _hand(self, take: Callable[..., bool], snapshot: Snapshot) -> None:
        revision = snapshot.revision
        take(
            snapshot.tenant,
            revision.number,
            str(revision),
            snapshot.blob,
            closed=bool(snapshot.closed),
            emergency=self._emergency.texts(snapshot),
        )


def _logged(log: DecisionLog) -> tuple[tuple[float, float, float], int, int]:
    """The logged shares of decisions, the number of hidden characters, and the number of entries that may wait."""
    allow, deny, challenge = (log.samples[decision] for decision in Decision)
    return (allow, deny, challenge), log.settings.mask, log.settings.queue


def _behind(settings: ServerSettings, path: str) -> ServerSettings:
    """The settings of the server behind: calls of all clients come over few connections, and limits are the front's."""
    return replace(
        settings,
        listen=f"unix:{path}",
        max_concurrent_streams=0,
        max_connections=0,
        max_connection_idle=0.0,
        max_connection_age=0.0,
        max_metadata_size=settings.max_metadata_size + _CERTIFICATE_SIZE,
        drain_delay=0.0,
    )


def _front(
    settings: ServerSettings, path: str, security: Security, plain: PlainCalls | None, services: set[str]
) -> _core.Front:
    understood = (FORMAT_VERSION, VERSION) == (_core.FORMAT, _core.CHALLENGE)
    log = plain.decision_log if plain is not None else None
    limits = security.guard.limits if security.guard is not None else None
    policy = plain.policy if plain is not None else AS_WAZO
    try:
        return _core.Front(
            path,
            threads=settings.io_threads or available_cores(),
            decides=plain is not None and understood,
            limits=_core.FrontLimits(
                message=settings.max_message_size,
                metadata=settings.max_metadata_size,
                streams=settings.max_concurrent_streams,
                connections=settings.max_connections,
                calls=settings.max_calls,
                open_streams=settings.max_streams,
                keepalive=(settings.keepalive_time, settings.keepalive_timeout),
                idle=settings.max_connection_idle,
                age=(settings.max_connection_age, settings.max_connection_age_grace),
            ),
            policy=_core.FrontPolicy(
                deny_unknown_callers=policy.deny_unknown_callers,
                deny_unknown_outcalls=policy.deny_unknown_outcalls,
                dialable_only=policy.dialable_only,
                emergency=plain.emergency.texts(None) if plain is not None else set(),
            ),
            services=services,
            clients=telling(security.guard),
            buckets=limits.buckets if isinstance(limits, CoreLimits) else None,
            seal=plain.seal if plain is not None else None,
            log=_logged(log) if log is not None else None,
            certificate=security.certificate.pem() if security.certificate is not None else None,
        )
    except ValueError as error:
        raise TransportError(f"the core cannot show this certificate: {error}; give --transport grpcio") from None


def _is_unix(one: socket.socket) -> bool:
    return one.family.name == "AF_UNIX"
