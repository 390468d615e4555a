"""An explanation, drawn for people: a branch for each stage, a twig for each permission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from rightcall.cli.output import DECISION_STYLES, Branch, decision_text, permission_text
from rightcall.client.values import CandidateResult, Mode, StageResult

if TYPE_CHECKING:
    from rightcall.client.values import Call, Candidate, Explanation, StageExplanation

_STAGE_RESULTS = {
    StageResult.DECIDED: "decided",
    StageResult.NO_MATCH: "nothing matches",
    StageResult.NOT_REACHED: "not looked at",
    StageResult.NOT_APPLICABLE: "does not apply",
}


def derivation(call: Call, explanation: Explanation) -> Branch:
    """The whole derivation of an answer, as a tree."""
    answer = explanation.answer
    tree = Branch(Text.assemble(decision_text(answer.decision), explanation.summary.removeprefix(answer.decision.name)))
    tree.branch(_known("caller", call.caller, known=explanation.caller_known))
    tree.branch(_known("outcall", call.outcall, known=explanation.outcall_known))
    tree.branch(Text(f"tenant {explanation.tenant or 'none'}, revision {answer.revision or 'none'}"))
    if explanation.forms and explanation.forms != (call.extension,):
        tree.branch(Text(f"matched as {', '.join(explanation.forms)}"))
    for stage in explanation.stages:
        style = DECISION_STYLES[answer.decision] if stage.result is StageResult.DECIDED else "dim"
        branch = tree.branch(_stage(stage, style))
        for candidate in stage.candidates:
            branch.branch(_candidate(candidate, style))
    return tree


def _known(what: str, name: str, *, known: bool) -> Text:
    if not name:
        return Text(f"no {what}")
    return Text(f"{what} {name}" + ("" if known else " (unknown to this tenant)"))


def _stage(stage: StageExplanation, style: str) -> Text:
    return Text.assemble(
        ("stage ", "bold"), (stage.stage.name, "bold"), ": ", (_STAGE_RESULTS[stage.result], style), f". {stage.reason}"
    )


def _candidate(candidate: Candidate, style: str) -> Text:
    mode = "allow" if candidate.mode is Mode.ALLOW else "deny"
    password = " with a password" if candidate.has_password else ""
    group = f", group {candidate.group_name or candidate.group_id}" if candidate.group_id else ""
    patterns = f", matches with {' '.join(candidate.matched_patterns)}" if candidate.matched_patterns else ""
    return Text.assemble(
        f"{permission_text(candidate.permission)}: {mode}{password}{group}{patterns}: ",
        (candidate.reason, style if candidate.result is CandidateResult.DECIDED else "dim"),
    )
