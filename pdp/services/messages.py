"""Messages of the API from the core's terms, and the checks of requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pdp.errors import InvalidCall, UnknownUser
from pdp.rules.analysis.explain import CandidateResult, StageResult
from pdp.rules.model import (
    MAX_CALLER_LENGTH,
    MAX_EXTENSION_LENGTH,
    MAX_OUTCALL_LENGTH,
    Call,
    Decision,
    Mode,
    Reason,
    Stage,
)
from rightcall import v1

if TYPE_CHECKING:
    from pdp.errors import CallError
    from pdp.rules.analysis.closest import Closest
    from pdp.rules.analysis.explain import CandidateReport, Explanation, StageReport
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome

# From the core's terms to the API's. Going by name, a term that one of the two lacks fails here, at once.
DECISIONS = {decision: v1.Decision.Value(f"DECISION_{decision.name}") for decision in Decision}
STAGES = {stage: v1.Stage.Value(f"STAGE_{stage.name}") for stage in Stage}
_REASONS = {reason: v1.Reason.Value(f"REASON_{reason.name}") for reason in Reason}
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_DIALABLE = re.compile(r"[0-9*#+A-D]+")
_SHOWN = 64
"""Characters of a caller that an error shows."""
_MODES = {mode: v1.Mode.Value(f"MODE_{mode.name}") for mode in Mode}
_STAGE_RESULTS = {result: v1.StageResult.Value(f"STAGE_RESULT_{result.name}") for result in StageResult}
_CANDIDATE_RESULTS = {result: v1.CandidateResult.Value(f"CANDIDATE_RESULT_{result.name}") for result in CandidateResult}


def call_of(request: v1.CheckCallRequest) -> Call:
    """The call of a request."""
    return Call(request.caller, request.extension, request.outcall, request.tenant, request.forwarded_by)


def is_anonymous_or_uuid(text: str) -> bool:
    """Whether a caller is empty, or a UUID in the usual form, in any letter case."""
    return not text or _UUID.fullmatch(text) is not None


def check_form(call: Call) -> None:
    """Rejects a caller, outcall or extension that is invalid under all rules.

    Raises:
        InvalidCall: a caller or outcall is too long or unprintable, or the extension is empty or too long.
    """
    _check_caller("caller", call.caller)
    _check_caller("forwarded_by", call.forwarded_by)
    if len(call.outcall) > MAX_OUTCALL_LENGTH:
        raise InvalidCall(
            f"the outcall has {len(call.outcall)} characters; send its id, at most {MAX_OUTCALL_LENGTH} characters"
        )
    check_length(call.extension)


def _check_caller(name: str, text: str) -> None:
    if len(text) > MAX_CALLER_LENGTH or not text.isprintable():
        raise no_caller(name, text)


def no_caller(name: str, text: str) -> UnknownUser:
    """The error of a caller that cannot be any user's."""
    shown = repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")
    return UnknownUser(
        f"{name} {shown} is neither a UUID nor an alias of a user; "
        "send the user's UUID, or leave it empty if no user calls"
    )


def check_length(extension: str) -> None:
    """Rejects an extension that is empty or too long.

    Raises:
        InvalidCall: the extension is.
    """
    if not extension:
        raise InvalidCall("the extension is empty; send what was dialled")
    if len(extension) > MAX_EXTENSION_LENGTH:
        raise InvalidCall(
            f"the extension has {len(extension)} characters; send what was dialled, at most {MAX_EXTENSION_LENGTH}"
        )


def check_extension(extension: str) -> None:
    """Rejects an extension that cannot have been dialled.

    Raises:
        InvalidCall: the extension is empty, too long or unprintable.
    """
    check_length(extension)
    check_printable(extension)


def check_dialable(extension: str) -> None:
    """Rejects an extension with a character that no telephone dials.

    Raises:
        InvalidCall: the extension has one.
    """
    if _DIALABLE.fullmatch(extension) is None:
        raise InvalidCall("the extension holds something else than 0-9 * # + A-D; send what was dialled")


def check_printable(extension: str) -> None:
    """Rejects an extension with a character that has no form on paper.

    Raises:
        InvalidCall: the extension has one.
    """
    if extension.isprintable():
        return
    position, found = next((at, char) for at, char in enumerate(extension, 1) if not char.isprintable())
    raise InvalidCall(
        f"character {position} of the extension is unprintable (U+{ord(found):04X}); send what was dialled without it"
    )


def response_of(snapshot: Snapshot | None, outcome: Outcome) -> v1.CheckCallResponse:
    """An outcome as a message of the API; without rules there is no revision."""
    decision, stage, permission, name = outcome.verdict
    return v1.CheckCallResponse(
        decision=DECISIONS[decision],
        stage=STAGES[stage],
        permission=v1.Permission(id=str(permission), name=name) if permission is not None else None,
        revision=str(snapshot.revision) if snapshot is not None else "",
        caller_known=outcome.caller_known,
        outcall_known=outcome.outcall_known,
        reason=_REASONS[outcome.reason],
    )


def error_of(error: CallError) -> v1.CheckCallError:
    """An error as the response to one request of many."""
    return v1.CheckCallError(code=error.code, message=error.message)


def explanation_of(snapshot: Snapshot | None, outcome: Outcome, explanation: Explanation) -> v1.ExplainCallResponse:
    """An outcome with the explanation, as a message of the API; without rules there is no tenant."""
    return v1.ExplainCallResponse(
        answer=response_of(snapshot, outcome),
        tenant=snapshot.tenant if snapshot is not None else "",
        caller_known=outcome.caller_known,
        outcall_known=outcome.outcall_known,
        stages=[_stage(report) for report in explanation.stages],
        summary=explanation.summary,
        forms=explanation.forms,
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
        matched_form=report.matched_form,
    )


def _closest(closest: Closest) -> v1.ClosestPattern:
    return v1.ClosestPattern(
        pattern=closest.pattern, position=closest.position, expected=closest.expected, form=closest.form
    )
