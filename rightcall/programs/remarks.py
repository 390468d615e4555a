"""The mistakes of meaning in definitions, with their places and the reasons for which some are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loader.numbering import cost_ranges
from loader.sources.file import FileSource, Place
from pdp.rules.analysis.lint.finding import Mistake, Rank
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.analysis.walk import TooManyStatesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loader.sources import Source
    from pdp.rules.model import Ignored, Tenant

SERIOUS = Rank.HIGH
"""Mistakes of this rank and worse are errors under strict lint."""
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
    found = [remark for tenant in tenants for remark in tenant_remarks(source, tenant, numbers)]
    return sorted(found, key=lambda remark: remark.mistake.rank)


def tenant_remarks(source: Source | None, tenant: Tenant, emergency: Iterable[str] = ()) -> list[Remark]:
    """The mistakes of a tenant, worst first; those that are meant have their reasons.

    Args:
        source: the tenant's source, which knows places if it is of files; None: there are no places.
        tenant: the tenant.
        emergency: the server's emergency numbers.
    """
    try:
        mistakes = lint(tenant, emergency_numbers=emergency, ranges=_ranges(tenant))
    except TooManyStatesError as error:
        mistakes = [Mistake("not-looked-at", str(error), "use fewer patterns with . or ! inside")]
    wanted = {_subject(each) for each in mistakes}
    places = source.places(tenant.uuid, wanted) if isinstance(source, FileSource) else {}
    nowhere = Place(source.name if source is not None else "", None)
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
