"""The reasons for the decision on a call: the whole derivation, for people.

Explanations do not walk the automata. Each permission that could apply is looked at alone and each of its patterns is
matched alone, so an explanation is a second derivation of the decision, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from pdp.rules.analysis.closest import Closest, closest
from pdp.rules.analysis.forms import readings_of
from pdp.rules.analysis.rulings import LENIENCY
from pdp.rules.model import Decision, Mode, Reason, Stage
from pdp.rules.precedence import decision_of, rank
from pdp.rules.snapshot.verdict import UNRESTRICTED, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.analysis.forms import Reading
    from pdp.rules.model import Call
    from pdp.rules.snapshot.records import GroupRecord, PermissionRecord
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome


class StageResult(IntEnum):
    """The result of a stage. Numbers and names are the API's (``STAGE_RESULT_…``)."""

    DECIDED = 1
    NO_MATCH = 2
    NOT_REACHED = 3
    NOT_APPLICABLE = 4


class CandidateResult(IntEnum):
    """The result of a permission in a stage. Numbers and names are the API's (``CANDIDATE_RESULT_…``)."""

    DECIDED = 1
    OUTWEIGHED = 2
    NO_PATTERN_MATCHES = 3
    DISABLED = 4
    GROUP_DISABLED = 5
    NOT_REACHED = 6


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """One permission of a stage, and the result."""

    permission_id: int
    permission_name: str
    mode: Mode
    has_password: bool
    result: CandidateResult
    matched_patterns: tuple[str, ...]
    reason: str
    group_id: str = ""
    group_name: str = ""
    closest: Closest | None = None
    """The pattern that comes closest, if none matches."""
    matched_form: str = ""
    """The text that the first matching pattern matches: the extension, or a form of the extension."""

    def describe(self) -> str:
        """The permission, for use in a sentence."""
        return f"permission {self.permission_id}" + (f" ({self.permission_name})" if self.permission_name else "")


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage, and the result."""

    stage: Stage
    result: StageResult
    candidates: tuple[CandidateReport, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its derivation."""

    verdict: Verdict
    caller_known: bool
    outcall_known: bool
    stages: tuple[StageReport, ...]
    summary: str
    forms: tuple[str, ...] = ()
    """The forms of the extension, in a tenant with a dialling plan."""


UNKNOWN_TENANT = Explanation(
    UNRESTRICTED,
    caller_known=False,
    outcall_known=False,
    stages=(),
    summary="ALLOW: no tenant knows this caller or this outcall, so no permission applies.",
)
"""The explanation of a call that belongs to no tenant."""


def explain(snapshot: Snapshot, caller: str, extension: str, outcall: str) -> Explanation:
    """The derivation of ``decide`` with the same arguments.

    Of two readings of the extension, that of the one whose decision stands.

    Raises:
        Undiallable: the extension cannot be dialled in the tenant.
    """
    readings = [_explain(snapshot, caller, reading, outcall) for reading in readings_of(snapshot, extension)]
    explanation = min(readings, key=lambda one: LENIENCY[one.verdict.decision])
    if snapshot.dialling is None:
        return explanation
    summary = explanation.summary
    if len(readings) > 1:
        other = next(one for one in readings if one is not explanation)
        summary += f" What was dialled may be another number as well, which would be {other.verdict.decision.name}."
    return replace(explanation, summary=summary)


def _explain(snapshot: Snapshot, caller: str, reading: Reading, outcall: str) -> Explanation:
    """The derivation for one reading."""
    known, known_outcall = snapshot.knows_caller(caller), snapshot.knows_outcall(outcall)
    stages: list[StageReport] = []
    verdict = UNRESTRICTED
    for stage, candidates, obstacle in (
        (Stage.USER, _of_user(snapshot, caller, reading), _caller_obstacle(caller, known=known)),
        (Stage.GROUP, _of_groups(snapshot, caller, reading), _caller_obstacle(caller, known=known)),
        (Stage.OUTCALL, _of_outcall(snapshot, outcall, reading), _outcall_obstacle(outcall, known=known_outcall)),
    ):
        report = _report(stage, candidates, obstacle, reached=verdict is UNRESTRICTED)
        stages.append(report)
        if report.result is StageResult.DECIDED:
            decisive = report.candidates[0]
            verdict = Verdict(_decision(decisive), stage, decisive.permission_id, decisive.permission_name)
    summary = _summary(verdict, stages, reading.extension)
    texts = tuple(form.text for form in reading.forms) if snapshot.dialling is not None else ()
    return Explanation(verdict, known, known_outcall, tuple(stages), summary, texts)


