"""The server, put together: services, transport, HTTP. The one place that knows all parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import structlog

from pdp.authzen.evaluator import Evaluator
from pdp.authzen.routes import authzen_routes
from pdp.authzen.search import Search
from pdp.challenges.setup import open_challenges
from pdp.decision_log.ids import DecisionIds
from pdp.rules.snapshot.matcher import matcher_name
from pdp.runtime.address import UNIX, unix_path
from pdp.runtime.http import HttpLimits, HttpServer, Readiness
from pdp.runtime.http_connections import RESERVE
from pdp.runtime.open_files import connection_limits
from pdp.runtime.version import version
from pdp.security.limits import Limits as ClientLimits
from pdp.security.setup import open_security
from pdp.services.decisions import DecisionService
from pdp.services.directory import DirectoryService
from pdp.services.lockouts import LockoutService
from pdp.services.methods import methods
from pdp.services.shadow import DifferenceLog
from pdp.settings import ServerSettings
from pdp.snapshots.emergency import EmergencyCalls
from pdp.snapshots.freshness import RevisionWaiter
from pdp.snapshots.readiness import readiness
from pdp.snapshots.scoped import ScopedSnapshots
from pdp.transports.choice import Transport, choose_transport
from pdp.transports.grpcio import GrpcTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import Mount, Route

    from pdp.challenges.attempts import Attempts
    from pdp.challenges.delays import Delays
    from pdp.decision_log.log import DecisionLog, Recorder
    from pdp.metrics.registry import Metrics
    from pdp.security.limits import MakeLimits
    from pdp.security.setup import Security
    from pdp.snapshots.current import CurrentSnapshots
    from pdp.tracing import ServerTracing
    from pdp.transports.core.transport import CoreTransport

__all__ = ["Server", "ServerParts", "ServerSettings"]

_log = structlog.get_logger()


class ServerParts(NamedTuple):
    """The parts of a server that further pages of the HTTP port are made of.

    Attributes:
        settings: the server's.
        current: the snapshots, as the client of a request may see them.
        whole: the snapshots of all tenants, for any client.
        decisions, directory, lockouts: the services.
        security: identifies the client of a request.
        secrets: the deployment's keys.
        decision_log: sees each decision; None: no log.
        metrics: the server's counters.
        stopping: whether the server is about to stop, so that responses without an end must end.
    """

    settings: ServerSettings
    current: CurrentSnapshots
    whole: CurrentSnapshots
    decisions: DecisionService
    directory: DirectoryService
    lockouts: LockoutService
    security: Security
    secrets: Sequence[bytes]
    decision_log: DecisionLog | None
    metrics: Metrics
    stopping: Callable[[], bool]


class Server:
    """A server that answers from the current snapshots until stopped; as a context manager, serves inside the block.

    Args:
        settings: addresses and limits.
        current: the snapshots to answer from; the caller keeps these up to date.
        metrics: where requests and decisions are counted.
        secrets: the deployment's keys; passwords were hashed with one of them. None: passwords cannot be checked, and
            no challenges are sent.
        attempts: counts attempts at passwords; None: in this process alone.
        delays: counts wrong passwords of all callers together; None: in this process alone.
        decision_log: records each decision, and is started and stopped with the server; None: no log.
        tracing: makes a span of each request; None: no spans.
        transport: the gRPC transport.
        pages: makes further pages of the HTTP port; None: there are none.

    Raises:
        TransportError: the transport was not built.
        SecurityError: the security settings are missing, or cannot be put into effect.
    """

    def __init__(  # noqa: PLR0913 - a composition root knows them all
        self,
        settings: ServerSettings,
        current: CurrentSnapshots,
        metrics: Metrics,
        *,
        secrets: Sequence[bytes] = (),
        attempts: Attempts | None = None,
        delays: Delays | None = None,
        decision_log: DecisionLog | None = None,
        tracing: ServerTracing | None = None,
        transport: Transport = Transport.GRPCIO,
        pages: Callable[[ServerParts], Sequence[Route | Mount]] | None = None,
    ) -> None:
        chosen = choose_transport(transport)
        grpc_connections, http_connections = connection_limits(
            settings.max_connections, settings.http_max_connections, reserve=RESERVE
        )
        settings = replace(settings, max_connections=grpc_connections, http_max_connections=http_connections)
        told: Recorder | None = tracing.decisions(decision_log) if tracing else decision_log
        self._settings = settings
        self._decision_log = decision_log
        self._current = current
        self._registry = metrics.registry
        self._metrics = metrics
        self._http: HttpServer | None = None
        self._transport: CoreTransport | GrpcTransport
        self._chosen = chosen
        self._stopping = False
        self._security = open_security(
            settings.security, [settings.listen, settings.http], metrics, make_limits=_limits_of(chosen)
        )
        seen = ScopedSnapshots(current, self._security.denied_tenant) if self._security.tells_clients_apart else current
        rules = RevisionWaiter(seen.resolve, seconds=settings.freshness_wait, waiters=settings.threads // 2)
        emergency = EmergencyCalls(seen, settings.emergency_numbers)
        challenges = open_challenges(
            settings, rules, secrets, emergency=emergency, metrics=metrics, counters=(attempts, delays), record=told
        )
        differences = DifferenceLog(decision_log.settings.mask if decision_log is not None else 0)
        decisions = DecisionService(
            seen,
            metrics,
            policy=settings.policy,
            emergency=emergency,
            rules=rules,
            challenges=challenges,
            max_calls=settings.max_calls,
            decision_log=told,
            differences=differences,
        )
        directory = DirectoryService(seen, version(), emergency)
        routes = authzen_routes(
            Evaluator(decisions, settings.max_calls),
            Search(directory, decisions),
            admit=self._security.admit_http if self._security.guard else None,
            public_url=settings.http_url,
            decision_ids=decision_log is not None,
        )
        self._routes: list[Route | Mount] = [*(map(tracing.route, routes) if tracing else routes)]
        lockouts = LockoutService(seen, challenges, self._security.closed_to_strangers(settings.listen))
        services = decisions, directory, lockouts
        if pages is not None:
            rest = ServerParts(
                settings, seen, current, *services, self._security, secrets, decision_log, metrics, self._is_stopping
            )
            self._routes += pages(rest)
        current.answered_elsewhere = chosen is Transport.CORE and tracing is None
        interceptors = [tracing.interceptor()] if tracing else []
        if decision_log is not None:
            interceptors.append(DecisionIds(behind_front=chosen is Transport.CORE))
        if chosen is Transport.CORE:
            from pdp.transports.core.transport import CoreTransport, PlainCalls  # noqa: PLC0415 - it may not be built

            # Traces are told of each decision, in Python; the decision log is by the core itself.
            decided = None
            if tracing is None:
                seal = challenges.signing if challenges is not None else None
                decided = PlainCalls(settings.policy, emergency, seal, decision_log, differences)
            self._transport = CoreTransport(
                settings,
                methods(*services),
                metrics,
                current=current,
                security=self._security,
                plain=decided,
                interceptors=interceptors,
            )
            return
        self._transport = GrpcTransport(
            settings,
            methods(*services),
            metrics,
            interceptors=interceptors,
            guard=self._security.guard,
            credentials=self._security.grpc_credentials(),
        )

    @property
    def address(self) -> str:
        """The address of the gRPC API, with the real port once started."""
        return self._transport.address

    @property
    def http_address(self) -> str:
        """The address of metrics and health, with the real port once started; empty without an HTTP port."""
        return self._http.address if self._http else self._settings.http

    def start(self) -> None:
        """Listens and serves.

        Raises:
            ListenError: an address cannot be listened on; nothing is left running then.
        """
        self._current.on_ready(self._transport.set_serving)
        if self._settings.http:
            tls = self._security.http_context()
            self._http = HttpServer(
                self._settings.http,
                self._registry,
                self._readiness,
                self._routes,
                tls=tls,
                limits=HttpLimits(self._settings.http_max_connections, self._settings.http_keep_alive),
                closed=self._metrics.http_closed,
                alive=lambda: self._metrics.alive,
            )
            self._metrics.watch_http(lambda: self._http.connections if self._http else 0)
        try:
            self._transport.start()
            self._open_socket_file()
        except BaseException:
            self._stop_http()
            raise
        if self._http:
            self._http.start()
        if self._decision_log:
            self._decision_log.start()
        self._security.start()
        _log.info(
            "server_started",
            version=version(),
            grpc=self.address,
            http=self.http_address,
            transport=self._chosen.value,
            matcher=matcher_name(),
        )

    def stop(self) -> None:
        """Stops gracefully: NOT_SERVING and not ready at once, then the calls in flight end, then everything else."""
        if self._stopping:
            return
        self._stopping = True
        _log.info("server_stopping", drain_seconds=self._settings.drain_seconds)
        self._transport.stop()
        self._stop_http()
        if self._decision_log:
            self._decision_log.stop()
        self._security.stop()
        _log.info("server_stopped")

    def __enter__(self) -> Self:
        """Starts."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops."""
        self.stop()

    def _open_socket_file(self) -> None:
        """Sets the permissions of a Unix socket's file."""
        if self._settings.listen_mode and self._settings.listen.startswith(UNIX):
            Path(unix_path(self._settings.listen)).chmod(int(self._settings.listen_mode, 8))

    def _is_stopping(self) -> bool:
        return self._stopping

    def _stop_http(self) -> None:
        if self._http:
            self._http.stop()

    def _readiness(self) -> Readiness:
        if self._stopping:
            return Readiness(ready=False, reason="not ready: the server is stopping")
        ready, reason = readiness(
            self._current,
            max_staleness=self._settings.max_staleness,
            strangers=self._security.tells_clients_apart,
        )
        return Readiness(ready=ready, reason=reason)


def _limits_of(transport: Transport) -> MakeLimits:
    """A function that makes the limits of clients: those of the core are counted in Rust and in Python together."""
    if transport is not Transport.CORE:
        return ClientLimits
    from pdp.transports.core.limits import CoreLimits  # noqa: PLC0415 - it may not be built

    return CoreLimits
