"""The callers that may dial a pattern: for each caller and outcall, how many of the extensions have which decision."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.rulings import NOBODY
from pdp.rules.model import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.analysis.rulings import Rulings


class Share(StrEnum):
    """The share of extensions in a set."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


class Shares(NamedTuple):
    """Callers with the same decisions on a pattern's extensions.

    Attributes:
        users: UUIDs; empty: callers that are no user.
        by_decision: the extensions of each decision, as sets; disjoint, and together all.
    """

    users: tuple[str, ...]
    by_decision: dict[Decision, int]

    def share(self, decision: Decision) -> Share:
        """The share of extensions with this decision."""
        if not self.by_decision[decision]:
            return Share.NONE
        return Share.SOME if any(self.by_decision[other] for other in Decision if other is not decision) else Share.ALL


def shares(
    rulings: Rulings, numbers: int, outcall: str | None, users: Iterable[str] | None = None, *, nobody: bool = True
) -> list[Shares]:
    """The decisions on a set of extensions for each class of callers.

    Args:
        rulings: the tenant's.
        numbers: the set.
        outcall: the outcall's id; None: without an outcall.
        users: only these; None: all.
        nobody: whether callers that are no user are included.
    """
    out, numbers = rulings.of_outcall(outcall), rulings.regions.extensions(numbers)
    found: dict[tuple[int, ...], list[str]] = {}
    for ruling, members in rulings.classes(users).items():
        final = rulings.final(ruling.then(out))
        key = tuple(final.of(decision) & numbers for decision in Decision)
        found.setdefault(key, []).extend(members)
    rows = [Shares(tuple(members), dict(zip(Decision, key, strict=True))) for key, members in found.items()]
    if nobody:
        final = rulings.final(rulings.of_caller(NOBODY).then(out))
        rows.append(Shares((), {decision: final.of(decision) & numbers for decision in Decision}))
    return rows
