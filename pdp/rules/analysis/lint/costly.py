"""Ranges of numbers that cost more than others, and that no permission speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.lint.finding import Mistake, Rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pdp.rules.analysis.lint.subject import Subject

_WHOLE = "international"
"""Open as a whole alone is told of this kind: who denies some countries means to allow the others."""
_SHOWN = 3


def costly(subject: Subject, ranges: Mapping[str, Sequence[str]]) -> Iterator[Mistake]:
    """Ranges that are open through some outcall because nothing speaks of them.

    Args:
        subject: the tenant, whose regions tell the ranges apart.
        ranges: patterns by kind, as of ``loader.numbering.cost_ranges``.
    """
    told = [_open(subject, kind, patterns) for kind, patterns in ranges.items()]
    abroad = any(mistake is not None and mistake.pattern in ranges.get(_WHOLE, ()) for mistake in told)
    for kind, mistake in zip(ranges, told, strict=True):
        if mistake is not None and not (abroad and kind == "satellite"):  # numbers abroad themselves
            yield mistake


def _open(subject: Subject, kind: str, patterns: Sequence[str]) -> Mistake | None:
    """The first caller and outcall for which no permission speaks of a range, or of a part of it."""
    rulings = subject.rulings
    numbers = rulings.regions.any_of(patterns) & ~rulings.emergency
    # Calls of trunks, which are no user's, count only where there are no users.
    callers = [rights for rights, user in subject.holders.items() if user or len(subject.holders) == 1]
    for outcall in subject.tenant.outcalls:
        for rights in callers:
            silent = numbers & ~rulings.of_caller(rights).then(rulings.of_outcall(outcall.id)).decided
            if silent == numbers or (silent and kind != _WHOLE):
                call = subject.call(rights, outcall.id, silent)
                listed = ", ".join(patterns[:_SHOWN]) + (", …" if len(patterns) > _SHOWN else "")
                text = f"no permission speaks of {kind} numbers ({listed}); {subject.shown(call)}"
                remedy = f"deny them at outcall {subject.names.outcall(outcall.id)}, or ask for a PIN"
                less = None if kind == "premium" else Rank.LOW
                return Mistake("costly-range-open", text, remedy, pattern=patterns[0], call=call, less=less)
    return None
