"""A server with rules, for tests: real snapshots, real ports."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from pdp.app import Server, ServerSettings
from pdp.current import CurrentSnapshots
from pdp.metrics import Metrics
from pdp.rules.compile import Compiler
from pdp.rules.model import Revision, Tenant
from pdp.rules.snapshot import Snapshot, decode
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def snapshot_of(tenant: Tenant, *, number: int = 1, digest: str = "ab" * 32, compiled_at: float = 1.5e9) -> Snapshot:
    """A tenant's rules, compiled, encoded and decoded."""
    return decode(Compiler().compile(tenant, Revision(number, digest), compiled_at=compiled_at))


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
    **settings: Any,
) -> Iterator[Running]:
    """A server on free ports that answers from ``rules``, or from ``current``, and a channel to it."""
    held = current_of(*rules) if current is None else current
    metrics = Metrics(held, "1.2.3")
    chosen = {"listen": "127.0.0.1:0", "http": "127.0.0.1:0", **settings}
    with Server(ServerSettings(**chosen), held, metrics) as server, grpc.insecure_channel(server.address) as channel:
        decisions, directory = v1.DecisionServiceStub(channel), v1.DirectoryServiceStub(channel)
        yield Running(server, held, metrics, channel, decisions, directory)
