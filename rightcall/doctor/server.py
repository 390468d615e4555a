"""The gRPC port of a server: access, rules, and latency."""

from __future__ import annotations

import datetime as dt
import statistics
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import grpc
import jwt
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from rightcall import v1
from rightcall.client.channel import OPTIONS, credentials
from rightcall.doctor.findings import NotExamined, counted, failure, listed, ok, warning
from rightcall.doctor.place import Place, TlsFiles, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rightcall.doctor.findings import Finding

SERVICES: Final = ("", "rightcall.v1.DecisionService", "rightcall.v1.DirectoryService")
"""Every server answers for these."""
_LOCKOUTS: Final = "rightcall.v1.LockoutService"
"""Servers of release 0.1 do not have it."""
_ROUND_TRIPS: Final = 10
_SLOW_SECONDS: Final = 0.05
"""A dialplan gives a decision a few hundred milliseconds; a sixth of that on the way is much."""
_REFUSED: Final = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_LONGEST_DETAILS: Final = 300


class ServerPart:
    """A server, with the options of the connection.

    Args:
        target: ``HOST:PORT``, ``unix:PATH`` or any other target of gRPC.
        connection: as of ``rightcall.Client``: tls, ca_file, certificate_file, key_file, token.
        seconds: timeout of a response.

    Attributes:
        tls: whether TLS is used.
        files: the files for TLS.

    Raises:
        ListenError: the target resembles a host and a port, and is invalid.
        OSError: a file cannot be read.
        ValueError: the options contradict each other.
    """

    def __init__(self, target: str, connection: dict[str, Any], seconds: float) -> None:
        secure = credentials(**connection)
        self._place = place_of(target, seconds)
        self.tls = secure is not None
        self.files = TlsFiles(connection["ca_file"], connection["certificate_file"], connection["key_file"])
        self.seconds = seconds
        self._token: str | Callable[[], str] | None = connection["token"]
        self._channel = (
            grpc.secure_channel(target, secure, OPTIONS) if secure else grpc.insecure_channel(target, OPTIONS)
        )
        self._decisions = v1.DecisionServiceStub(self._channel)
        self._directory = v1.DirectoryServiceStub(self._channel)
        self._health = HealthStub(self._channel)

    @property
    def place(self) -> Place:
        """The address of the server.

        Raises:
            NotExamined: only gRPC can resolve the target.
        """
        if self._place is None:
            raise NotExamined("gRPC alone knows where that is")
        return self._place

    @property
    def token(self) -> str:
        """The token sent with each request; empty: none.

        Raises:
            OSError: the token's file cannot be read.
            ValueError: the file holds no token.
        """
        return (self._token if isinstance(self._token, str) else self._token()) if self._token else ""

    def health(self, service: str) -> str:
        """A service's state by name, such as SERVING.

        Raises:
            grpc.RpcError: there is no response.
        """
        answer = self._health.Check(  # type: ignore[attr-defined] # made at run time
            HealthCheckRequest(service=service), timeout=self.seconds
        )
        return HealthCheckResponse.ServingStatus.Name(answer.status)

    def ask_nothing(self) -> None:
        """Sends a request without calls to the decision service, which decides and counts none.

        Raises:
            grpc.RpcError: the request is rejected.
        """
        self._decisions.CheckCalls(v1.CheckCallsRequest(), timeout=self.seconds)

    def fetch_status(self) -> v1.GetStatusResponse:
        """The rules that the server holds now.

        Raises:
            grpc.RpcError: the server does not report them.
        """
        return self._directory.GetStatus(v1.GetStatusRequest(), timeout=self.seconds)

    @cached_property
    def status(self) -> v1.GetStatusResponse:
        """The rules that the server held at the first request.

        Raises:
            NotExamined: the server does not report them.
        """
        try:
            return self.fetch_status()
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                message = "this client may not ask for the status; with the service `directory` it may"
                raise NotExamined(message) from error
            raise NotExamined(f"the server tells no status: {told(error)}") from error

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


def told(error: grpc.RpcError) -> str:
    """The message of a gRPC error, in one short line."""
    details = " ".join((error.details() or "").split())
    if len(details) > _LONGEST_DETAILS:
        details = f"{details[:_LONGEST_DETAILS]}…"
    return f"{error.code().name}{details and ': ' + details}"


def check_answers(server: ServerPart) -> Finding:
    """Checks that a Rightcall server responds at the target."""
    try:
        for service in SERVICES:
            server.health(service)
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND):
            return failure(told(error), "something else than Rightcall answers there; check the address")
        return failure(told(error), "check that a Rightcall server listens there, and what is between")
    return ok("a Rightcall server answers")


def check_health(server: ServerPart) -> Finding:
    """Checks that health checking reports SERVING, for the server and each of its services."""
    states = {service or "the server": server.health(service) for service in SERVICES}
    try:
        states[_LOCKOUTS] = server.health(_LOCKOUTS)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
    bad = [f"{service}: {state}" for service, state in states.items() if state != "SERVING"]
    if bad:
        advice = "it has no rules, or is stopping: look at its source below and at its log, see RightcallNotServing"
        return failure(", ".join(bad), advice)
    return ok(f"SERVING, and so are its {len(states) - 1} services")


