"""Two versions of a tenant compared: one line for each change of decisions, with an example and its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.diff import Change, Difference
from pdp.rules.analysis.naming import together
from pdp.rules.analysis.proving import asked_of
from pdp.rules.analysis.regions import MAX_STATES, Regions
from pdp.rules.analysis.rulings import LENIENCY, Policy, Rulings
from pdp.rules.model import PasswordOverride

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.rules.analysis.counterexample import Pair
    from pdp.rules.analysis.rulings import Decided
    from pdp.rules.model import Tenant


class ChangeLine(NamedTuple):
    """A change of the decision on extensions, with the callers and outcalls that share the change.

    Attributes:
        change: the extensions, the old decision and the new one.
        users: UUIDs; empty: callers that are no user.
        outcalls: the outcalls; None: without an outcall.
        example: one of the extensions.
        caller: one of the callers; empty: a caller that is no user.
        before: the decision on the example for that caller through the first outcall in the old version.
        now: the same in the new version.
    """

    change: Change
    users: tuple[str, ...]
    outcalls: tuple[str | None, ...]
    example: str
    caller: str
    before: Decided
    now: Decided


class PasswordLine(NamedTuple):
    """Calls that are challenged in both versions, for different passwords.

    Attributes:
        users: UUIDs; empty: callers that are no user.
        outcalls: the outcalls; None: without an outcall.
        numbers: the extensions, as a set.
        example: one of the extensions.
    """

    users: tuple[str, ...]
    outcalls: tuple[str | None, ...]
    numbers: int
    example: str


class Comparison:
    """Two versions of a tenant.

    Args:
        old: the version before.
        new: the version now; of the same tenant.
        emergency: the server's emergency numbers.
        policy: the servers' policy on callers and outcalls that a version does not know.
        override: where a user's own password replaces a permission's.
        max_states: the limit of states for telling the patterns apart.

    Attributes:
        old: the version before.
        new: the version now.
        regions: the regions that sets of extensions are made of.
        lines: the changes, those that open lines wider first, then those for most callers.
        passwords: the calls with another password.

    Raises:
        TooManyStatesError: the patterns of both versions take more.
    """

    def __init__(
        self,
        old: Tenant,
        new: Tenant,
        *,
        emergency: Sequence[str] = (),
        policy: Policy | None = None,
        override: PasswordOverride = PasswordOverride.ALL,
        max_states: int = MAX_STATES,
    ) -> None:
        self.old = old
        self.new = new
        both = Regions.of_versions([asked_of(each, emergency) for each in (old, new)], max_states=max_states)
        self.regions = both[1]
        before, now = (Rulings(each, regions) for each, regions in zip((old, new), both, strict=True))
        self._difference = Difference(before, now, policy, override)
        self.lines = tuple(sorted(self._lines(), key=_order))
        self.passwords = tuple(self._password_lines())

    @property
    def widens(self) -> bool:
        """Whether any line is opened wider."""
        return any(line.change.widens for line in self.lines)

    def _lines(self) -> Iterable[ChangeLine]:
        pairs: dict[Change, list[Pair]] = {}
        for row in self._difference.calls:
            for change in row.changes:
                pairs.setdefault(change, []).extend(row.pairs)
        for change, calls in pairs.items():
            example = self.regions.telling(change.numbers)
            region = self.regions.region_of(example)
            for users, outcalls in together(calls):
                caller = users[0] if users else ""
                before, now = (
                    self._difference.decided(version, caller, outcalls[0], region)
                    for version in (self._difference.old, self._difference.new)
                )
                yield ChangeLine(change, users, outcalls, example, caller, before, now)

    def _password_lines(self) -> Iterable[PasswordLine]:
        for row in self._difference.passwords:
            example = self.regions.telling(row.numbers)
            for users, outcalls in together(row.pairs):
                yield PasswordLine(users, outcalls, row.numbers, example)


def _order(line: ChangeLine) -> tuple[object, ...]:
    change = line.change
    opening = LENIENCY[change.new] - LENIENCY[change.old]
    return not change.widens, -abs(opening), -len(line.users), change.old, change.new, line.example