def explain_outcome(snapshot: Snapshot | None, call: Call, outcome: Outcome) -> Explanation:
    """The derivation of an outcome of ``rule`` or of an emergency number.

    Args:
        snapshot: the rules of the call's tenant; None: the call belongs to no tenant.
        call: the call, in the form that ``rule`` takes.
        outcome: the outcome of the call.
    """
    explanation = UNKNOWN_TENANT if snapshot is None else explain(snapshot, call.asker, call.extension, call.outcall)
    if outcome.reason in _SUMMARIES:
        stages = tuple(map(_overruled, explanation.stages))
        summary = f"{outcome.verdict.decision.name}: {_SUMMARIES[outcome.reason]}"
        return replace(explanation, verdict=outcome.verdict, stages=stages, summary=summary)
    if outcome.reason is Reason.CHALLENGE_UNANSWERABLE:
        asked = explanation.summary.partition(": ")[2]
        summary = f"DENY: the call is forwarded, so the user cannot be asked for the password; {asked}"
        return replace(explanation, verdict=outcome.verdict, summary=summary)
    return explanation


_SUMMARIES = {
    Reason.EMERGENCY: "the extension is an emergency number, which no permission can take away.",
    Reason.UNKNOWN_CALLER: "no user has this caller's UUID, and the server denies callers that are not known.",
    Reason.UNKNOWN_OUTCALL: "the tenant does not have this outcall, and the server denies outcalls that are not known.",
}
"""Summaries of decisions that are made before the permissions."""


def _overruled(report: StageReport) -> StageReport:
    """A stage of a call that was decided before that stage."""
    if report.result is StageResult.NOT_APPLICABLE:
        return report
    candidates = [
        replace(candidate, result=CandidateResult.NOT_REACHED, reason="It matches, but the call was decided before.")
        if candidate.result in (CandidateResult.DECIDED, CandidateResult.OUTWEIGHED)
        else candidate
        for candidate in report.candidates
    ]
    return StageReport(report.stage, StageResult.NOT_REACHED, tuple(candidates), "The call was decided before.")


def _of_user(snapshot: Snapshot, caller: str, reading: Reading) -> list[CandidateReport]:
    permissions = map(snapshot.permission, snapshot.user_permissions(caller))
    return [_candidate(snapshot, permission, reading, None) for permission in permissions]


def _of_groups(snapshot: Snapshot, caller: str, reading: Reading) -> list[CandidateReport]:
    return [
        _candidate(snapshot, snapshot.permission(slot), reading, group)
        for group in snapshot.user_groups(caller)
        for slot in group.permissions
    ]


def _of_outcall(snapshot: Snapshot, outcall: str, reading: Reading) -> list[CandidateReport]:
    permissions = map(snapshot.permission, snapshot.outcall_permissions(outcall))
    return [_candidate(snapshot, permission, reading, None) for permission in permissions]


def _caller_obstacle(caller: str, *, known: bool) -> str:
    if known:
        return ""
    return "The caller is not a user of this tenant." if caller else "The call has no caller."


def _outcall_obstacle(outcall: str, *, known: bool) -> str:
    if known:
        return ""
    return "The outcall is not one of this tenant's." if outcall else "The call leaves through no outcall."


