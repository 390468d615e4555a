"""The core without a transport: what it would answer by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pdp.transports.choice import core_is_built

if TYPE_CHECKING:
    from pdp._core import Front
    from pdp.snapshots.current import CurrentSnapshots

CORE_IS_BUILT = core_is_built()
built = pytest.mark.skipif(not CORE_IS_BUILT, reason="the core was not built")
"""Marks tests that need the core."""


def front_of(
    current: CurrentSnapshots,
    *,
    seal: tuple[bytes, int] | None = None,
    max_calls: int = 100,
    plain_from: int | None = 0,
) -> Front:
    """A front that answers from the snapshots of now, and listens nowhere."""
    from pdp import _core  # noqa: PLC0415 - it may not be built

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
        clients=None,
        buckets=None,
        seal=seal,
        log=None,
        certificate=None,
    )
    for held in current.held():
        revision = held.snapshot.revision
        assert front.replace(held.snapshot.tenant, revision.number, str(revision), held.snapshot.blob, plain_from)
    return front
