"""All checks of lint over a tenant, worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.lint.costly import costly
from pdp.rules.analysis.lint.dialling import dialled, unread
from pdp.rules.analysis.lint.emergency import denied_emergency, emergency, no_list
from pdp.rules.analysis.lint.idle import idle, idle_patterns
from pdp.rules.analysis.lint.notation import counterparts, other_notations, seeming_prefixes
from pdp.rules.analysis.lint.pins import pins
from pdp.rules.analysis.lint.stages import (
    beaten_denies,
    duplicates,
    joined_in_vain,
    opened_denies,
    other_outcalls,
    passwords,
)
from pdp.rules.analysis.lint.subject import Subject
from pdp.rules.analysis.proving import asked_of
from pdp.rules.analysis.regions import MAX_STATES, Regions
from pdp.rules.analysis.rulings import Rulings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.rules.analysis.lint.finding import Mistake
    from pdp.rules.model import Tenant

_CHECKS = (
    emergency,
    opened_denies,
    beaten_denies,
    seeming_prefixes,
    other_notations,
    other_outcalls,
    joined_in_vain,
    idle,
    passwords,
    pins,
    duplicates,
    idle_patterns,
    dialled,
    unread,
    denied_emergency,
    no_list,
)


def lint(
    tenant: Tenant,
    *,
    emergency_numbers: Iterable[str] = (),
    ranges: Mapping[str, Sequence[str]] | None = None,
    max_states: int = MAX_STATES,
) -> list[Mistake]:
    """The mistakes of a tenant, worst first.

    Args:
        tenant: the tenant with its rules.
        emergency_numbers: those of the server.
        ranges: patterns of numbers that cost more than others, by kind; None: they are not known.
        max_states: the limit of states for telling the patterns apart.

    Raises:
        TooManyStatesError: the patterns take more.
    """
    asked = asked_of(tenant, emergency_numbers)
    costs = [text for patterns in (ranges or {}).values() for text in patterns]
    asked = asked._replace(texts=(*asked.texts, *counterparts(tenant).values(), *costs))
    (regions,) = Regions.of_versions([asked], max_states=max_states)
    subject = Subject(Rulings(tenant, regions))
    found = [mistake for check in _CHECKS for mistake in check(subject)]
    found += costly(subject, ranges or {})
    return sorted(found, key=lambda mistake: (mistake.rank, mistake.code, mistake.permissions, mistake.pattern))
