"""What can be set about a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where a server listens, and the limits that a long-lived service needs. 0 turns a limit off where it says so.

    Attributes:
        listen: ``HOST:PORT`` or ``unix:PATH`` of the gRPC API; port 0: one that is free.
        http: ``HOST:PORT`` of metrics and health; port 0: one that is free; empty: none.
        threads: calls that are worked on at the same time.
        max_message_size: of one request, in bytes.
        keepalive_time: seconds without traffic after which a connection is asked whether it lives.
        keepalive_timeout: seconds that it has to answer.
        max_connection_idle: seconds without a call after which a connection is closed; 0: never.
        max_connection_age: seconds after which a connection is closed, so that new replicas get their share of the
            traffic; 0: never.
        max_connection_age_grace: seconds that the calls in flight have to end then; 0: as long as they take.
        max_concurrent_streams: calls in flight on one connection; further ones wait in the client. 0: no limit.
        drain_seconds: seconds that the calls in flight have to end when the server stops.
        drain_delay: seconds for which a stopping server, already NOT_SERVING, goes on taking calls, so that load
            balancers notice in time.
    """

    listen: str = "127.0.0.1:50051"
    http: str = "127.0.0.1:9464"
    threads: int = 8
    max_message_size: int = 4 * 1024 * 1024
    keepalive_time: float = 60.0
    keepalive_timeout: float = 20.0
    max_connection_idle: float = 0.0
    max_connection_age: float = 0.0
    max_connection_age_grace: float = 0.0
    max_concurrent_streams: int = 0
    drain_seconds: float = 10.0
    drain_delay: float = 0.0
