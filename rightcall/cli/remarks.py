"""Faults and mistakes of definitions as text, JSON, SARIF, and annotations of GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from loader.faults import Severity
from loader.sources.file import Place
from pdp.rules.analysis.lint.finding import CODES, Rank
from pdp.runtime.version import version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loader.faults import Fault
    from rightcall.programs.remarks import Remark

_PAGE = "docs/lint.md"
_STYLES = {Rank.CRITICAL: "bold red", Rank.HIGH: "bold red", Rank.MEDIUM: "bold yellow", Rank.LOW: "dim"}
_LEVELS = {Rank.CRITICAL: "error", Rank.HIGH: "error", Rank.MEDIUM: "warning", Rank.LOW: "note"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def line_of(remark: Remark) -> Text:
    """A remark for people: rank, place, tenant, code, mistake, remedy."""
    origin = ":".join(str(part) for part in remark.place if part)
    within = ": ".join(part for part in (origin, f"tenant {remark.tenant}" if remark.tenant else "") if part)
    mistake = remark.mistake
    said = f": {within}: {mistake.text}; {mistake.remedy} "
    return Text.assemble((mistake.rank.name.lower(), _STYLES[mistake.rank]), said, (f"[{mistake.code}]", "dim"))


def github_annotations(faults: Iterable[Fault], found: Iterable[Remark]) -> list[str]:
    """Commands that GitHub's runner turns into annotations, one a line."""
    lines = []
    for fault in faults:
        level = "error" if fault.severity is Severity.ERROR else "warning"
        lines.append(
            _annotation(level, Place(fault.file, fault.line), "definitions", f"{fault.problem}; {fault.remedy}")
        )
    for remark in found:
        mistake = remark.mistake
        level = {"note": "notice"}.get(_LEVELS[mistake.rank], _LEVELS[mistake.rank])
        lines.append(_annotation(level, remark.place, mistake.code, f"{mistake.text}; {mistake.remedy}"))
    return lines


def _annotation(level: str, place: Place, title: str, text: str) -> str:
    at = f"file={_escaped(place.file)}" + (f",line={place.line}" if place.line else "")
    return f"::{level} {at},title={title}::{_escaped(text)}"


def _escaped(text: str) -> str:
    """Text in a command of GitHub's runner."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def sarif(faults: Iterable[Fault], found: Iterable[Remark]) -> dict[str, object]:
    """A log in the Static Analysis Results Interchange Format 2.1.0."""
    rules = [
        {
            "id": code,
            "shortDescription": {"text": kind.title},
            "helpUri": f"{_PAGE}#{code}",
            "defaultConfiguration": {"level": _LEVELS[kind.rank]},
        }
        for code, kind in CODES.items()
    ]
    rules.append({"id": "definitions", "shortDescription": {"text": "A fault of form in definitions."}})
    results = [
        _result("definitions", fault.severity.value, f"{fault.problem}; {fault.remedy}", Place(fault.file, fault.line))
        for fault in faults
    ]
    for remark in found:
        mistake = remark.mistake
        text = f"{mistake.text}; {mistake.remedy}"
        result = _result(mistake.code, _LEVELS[mistake.rank], text, remark.place)
        if remark.reason:
            result["suppressions"] = [{"kind": "inSource", "justification": remark.reason}]
        results.append(result)
    driver = {"name": "rightcall", "version": version(), "rules": rules}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(rule: str, level: str, text: str, place: Place) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": place.file}}
    if place.line:
        location["region"] = {"startLine": place.line}
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
    }
