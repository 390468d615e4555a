"""A server with rules, for tests: real snapshots, real ports."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from pdp.app import Server, ServerSettings
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision, Tenant
from pdp.rules.snapshot.snapshot import Snapshot, decode
from pdp.snapshots.current import CurrentSnapshots
from pdp.transports.choice import Transport
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.routing import Mount, Route

    from pdp.app import ServerParts
    from pdp.challenges.attempts import Attempts
    from pdp.challenges.delays import Delays
    from pdp.decision_log.log import DecisionLog

TRANSPORT = Transport.GRPCIO
"""What speaks gRPC where a test does not choose; the mark ``every_transport`` sets it (``conftest.py``)."""

DEADLINE = 10.0
"""Seconds that an answer may take before a test fails."""


class Running(NamedTuple):
    """A server that runs, and what is behind it."""

    server: Server
    current: CurrentSnapshots
    metrics: Metrics
    channel: grpc.Channel
    decisions: v1.DecisionServiceStub
    directory: v1.DirectoryServiceStub


def snapshot_of(
    tenant: Tenant, *, number: int = 1, digest: str = "ab" * 32, compiled_at: float = 1.5e9, secret: bytes | None = None
) -> Snapshot:
    """A tenant's rules, compiled, encoded and decoded; PINs can be checked with a secret key alone."""
    blob = Compiler(secret=secret).compile(tenant, Revision(number, digest), compiled_at=compiled_at)
    return decode(blob, secrets=(secret,) if secret else ())


def current_of(*rules: Tenant | Snapshot) -> CurrentSnapshots:
    """Snapshots to answer from."""
    current = CurrentSnapshots("rules of a test")
    for one in rules:
        current.replace(snapshot_of(one) if isinstance(one, Tenant) else one)
    return current


@contextmanager
def running_server(
    *rules: Tenant | Snapshot,
    current: CurrentSnapshots | None = None,
    secrets: Sequence[bytes] = (),
    attempts: Attempts | None = None,
    delays: Delays | None = None,
    decision_log: Callable[[Metrics], DecisionLog] | None = None,
    transport: Transport | None = None,
    pages: Callable[[ServerParts], Sequence[Route | Mount]] | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """A server on free ports that answers from ``rules``, or from ``current``, and a channel to it."""
    held = current_of(*rules) if current is None else current
    metrics = Metrics(held, "1.2.3")
    chosen = {"listen": "127.0.0.1:0", "http": "127.0.0.1:0", **settings}
    log = decision_log(metrics) if decision_log else None
    made = Server(
        ServerSettings(**chosen),
        held,
        metrics,
        secrets=secrets,
        attempts=attempts,
        delays=delays,
        decision_log=log,
        transport=transport or TRANSPORT,
        pages=pages,
    )
    with made as server, grpc.insecure_channel(server.address) as channel:
        decisions, directory = v1.DecisionServiceStub(channel), v1.DirectoryServiceStub(channel)
        yield Running(server, held, metrics, channel, decisions, directory)