def _candidate(
    snapshot: Snapshot, permission: PermissionRecord, reading: Reading, group: GroupRecord | None
) -> CandidateReport:
    """A permission judged alone; a permission that matches is OUTWEIGHED until the stage is ranked."""
    matched = {
        snapshot.pattern(number): form for number in permission.patterns if (form := reading.matching(snapshot, number))
    }
    near = None if matched else closest(snapshot, permission.patterns, reading.unmarked())
    if group is not None and not group.enabled:
        result, reason = CandidateResult.GROUP_DISABLED, "Its group is disabled."
    elif not permission.enabled:
        result, reason = CandidateResult.DISABLED, "It is disabled."
    elif not matched:
        result = CandidateResult.NO_PATTERN_MATCHES
        reason = _why_no_match(near, permission, reading.extension)
    else:
        result, reason = CandidateResult.OUTWEIGHED, ""
    return CandidateReport(
        permission_id=permission.id,
        permission_name=permission.name,
        mode=permission.mode,
        has_password=permission.has_password,
        result=result,
        matched_patterns=tuple(matched),
        reason=reason,
        group_id=group.id if group else "",
        group_name=group.name if group else "",
        closest=near,
        matched_form=next(iter(matched.values()), ""),
    )


def _why_no_match(near: Closest | None, permission: PermissionRecord, extension: str) -> str:
    if near is None:
        return "None of its patterns matches." if permission.patterns else "It has no patterns."
    of = f", of {near.form}" if near.form != extension else ""
    return f"None of its patterns matches; the closest, {near.pattern}, {near.describe()}{of}."


def _report(stage: Stage, candidates: list[CandidateReport], obstacle: str, *, reached: bool) -> StageReport:
    """A stage with its candidates ranked, those that match first and the decisive one before all."""
    ranked = sorted(candidates, key=lambda one: (rank(stage, _decision(one), one.permission_id), one.group_id))
    matching = [candidate for candidate in ranked if candidate.result is CandidateResult.OUTWEIGHED]
    others = [candidate for candidate in ranked if candidate.result is not CandidateResult.OUTWEIGHED]
    if obstacle:
        return StageReport(stage, StageResult.NOT_APPLICABLE, tuple(ranked), obstacle)
    if not reached:
        skipped = [
            replace(candidate, result=CandidateResult.NOT_REACHED, reason="It matches, but an earlier stage decided.")
            for candidate in matching
        ]
        return StageReport(stage, StageResult.NOT_REACHED, (*skipped, *others), "An earlier stage decided.")
    if not matching:
        reason = "No enabled permission matches." if candidates else "It has no permissions."
        return StageReport(stage, StageResult.NO_MATCH, tuple(others), reason)
    decisive = replace(matching[0], result=CandidateResult.DECIDED, reason=_why(matching[0]))
    outweighed = [replace(other, reason=_why_not(other, decisive)) for other in matching[1:]]
    return StageReport(
        stage, StageResult.DECIDED, (decisive, *outweighed, *others), f"Decided by {decisive.describe()}."
    )


def _decision(candidate: CandidateReport) -> Decision:
    return decision_of(candidate.mode, has_password=candidate.has_password)


def _why(candidate: CandidateReport) -> str:
    return {
        Decision.ALLOW: "It allows, and in a stage any permission that allows prevails.",
        Decision.DENY: "It denies without a password, and nothing in this stage allows.",
        Decision.CHALLENGE: "It denies with a password, and nothing in this stage allows or denies without one.",
    }[_decision(candidate)]


def _why_not(candidate: CandidateReport, decisive: CandidateReport) -> str:
    if candidate.permission_id == decisive.permission_id:
        return "It applies through another group as well."
    if _decision(candidate) is _decision(decisive):
        return f"It says the same as {decisive.describe()}, which has the higher id."
    return f"{decisive.describe()} prevails over it.".replace("permission", "Permission", 1)


def _summary(verdict: Verdict, stages: Iterable[StageReport], extension: str) -> str:
    for report in stages:
        if report.result is StageResult.DECIDED:
            decisive = report.candidates[0]
            through = f" of group {decisive.group_name or decisive.group_id}" if decisive.group_id else ""
            pattern = decisive.matched_patterns[0]
            form = decisive.matched_form
            what = "the extension" if form == extension else f"{form}, a form of what was dialled,"
            return (
                f"{verdict.decision.name}: {decisive.describe()}{through} matches {what} with {pattern}"
                f" in stage {report.stage.name}."
            )
    return "ALLOW: no enabled permission of the caller, its groups or the outcall matches the extension."
