"""The core: servers that have it, and without a transport, what it would answer by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from given import ALICE
from server import running_server

from pdp.decision_log.log import DecisionLog, DecisionLogSettings
from pdp.decision_log.sinks import FileSink
from pdp.rules.snapshot.ruling import AS_WAZO
from pdp.snapshots.emergency import EmergencyCalls
from pdp.transports.choice import Transport, core_is_built
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from server import Running

    from pdp._core import Front
    from pdp.metrics.registry import Metrics
    from pdp.rules.snapshot.ruling import Policy
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")
DENY = v1.Decision.DECISION_DENY

ALONE = [("grpc.use_local_subchannel_pool", 1)]
"""Options of a channel with a connection of its own."""
CORE_IS_BUILT = core_is_built()
built = pytest.mark.skipif(not CORE_IS_BUILT, reason="the core was not built")
"""Marks tests that need the core."""
EACH_TRANSPORT = [Transport.GRPCIO, pytest.param(Transport.CORE, marks=built)]
"""The parameters of tests that run over each transport."""


def served(*rules: Any, **settings: Any) -> Any:
    """A server with the core."""
    return running_server(*rules, transport=Transport.CORE, **settings)


def value(running: Running, name: str, **labels: str) -> float:
    """What a metric says."""
    return running.metrics.registry.get_sample_value(f"rightcall_{name}", labels) or 0.0


def in_python(running: Running) -> int:
    """How many requests were counted by Python's threads."""
    tallies = running.metrics.tallies
    return sum(sum(tally.requests.values()) for tally in [tallies._retired, *tallies._threads.values()])


def logged(tmp_path: Path, **settings: Any) -> Callable[[Metrics], DecisionLog]:
    """A decision log in a file."""
    sink = FileSink(tmp_path / "log", max_bytes=0, keep=1)
    return lambda metrics: DecisionLog(sink, DecisionLogSettings(**settings), metrics)


def entries(tmp_path: Path) -> list[dict[str, Any]]:
    """What a decision log holds."""
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def asked(*calls: v1.CheckCallRequest) -> Iterator[v1.StreamCheckCallsRequest]:
    """Requests of a stream, with their positions as ids."""
    return iter([v1.StreamCheckCallsRequest(id=str(at), call=call) for at, call in enumerate(calls)])


def front_of(
    current: CurrentSnapshots,
    *,
    seal: tuple[bytes, int] | None = None,
    max_calls: int = 100,
    policy: Policy = AS_WAZO,
    emergency: Iterable[str] = (),
) -> Front:
    """A front that answers from the snapshots of now, and listens nowhere."""
    from pdp import _core  # noqa: PLC0415 - it may not be built

    numbers = EmergencyCalls(current, emergency)
    limits = _core.FrontLimits(
        message=1 << 20,
        metadata=1 << 14,
        streams=0,
        connections=0,
        calls=max_calls,
        open_streams=1,
        keepalive=(60.0, 20.0),
        idle=0.0,
        age=(0.0, 0.0),
    )
    front = _core.Front(
        "/nowhere",
        threads=1,
        decides=True,
        limits=limits,
        policy=_core.FrontPolicy(
            deny_unknown_callers=policy.deny_unknown_callers,
            deny_unknown_outcalls=policy.deny_unknown_outcalls,
            dialable_only=policy.dialable_only,
            emergency=numbers.texts(None),
        ),
        services=set(),
        clients=None,
        buckets=None,
        seal=seal,
        log=None,
        certificate=None,
    )
    front.set_incomplete(bool(current.incomplete))
    for held in current.held():
        assert hand_over(front, held.snapshot, numbers)
    return front


def hand_over(front: Front, snapshot: Snapshot, emergency: EmergencyCalls, blob: bytes | None = None) -> bool:
    """Hands a snapshot to a front, or another blob in its place; whether the front understands that."""
    revision = snapshot.revision
    return front.replace(
        snapshot.tenant,
        revision.number,
        str(revision),
        snapshot.blob if blob is None else blob,
        closed=bool(snapshot.closed),
        emergency=emergency.texts(snapshot),
    )
