"""The users that may dial an extension: the verdict for every user of a tenant, decided once for each profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.effort import CHECKPOINT

if TYPE_CHECKING:
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Verdict


def verdicts(snapshot: Snapshot, extension: str, outcall: str, *, after: str = "") -> list[tuple[str, Verdict]]:
    """The UUID of every user with the verdict of ``decide`` for that user, sorted.

    Args:
        snapshot: the rules of the tenant.
        extension: the text that is dialled, 1 to 128 printable characters.
        outcall: an outgoing call's id; empty, or unknown to the tenant: the call leaves without an outcall.
        after: only users whose UUIDs come behind this one.
    """
    after = after.lower()
    checkpoint = CHECKPOINT.get()
    of_profile: dict[int, Verdict] = {}
    found: list[tuple[str, Verdict]] = []
    for caller, profile in snapshot.profiles():
        if caller <= after:
            continue
        verdict = of_profile.get(profile)
        if verdict is None:
            checkpoint()
            verdict = of_profile[profile] = snapshot.decide(caller, extension, outcall)
        found.append((caller, verdict))
    found.sort(key=_caller)
    return found


def _caller(entry: tuple[str, Verdict]) -> str:
    return entry[0]
