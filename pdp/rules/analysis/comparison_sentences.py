"""The effects of an edit, in sentences. Names stand as their owners wrote them, and are not yet fit for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.naming import Names, numbers_text
from pdp.rules.model import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.analysis.comparison import ChangeLine, Comparison, PasswordLine
    from pdp.rules.analysis.rulings import Decided
    from pdp.rules.model import Tenant

_MOST = 10
"""Ids of permissions in a sentence."""


class ComparisonSentences:
    """Puts a comparison into words.

    Args:
        comparison: the comparison.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._regions = comparison.regions
        self._names = Names(comparison.old, comparison.new)
        self._before = Names(comparison.old)
        self._now = Names(comparison.new)
        self._old_users = {user.uuid for user in comparison.old.users}
        self._new_users = {user.uuid for user in comparison.new.users}

    def headline(self, line: ChangeLine) -> str:
        """``Sales (20 people) through national: _0900. DENY → ALLOW, e.g. 0900123456``."""
        change = line.change
        callers = f"{self._names.people(line.users)} {self._names.ways(line.outcalls)}"
        numbers = numbers_text(self._regions, change.numbers) or self._counted(change.numbers)
        example = "" if numbers == line.example else f", e.g. {line.example}"
        return f"{callers}: {numbers} {change.old.name} → {change.new.name}{example}"

    def reasons(self, line: ChangeLine) -> str:
        """The permissions that decided the example before, and those that decide now."""
        outcall = line.outcalls[0]
        before = self._reason(self._before, line.before, line.caller, outcall, known=line.caller in self._old_users)
        now = self._reason(self._now, line.now, line.caller, outcall, known=line.caller in self._new_users)
        return f"Before: {before}. Now: {now}."

    def password(self, line: PasswordLine) -> str:
        """The callers that are challenged for another password, and the extensions and outcalls."""
        callers = f"{self._names.people(line.users)} {self._names.ways(line.outcalls)}"
        numbers = numbers_text(self._regions, line.numbers) or self._counted(line.numbers)
        return f"{callers}: {numbers} asks for another PIN, e.g. {line.example}"

    def _reason(self, names: Names, decided: Decided, caller: str, outcall: str | None, *, known: bool) -> str:
        if decided.stage is None:
            return "an emergency number" if decided.decision is Decision.ALLOW else "denied because it is not known"
        if decided.permissions:
            more = len(decided.permissions) - 1
            rule = names.rule(decided.permissions[0], decided.stage, caller, outcall)
            return rule + (f" and {more} more" if more else "")
        if caller and not known:
            return "the caller is not known, and no permission speaks of it"
        return "no permission speaks of it"

    def _counted(self, numbers: int) -> str:
        sample = self._regions.sample(numbers)
        if not sample.shortest:
            return "some extensions that no telephone dials"
        length, same = len(sample.shortest[0]), sample.shortest_count
        counted = f"{same:,} extensions" if same > 1 else "one extension"
        return f"{counted} of {length} characters, and maybe longer ones,"


def without_effect(old: Tenant, new: Tenant) -> Iterator[str]:
    """The edited entities, in a few words: for a comparison in which no decision changes."""
    before = {each.id: each for each in old.call_permissions}
    now = {each.id: each for each in new.call_permissions}
    groups = (
        ("gone", [id_ for id_ in before if id_ not in now]),
        ("new", [id_ for id_ in now if id_ not in before]),
        ("edited", [id_ for id_ in now if id_ in before and now[id_] != before[id_]]),
    )
    for what, ids in groups:
        if ids:
            shown = ", ".join(map(str, sorted(ids)[:_MOST])) + (", …" if len(ids) > _MOST else "")
            yield f"{'permission' if len(ids) == 1 else 'permissions'} {shown} {what}"
