"""Shadow: what a tenant's candidate would have decided, counted and sampled; no response depends on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from pdp.decision_log.masking import masked
from pdp.errors import CallError
from pdp.rules.dialling import Undiallable
from pdp.rules.model import Decision
from pdp.rules.snapshot.ruling import rule
from pdp.services.identity import check_open, identified

if TYPE_CHECKING:
    from pdp.metrics.registry import Metrics
    from pdp.rules.model import Call
    from pdp.rules.snapshot.ruling import Policy
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome
    from pdp.snapshots.emergency import EmergencyCalls

_log = structlog.get_logger()

MAX_DIFFERENCES_A_SECOND = 10
"""Differences that are logged in a second, of all tenants; the others are counted alone."""


class DifferenceLog:
    """Logs some of the calls that a candidate decides otherwise.

    Args:
        mask: number of the extension's last characters that are hidden, as in the decision log.
    """

    def __init__(self, mask: int = 0) -> None:
        self._mask = mask
        self._second = 0
        self._logged = 0

    def differs(
        self,
        of: tuple[str, str],
        call: tuple[str, str, str],
        decisions: tuple[int, int],
        permissions: tuple[int | None, int | None],
    ) -> None:
        """Logs a difference, unless too many were logged in this second.

        Args:
            of: the tenant, and the candidate's revision.
            call: caller, extension and outcall.
            decisions: the decision, and that of the candidate; 0: the candidate has none.
            permissions: the deciding permissions of both.
        """
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._logged = second, 0
        if self._logged >= MAX_DIFFERENCES_A_SECOND:
            return
        self._logged += 1
        _log.info(
            "candidate_differs",
            tenant=of[0],
            candidate_revision=of[1],
            caller=call[0],
            extension=masked(call[1], self._mask),
            outcall=call[2],
            decision=word(decisions[0]),
            candidate_decision=word(decisions[1]),
            permission=permissions[0],
            candidate_permission=permissions[1],
        )


class Shadow:
    """Decides calls by candidates as well.

    Args:
        metrics: where comparisons are counted.
        policy: the server's further reasons to deny.
        emergency: recognises calls to emergency numbers.
        differences: logs what differs.
    """

    def __init__(
        self, metrics: Metrics, policy: Policy, emergency: EmergencyCalls, differences: DifferenceLog | None = None
    ) -> None:
        self._metrics = metrics
        self._policy = policy
        self._emergency = emergency
        self._differences = differences or DifferenceLog()

    def compare(self, candidate: Snapshot, call: Call, outcome: Outcome) -> None:
        """Compares the outcome of a call with that by the candidate of its tenant; never raises."""
        try:
            other = self._outcome(candidate, call)
        except (CallError, Undiallable):
            other = None
        except Exception:  # noqa: BLE001 - a defect here is no reason to fail a call
            _log.exception("candidate_failed", advice="please report this; the call was decided without it")
            other = None
        decision = outcome.verdict.decision
        by_candidate = other.verdict.decision if other is not None else 0
        self._metrics.compared(candidate.tenant, word(decision), word(by_candidate))
        if decision != by_candidate:
            permission = other.verdict.permission_id if other is not None else None
            self._differences.differs(
                (candidate.tenant, str(candidate.revision)),
                (call.caller, call.extension, call.outcall),
                (decision, by_candidate),
                (outcome.verdict.permission_id, permission),
            )

    def _outcome(self, candidate: Snapshot, call: Call) -> Outcome:
        emergency = self._emergency.outcome(call, candidate)
        if emergency is not None:
            return emergency
        check_open(candidate)
        return rule(candidate, identified(candidate, call), self._policy)


def word(decision: int) -> str:
    """A decision in a label: ``allow``, ``deny``, ``challenge``, or ``none`` where a candidate has none."""
    return Decision(decision).name.lower() if decision else "none"
