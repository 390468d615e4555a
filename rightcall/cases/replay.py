"""Deciding calls that were made by two versions of rules, and counting those that would be decided otherwise."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.lookup import Lookup, UnclearError
from pdp.rules.analysis.proving import asked_of
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.rulings import NOBODY, Rulings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.model import Decision, Tenant
    from rightcall.cases.records import Record


class Changed(NamedTuple):
    """Recorded calls that the new rules decide otherwise.

    Attributes:
        caller: a user's UUID; empty: unknown callers.
        extension: the dialled extension.
        outcall: an outcall's id; empty: none.
        old: the decision by the old rules.
        new: the decision by the new ones.
        calls: number of such calls.
    """

    caller: str
    extension: str
    outcall: str
    old: Decision
    new: Decision
    calls: int


class Replay:
    """Decides recorded calls by two versions of one tenant.

    Args:
        old: the version before.
        new: the version now.

    Attributes:
        total: calls so far.
        unknown: of these, calls of a caller that is none of the tenant's users.
    """

    def __init__(self, old: Tenant, new: Tenant) -> None:
        both = Regions.of_versions([asked_of(each, ()) for each in (old, new)])
        self._regions = both[0]
        self._rulings = [Rulings(each, regions) for each, regions in zip((old, new), both, strict=True)]
        self._lookup = Lookup((new, old) if new.uuid != old.uuid else (new,))
        self._old_lookup = Lookup((old,))
        self._tenants = (new, old)
        self._callers: dict[str, str] = {}
        self._outcalls: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._decided: dict[tuple[str, int, str], tuple[Decision, Decision]] = {}
        self._changed: Counter[tuple[str, str, str]] = Counter()
        self.total = 0
        self.unknown = 0

    def run(self, records: Iterable[Record]) -> None:
        """Decides some calls."""
        callers, outcalls, numbers = self._callers, self._outcalls, self._numbers
        decided, changed = self._decided, self._changed
        for record in records:
            self.total += 1
            caller = callers.get(record.caller)
            if caller is None:
                caller = callers[record.caller] = self._caller(record.caller)
            if not caller:
                self.unknown += 1
            outcall = outcalls.get(record.outcall)
            if outcall is None:
                outcall = outcalls[record.outcall] = self._outcall(record.outcall)
            number = numbers.get(record.extension)
            if number is None:
                number = numbers[record.extension] = self._regions.region_of(record.extension)
            alike = caller, number, outcall
            both = decided.get(alike)
            if both is None:
                both = decided[alike] = self._decide(*alike)
            if both[0] is not both[1]:
                changed[caller, record.extension, outcall] += 1

    def changed(self) -> list[Changed]:
        """The calls that would be decided otherwise, most frequent first."""
        return [
            Changed(caller, extension, outcall, *self._decided[caller, self._numbers[extension], outcall], count)
            for (caller, extension, outcall), count in self._changed.most_common()
        ]

    def _decide(self, caller: str, number: int, outcall: str) -> tuple[Decision, Decision]:
        old, new = (
            rulings.decide(rulings.rights.get(caller, NOBODY), outcall or None, number).decision
            for rulings in self._rulings
        )
        return old, new

    def _caller(self, text: str) -> str:
        for lookup in (self._lookup, self._old_lookup):
            try:
                found = lookup.caller(text)
            except UnclearError:
                continue
            if any(found in rulings.rights for rulings in self._rulings):
                return found
        return ""

    def _outcall(self, text: str) -> str:
        for tenant in self._tenants:
            try:
                return self._lookup.outcall(text, tenant)
            except UnclearError:
                continue
        return text