def check_token(server: ServerPart) -> Finding:
    """Checks that the token to be sent can be read; the server is not asked."""
    try:
        token = server.token
    except (OSError, ValueError) as error:
        return failure(f"it cannot be read: {type(error).__name__}", "put the token into its file, as one line")
    if not token:
        raise NotExamined("--token-file is not given")
    expiry = _expiry(token)
    return ok("it can be read" if expiry is None else f"it can be read; it expires {_time(expiry)}")


def check_credentials(server: ServerPart) -> Finding:
    """Checks that the server knows this client."""
    token = server.token
    what = "the token" if token else "the certificate" if server.files.certificate_file else "no credentials"
    try:
        server.ask_nothing()
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            return _unknown(server, token, _expiry(token))
        if error.code() is not grpc.StatusCode.PERMISSION_DENIED:
            return failure(told(error), "see the server's log")
        advice = "add `decision` to its services in the clients file, if it shall ask whether calls may be made"
        return warning(f"{what}: known, and may not ask for decisions", advice)
    return ok(f"{what}: accepted")


def _unknown(server: ServerPart, token: str, expiry: float | None) -> Finding:
    if token and expiry is not None and expiry <= time.time():
        return failure(f"the token expired {_time(expiry)}", "get a new one from its issuer")
    if token:
        advice = "compare its SHA-256 with the clients file, or its issuer and audience with --jwt-issuer and "
        return failure("the server does not know the token", f"{advice}--jwt-audience; the server's log has the reason")
    if server.files.certificate_file:
        advice = "add one of the certificate's names to the clients file, or see the server's log for the reason"
        return failure("the server does not know the certificate", advice)
    advice = "give --token-file, or --certificate-file and --key-file where it runs with --auth mtls"
    return failure("the server wants credentials, and none were sent", advice)


def _expiry(token: str) -> float | None:
    """The expiry of a JSON Web Token, in Unix time; None without one, or for another kind of token."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return float(claims["exp"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _time(seconds: float) -> str:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "at no time that a calendar has"


def check_tenants(server: ServerPart) -> Finding:
    """Checks that the server holds rules, and reports the number of tenants."""
    tenants = server.status.tenants
    if not tenants:
        advice = "start a loader, and check --redis, --redis-prefix and the definitions; see RightcallNotServing"
        return failure("none: no call is answered", advice)
    closed = [one.name or one.tenant for one in tenants if one.closed_faults]
    if closed:
        advice = "repair their definitions: each call of theirs is an error, see RightcallClosedTenants"
        return failure(f"{counted(len(closed), 'tenant')} closed by faults: {listed(closed)}", advice)
    permissions = sum(one.permissions for one in tenants)
    users = sum(one.users for one in tenants)
    newest = max(tenants, key=lambda one: one.number)
    seen = (
        f"{counted(len(tenants), 'tenant')}, {counted(users, 'user')}, {counted(permissions, 'permission')}; "
        f"the newest revision is {newest.revision} of {newest.name or newest.tenant}"
    )
    return ok(seen)


def check_source(server: ServerPart) -> Finding:
    """Checks that the server follows the source, with rules from there rather than from disk."""
    status = server.status
    source = status.source or "not shown to this client"
    if status.source_error:
        advice = "the rules that it has go on deciding; changes do not arrive until this is repaired"
        return failure(status.source_error, advice)
    disk = [one.name or one.tenant for one in status.tenants if one.loaded_from == "disk"]
    if disk:
        advice = "Redis has not confirmed these rules: see whether it holds their pointers (rightcall revisions)"
        return warning(f"{counted(len(disk), 'tenant')} from disk: {listed(disk)}", advice)
    if status.HasField("contacted_at"):
        source += f", reached {max(0.0, time.time() - status.contacted_at.seconds):.0f} s ago"
    return ok(source)


def check_latency(server: ServerPart) -> Finding:
    """Measures the round trip of a request over an open connection."""
    taken = []
    try:
        server.ask_nothing()
        for _ in range(_ROUND_TRIPS):
            begun = time.perf_counter()
            server.ask_nothing()
            taken.append(time.perf_counter() - begun)
    except grpc.RpcError as error:
        if error.code() in _REFUSED:
            raise NotExamined("this client may not ask for decisions") from error
        return failure(told(error), "the connection does not hold; see the network between, and the server's log")
    median = statistics.median(taken)
    seen = f"{median * 1000:.2f} ms median, {max(taken) * 1000:.2f} ms at most, of {_ROUND_TRIPS} round trips"
    if median > _SLOW_SECONDS:
        advice = "callers hear that: run servers nearer to call control (chart: pdp.kind: DaemonSet)"
        return warning(seen, f"{advice}; of a server under load see RightcallSlow")
    return ok(seen)
