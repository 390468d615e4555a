"""From the core's terms to the API's messages, and the checks of what requests hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import InvalidCall
from pdp.rules.analysis.explain import CandidateResult, StageResult
from pdp.rules.model import MAX_EXTENSION_LENGTH, Decision, Mode, Stage
from rightcall import v1

if TYPE_CHECKING:
    from pdp.errors import CallError
    from pdp.rules.analysis.closest import Closest
    from pdp.rules.analysis.explain import CandidateReport, Explanation, StageReport
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Verdict

# From the core's terms to the API's. Going by name, a term that one of the two lacks fails here, at once.
DECISIONS = {decision: v1.Decision.Value(f"DECISION_{decision.name}") for decision in Decision}
STAGES = {stage: v1.Stage.Value(f"STAGE_{stage.name}") for stage in Stage}
_MODES = {mode: v1.Mode.Value(f"MODE_{mode.name}") for mode in Mode}
_STAGE_RESULTS = {result: v1.StageResult.Value(f"STAGE_RESULT_{result.name}") for result in StageResult}
_CANDIDATE_RESULTS = {result: v1.CandidateResult.Value(f"CANDIDATE_RESULT_{result.name}") for result in CandidateResult}


def check_extension(extension: str) -> None:
    """Refuses what nobody can have dialled.

    Raises:
        InvalidCall: the extension is empty, too long or unprintable.
    """
    if 0 < len(extension) <= MAX_EXTENSION_LENGTH and extension.isprintable():
        return
    if not extension:
        raise InvalidCall("the extension is empty; send what was dialled")
    if len(extension) > MAX_EXTENSION_LENGTH:
        raise InvalidCall(
            f"the extension has {len(extension)} characters; send what was dialled, at most {MAX_EXTENSION_LENGTH}"
        )
    position, found = next((at, char) for at, char in enumerate(extension, 1) if not char.isprintable())
    raise InvalidCall(
        f"character {position} of the extension is unprintable (U+{ord(found):04X}); send what was dialled without it"
    )


def response_of(snapshot: Snapshot | None, verdict: Verdict) -> v1.CheckCallResponse:
    """A verdict as the API tells it; without rules there is no revision."""
    revision = str(snapshot.revision) if snapshot is not None else ""
    decision, stage, permission, name = verdict
    if permission is None:
        return v1.CheckCallResponse(decision=DECISIONS[decision], stage=STAGES[stage], revision=revision)
    return v1.CheckCallResponse(
        decision=DECISIONS[decision],
        stage=STAGES[stage],
        permission=v1.Permission(id=str(permission), name=name),
        revision=revision,
    )


def error_of(error: CallError) -> v1.CheckCallError:
    """An error as the response to one request of many."""
    return v1.CheckCallError(code=error.code, message=error.message)


def explanation_of(snapshot: Snapshot | None, explanation: Explanation) -> v1.ExplainCallResponse:
    """An explanation as the API has it; without rules there is no tenant."""
    return v1.ExplainCallResponse(
        answer=response_of(snapshot, explanation.verdict),
        tenant=snapshot.tenant if snapshot is not None else "",
        caller_known=explanation.caller_known,
        outcall_known=explanation.outcall_known,
        stages=[_stage(report) for report in explanation.stages],
        summary=explanation.summary,
    )


def _stage(report: StageReport) -> v1.StageExplanation:
    return v1.StageExplanation(
        stage=STAGES[report.stage],
        result=_STAGE_RESULTS[report.result],
        candidates=[_candidate(candidate) for candidate in report.candidates],
        reason=report.reason,
    )


def _candidate(report: CandidateReport) -> v1.CandidateExplanation:
    return v1.CandidateExplanation(
        permission=v1.Permission(id=str(report.permission_id), name=report.permission_name),
        mode=_MODES[report.mode],
        has_password=report.has_password,
        result=_CANDIDATE_RESULTS[report.result],
        matched_patterns=report.matched_patterns,
        group_id=report.group_id,
        group_name=report.group_name,
        reason=report.reason,
        closest=_closest(report.closest) if report.closest else None,
    )


def _closest(closest: Closest) -> v1.ClosestPattern:
    return v1.ClosestPattern(pattern=closest.pattern, position=closest.position, expected=closest.expected)
