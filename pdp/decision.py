"""Deciding a call from a snapshot: pure, without clock, input or output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Verdict


def decide(snapshot: Snapshot, caller: str, extension: str, outcall: str) -> Verdict:
    """May ``caller`` dial ``extension`` through ``outcall``?

    Args:
        snapshot: the rules of the tenant that the call belongs to.
        caller: a user's UUID; empty, or unknown to the tenant: the stages USER and GROUP are skipped.
        extension: what was dialled, 1 to 128 printable characters.
        outcall: an outgoing call's id; empty, or unknown to the tenant: the stage OUTCALL is skipped.
    """
    return snapshot.decide(caller, extension, outcall)
