"""What an edit changes: the exact sets of extensions whose decision differs, for which callers and which ways out.

Both versions are worked out over the same regions. A caller or outcall that only one of them has is, in the other, one
that the tenant does not know: its stages are skipped there. So removing a user opens what its rules denied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.expectations import Pair
from pdp.rules.analysis.passwords import Asked, asked
from pdp.rules.analysis.rulings import NOBODY, SILENT, Policy, Ruling
from pdp.rules.model import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.rules.analysis.rulings import Decided, Rulings

WIDTH = {Decision.DENY: 0, Decision.CHALLENGE: 1, Decision.ALLOW: 2}
"""How wide a decision opens a line."""


class Change(NamedTuple):
    """Extensions whose decision differs.

    Attributes:
        old: the decision before.
        new: the decision now.
        numbers: the extensions, as a set.
    """

    old: Decision
    new: Decision
    numbers: int

    @property
    def widens(self) -> bool:
        """Whether the new decision opens the line wider than the old one."""
        return WIDTH[self.new] > WIDTH[self.old]


@dataclass(frozen=True, slots=True)
class ChangedCalls:
    """Calls that change alike.

    Attributes:
        changes: what changes; disjoint sets, together all that does for these callers and ways out.
        pairs: the callers and ways out.
    """

    changes: tuple[Change, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class ChangedPassword:
    """Calls that are challenged before and now, with another password asked for.

    Attributes:
        numbers: the extensions, as a set.
        pairs: the callers and ways out.
        old: the password before.
        new: the password now.
    """

    numbers: int
    pairs: tuple[Pair, ...]
    old: str = field(repr=False)
    new: str = field(repr=False)


class Difference:
    """What differs between two versions of a tenant's rules.

    Args:
        old: the version before.
        new: the version now, over the same regions.
        policy: how servers decide about callers and outcalls that a version does not know.

    Attributes:
        calls: the calls whose decision differs.
        passwords: the calls whose password differs.
    """

    def __init__(self, old: Rulings, new: Rulings, policy: Policy | None = None) -> None:
        self.old = old
        self.new = new
        self._policy = policy or Policy()
        self.outcalls: list[str | None] = [*dict.fromkeys(old.outcalls | new.outcalls), None]
        self.users = list(dict.fromkeys([*old.rights, *new.rights]))
        self.calls = tuple(self._changed_calls())
        self.passwords = tuple(self._changed_passwords())

    def decided(self, rulings: Rulings, caller: str, outcall: str | None, region: int) -> Decided:
        """How extensions of one region are decided in one of the two versions, and by what.

        Args:
            rulings: the version.
            caller: a user's UUID; empty: a caller that is no user in either.
            outcall: None: through none.
            region: the region, as a set.
        """
        return rulings.decide_known(caller, outcall, region, self._policy)

    def _changed_calls(self) -> Iterator[ChangedCalls]:
        classes: dict[tuple[Ruling, Ruling], list[str]] = {}
        old, new = self._of_users(self.old), self._of_users(self.new)
        for user in self.users:
            classes.setdefault((old[user], new[user]), []).append(user)
        rows: dict[tuple[Change, ...], list[Pair]] = {}
        ways = [(outcall, self._out(self.old, outcall), self._out(self.new, outcall)) for outcall in self.outcalls]
        nobody = self.old.of_caller(NOBODY), self.new.of_caller(NOBODY)
        pairs = [(both, tuple(users)) for both, users in classes.items()]
        for (before, now), users in [*pairs, (nobody, ())]:
            same = before == now
            for outcall, out_before, out_now in ways:
                if not (same and out_before == out_now):
                    changes = self._changes(self._final(before, out_before), self._final(now, out_now))
                    if changes:
                        rows.setdefault(changes, []).append(Pair(users, outcall))
        for changes, changed in rows.items():
            yield ChangedCalls(changes, tuple(changed))

    def _of_users(self, rulings: Rulings) -> dict[str, Ruling]:
        stranger = rulings.of_stranger(self._policy)
        found = dict.fromkeys(self.users, stranger)
        for ruling, users in rulings.classes().items():
            found.update(dict.fromkeys(users, ruling))
        return found

    def _out(self, rulings: Rulings, outcall: str | None) -> Ruling | None:
        """What an outcall's permissions say; None: every call through it is denied, since the version lacks it."""
        if outcall is None or outcall in rulings.outcalls:
            return rulings.of_outcall(outcall)
        return None if self._policy.deny_unknown_outcall else SILENT

    def _final(self, ruling: Ruling, out: Ruling | None) -> tuple[int, int]:
        """What is denied and challenged in the end."""
        if out is None:
            return self.old.universe & ~self.old.emergency, 0
        left = ~(ruling.allow | ruling.deny | ruling.challenge)
        return ruling.deny | out.deny & left, ruling.challenge | out.challenge & left

    def _changes(self, before: tuple[int, int], now: tuple[int, int]) -> tuple[Change, ...]:
        if before == now:
            return ()
        universe = self.old.universe
        old = {decision: numbers for decision, numbers in _by_decision(before, universe) if numbers}
        new = {decision: numbers for decision, numbers in _by_decision(now, universe) if numbers}
        return tuple(
            Change(one, other, old[one] & new[other])
            for one in old
            for other in new
            if one is not other and old[one] & new[other]
        )

    def _changed_passwords(self) -> Iterator[ChangedPassword]:
        old, new = self._passwords_of(self.old), self._passwords_of(self.new)
        groups: dict[tuple[object, ...], list[str]] = {}
        for user in self.users:
            own = old.get(user), new.get(user)
            key = (
                self.old.rights.get(user),
                self.new.rights.get(user),
                *(own if own[0] != own[1] else (own[0] is None,)),
            )
            groups.setdefault(key, []).append(user)
        rows: dict[tuple[int, str, str], list[Pair]] = {}
        for users in [*groups.values(), [""]]:
            for outcall in self.outcalls:
                before = asked(self.old, users[0], old.get(users[0]), outcall)
                now = asked(self.new, users[0], new.get(users[0]), outcall)
                if before == now:
                    continue
                for row in _other_passwords(before, now):
                    rows.setdefault(row, []).append(Pair(tuple(users) if users[0] else (), outcall))
        for (numbers, one, other), pairs in rows.items():
            yield ChangedPassword(numbers, tuple(pairs), one, other)

    @staticmethod
    def _passwords_of(rulings: Rulings) -> dict[str, str]:
        return {
            user.uuid: user.call_permission_password
            for user in rulings.tenant.users
            if user.call_permission_password is not None
        }


def _by_decision(final: tuple[int, int], universe: int) -> Iterable[tuple[Decision, int]]:
    deny, challenge = final
    return (
        (Decision.ALLOW, universe & ~(deny | challenge)),
        (Decision.DENY, deny),
        (Decision.CHALLENGE, challenge),
    )


def _other_passwords(before: Asked, now: Asked) -> Iterator[tuple[int, str, str]]:
    for one, numbers in before:
        for other, others in now:
            if one != other and numbers & others:
                yield numbers & others, one, other
