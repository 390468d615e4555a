"""Settings of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pdp.rules.snapshot.ruling import Policy
from pdp.security.settings import SecuritySettings


class Transport(StrEnum):
    """Implementations of gRPC."""

    AUTO = "auto"
    """CORE where built, else GRPCIO."""
    GRPCIO = "grpcio"
    """Everything in Python."""
    CORE = "core"
    """HTTP/2, TLS and plain decisions in Rust, all other calls by GRPCIO behind."""


class Characters(StrEnum):
    """Characters that an extension may consist of."""

    ANY = "any"
    """Any printable characters, as in Wazo."""
    DIALABLE = "dialable"
    """Characters that telephones dial: ``0-9 * # + A-D``. Any other is an error."""


class Unknown(StrEnum):
    """The handling of a call with an unknown caller or outcall."""

    WAZO = "wazo"
    """The stages of an unknown party are skipped, as Wazo does; most such calls are allowed."""
    DENY = "deny"
    """The call is denied, in the stage POLICY."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """A server's addresses, and the limits that a long-lived service needs. 0 turns a limit off where documented.

    Attributes:
        listen: ``HOST:PORT`` or ``unix:PATH`` of the gRPC API; port 0: one that is free.
        listen_mode: octal permissions of the Unix socket's file; permission to write is permission to connect. Empty:
            the process' umask.
        http: ``HOST:PORT`` of metrics and health; port 0: one that is free; empty: none.
        http_url: URL under which clients reach the HTTP port, for discovery (AuthZEN); empty: the URL of each request.
        http_max_connections: of the HTTP port at the same time, half of them from one address; beyond that idle ones
            are closed, and a few more get probes and metrics alone.
        http_keep_alive: seconds that a connection of the HTTP port may rest between two requests.
        threads: calls worked on at the same time.
        io_threads: threads of the core that serve connections and decide plain calls; 0: one for each core of the
            machine. Other transports have none.
        max_message_size: of one request, in bytes; a request about a single call has at most 16 kB.
        message_timeout: seconds within which the message of a call has to come, once its headers have.
        keepalive_time: seconds without traffic after which a keepalive ping is sent on a connection.
        keepalive_timeout: seconds to answer the ping.
        max_connection_idle: seconds without a call after which a connection is closed; 0: never.
        max_connection_age: seconds after which a connection is closed, so that new replicas get a share of the traffic;
            0: never.
        max_connection_age_grace: seconds for the calls then in flight to end; 0: no limit.
        max_concurrent_streams: calls in flight on one connection; further ones wait in the client, so that a server
            that cannot keep up does not hold all calls. 0: no limit.
        max_connections: open at the same time; further ones are closed at once. 0: as many as the system lets this
            process have.
        max_waiting: calls that wait for a thread; further ones are rejected with RESOURCE_EXHAUSTED. 0: no limit.
        max_metadata_size: of one request's headers, in bytes.
        drain_seconds: seconds for the calls in flight to end when the server stops.
        drain_delay: seconds for which a stopping server, already NOT_SERVING, goes on taking calls, so that load
            balancers notice in time.
        max_calls: requests that one CheckCalls may hold.
        max_streams: streams that are served at the same time, over all connections; each has a thread.
        freshness_wait: seconds that a request may wait for a demanded revision; 0: no wait.
        challenge_seconds: for which a challenge can be answered.
        challenge_attempts: wrong passwords until a caller is locked out; 0: no password is accepted.
        lockout_seconds: of the first lockout; each further one is twice as long, up to a day.
        pin_guesses: about how many wrong passwords are looked at in an hour for one permission, through twenty clients;
            further ones after delays that grow. 0: no delays.
        max_staleness: seconds without contact to the source of rules after which the server is not ready, though still
            answering. 0: no limit.
        emergency: numbers allowed to every caller, before any other check, separated by commas.
        extension_characters: characters of an extension whose tenant does not define how to dial; one of
            ``Characters``.
        unknown_caller: handling of calls by a UUID that no user has; one of ``Unknown``.
        unknown_outcall: handling of calls through an outcall that the tenant does not have; one of ``Unknown``.
        security: authentication, client limits and TLS.
    """

    listen: str = "127.0.0.1:50051"
    listen_mode: str = ""
    http: str = "127.0.0.1:9464"
    http_url: str = ""
    http_max_connections: int = 1024
    http_keep_alive: float = 30.0
    threads: int = 8
    io_threads: int = 0
    max_message_size: int = 512 * 1024
    message_timeout: float = 5.0
    keepalive_time: float = 60.0
    keepalive_timeout: float = 20.0
    max_connection_idle: float = 0.0
    max_connection_age: float = 0.0
    max_connection_age_grace: float = 0.0
    max_concurrent_streams: int = 1000
    max_connections: int = 0
    max_waiting: int = 2000
    max_metadata_size: int = 16 * 1024
    drain_seconds: float = 10.0
    drain_delay: float = 0.0
    max_calls: int = 1000
    max_streams: int = 64
    freshness_wait: float = 0.0
    challenge_seconds: float = 60.0
    challenge_attempts: int = 3
    lockout_seconds: float = 900.0
    pin_guesses: int = 100
    max_staleness: float = 0.0
    emergency: str = ""
    extension_characters: Characters = Characters.ANY
    unknown_caller: Unknown = Unknown.WAZO
    unknown_outcall: Unknown = Unknown.WAZO
    security: SecuritySettings = field(default_factory=SecuritySettings)

    @property
    def policy(self) -> Policy:
        """Further reasons to deny, besides permissions."""
        return Policy(
            deny_unknown_callers=self.unknown_caller == Unknown.DENY,
            deny_unknown_outcalls=self.unknown_outcall == Unknown.DENY,
            dialable_only=self.extension_characters == Characters.DIALABLE,
        )

    @property
    def emergency_numbers(self) -> tuple[str, ...]:
        """The emergency numbers of the server."""
        return tuple(number for number in self.emergency.split(",") if number)
