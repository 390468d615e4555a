"""Faults and mistakes of definitions as text, JSON, SARIF, and annotations of GitHub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from loader.faults import Severity
from loader.numbering import cost_ranges
from loader.sources.file import FileSource, Place
from pdp.rules.analysis.lint.finding import CODES, Mistake, Rank
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.runtime.version import version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loader.faults import Fault
    from loader.sources import Source
    from pdp.rules.model import Ignored, Tenant

SERIOUS = Rank.HIGH
"""Mistakes of this rank and worse are errors under strict lint."""

_PAGE = "docs/lint.md"
_STYLES = {Rank.CRITICAL: "bold red", Rank.HIGH: "bold red", Rank.MEDIUM: "bold yellow", Rank.LOW: "dim"}
_LEVELS = {Rank.CRITICAL: "error", Rank.HIGH: "error", Rank.MEDIUM: "warning", Rank.LOW: "note"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_ALSO_FAULTS = {"no-pattern", "no-association"}
"""Kinds that the reading of definitions warns about as well."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A mistake of meaning, with the place.

    Attributes:
        tenant: the tenant's name.
        place: file and line, as far as known.
        mistake: the mistake.
        reason: the reason for ignoring the mistake; empty: not ignored.
    """

    tenant: str
    place: Place
    mistake: Mistake
    reason: str = ""

    @property
    def shown(self) -> bool:
        """Whether to report the mistake: not ignored, and not reported by a fault."""
        return not self.reason and self.mistake.code not in _ALSO_FAULTS

    @property
    def serious(self) -> bool:
        """Whether the mistake does much harm, and is not ignored."""
        return not self.reason and self.mistake.rank <= SERIOUS

    def line(self) -> Text:
        """Text for people: rank, place, tenant, code, mistake, remedy."""
        origin = ":".join(str(part) for part in self.place if part)
        within = ": ".join(part for part in (origin, f"tenant {self.tenant}" if self.tenant else "") if part)
        rank = self.mistake.rank
        said = f": {within}: {self.mistake.text}; {self.mistake.remedy} "
        return Text.assemble((rank.name.lower(), _STYLES[rank]), said, (f"[{self.mistake.code}]", "dim"))

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        mistake = self.mistake
        return {
            "code": mistake.code,
            "rank": mistake.rank.name.lower(),
            "file": self.place.file,
            "line": self.place.line,
            "tenant": self.tenant,
            "permissions": list(mistake.permissions),
            "users": list(mistake.users),
            "pattern": mistake.pattern,
            "problem": mistake.text,
            "remedy": mistake.remedy,
            "call": mistake.call._asdict() if mistake.call else None,
            "ignored": self.reason,
        }


def remarks(source: Source, tenants: Sequence[Tenant], emergency: Iterable[str]) -> list[Remark]:
    """The mistakes of all tenants, worst first; those that are meant have their reasons.

    Args:
        source: the source of the tenants.
        tenants: the tenants.
        emergency: the server's emergency numbers.
    """
    numbers = tuple(emergency)
    found = [remark for tenant in tenants for remark in _of_tenant(source, tenant, numbers)]
    return sorted(found, key=lambda remark: remark.mistake.rank)


def _of_tenant(source: Source, tenant: Tenant, emergency: tuple[str, ...]) -> list[Remark]:
    try:
        mistakes = lint(tenant, emergency_numbers=emergency, ranges=_ranges(tenant))
    except TooManyStatesError as error:
        mistakes = [Mistake("not-looked-at", str(error), "use fewer patterns with . or ! inside")]
    wanted = {_subject(each) for each in mistakes}
    places = source.places(tenant.uuid, wanted) if isinstance(source, FileSource) else {}
    nowhere = Place(source.name, None)
    return [
        Remark(tenant.name or tenant.uuid, places.get(_subject(each), nowhere), each, _reason(each, tenant.lint))
        for each in mistakes
    ]


def _ranges(tenant: Tenant) -> Mapping[str, Sequence[str]]:
    """The numbers that cost more, where it is known in which country the tenant dials."""
    plan = tenant.dialling
    return cost_ranges(plan.country, plan.outside_line) if plan is not None and plan.country else {}


def _subject(mistake: Mistake) -> tuple[str, str | int]:
    """The subject of a mistake: the first permission or user, else the tenant."""
    if mistake.permissions:
        return "call_permissions", mistake.permissions[0]
    return ("users", mistake.users[0]) if mistake.users else ("", "")


def _reason(mistake: Mistake, ignored: Iterable[Ignored]) -> str:
    for each in ignored:
        if each.code == mistake.code and (not each.permissions or set(each.permissions) & set(mistake.permissions)):
            return each.reason
    return ""


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
