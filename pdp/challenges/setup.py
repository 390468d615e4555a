"""The service that checks passwords, from a server's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.challenges.answers import Challenges
from pdp.challenges.attempts import Limits, MemoryAttempts
from pdp.challenges.delays import Paces
from pdp.challenges.delays_memory import MemoryDelays
from pdp.challenges.tokens import ChallengeSeal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.challenges.attempts import Attempts
    from pdp.challenges.delays import Delays
    from pdp.decision_log.log import Recorder
    from pdp.metrics.registry import Metrics
    from pdp.settings import ServerSettings
    from pdp.snapshots.emergency import EmergencyCalls
    from pdp.snapshots.freshness import RevisionWaiter


def open_challenges(
    settings: ServerSettings,
    rules: RevisionWaiter,
    secrets: Sequence[bytes],
    *,
    emergency: EmergencyCalls,
    metrics: Metrics,
    counters: tuple[Attempts | None, Delays | None] = (None, None),
    record: Recorder | None = None,
) -> Challenges | None:
    """The service; None where the settings allow no passwords.

    Args:
        settings: the limits.
        rules: finds the rules that decide.
        secrets: the deployment's keys; none: passwords cannot be checked.
        emergency: recognises calls to emergency numbers.
        metrics: where results of passwords are counted.
        counters: count attempts and wrong passwords for all replicas; None: in this process alone.
        record: records the decisions; None: no log.
    """
    if not secrets or not settings.challenge_attempts:
        return None
    attempts, delays = counters
    if delays is None and settings.pin_guesses:
        delays = MemoryDelays(Paces(settings.pin_guesses))
    return Challenges(
        ChallengeSeal(secrets, seconds=settings.challenge_seconds),
        attempts or MemoryAttempts(Limits(settings.challenge_attempts, settings.lockout_seconds)),
        rules,
        secrets=secrets,
        emergency=emergency,
        metrics=metrics,
        delays=delays,
        decision_log=record,
    )
