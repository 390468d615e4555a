"""The effects of an edit: the exact sets of extensions whose decision differs, for which callers and which outcalls.

Both versions are worked out over the same regions. A caller or outcall that only one of the versions has is unknown to
the tenant in the other: its stages are skipped there. So removing a user opens the extensions that the user's rules
denied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.counterexample import Pair
from pdp.rules.analysis.passwords import Passwords
from pdp.rules.analysis.rulings import LENIENCY, NOBODY, SILENT, Policy, Ruling
from pdp.rules.model import Decision, PasswordOverride

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.analysis.rulings import Decided, Rulings


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
        return LENIENCY[self.new] > LENIENCY[self.old]


@dataclass(frozen=True, slots=True)
class ChangedCalls:
    """Calls that change alike.

    Attributes:
        changes: the changes; disjoint sets, together all changes for these callers and outcalls.
        pairs: the callers and outcalls.
    """

    changes: tuple[Change, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class ChangedPassword:
    """Calls that are challenged in both versions, for different passwords.

    Attributes:
        numbers: the extensions, as a set.
        pairs: the callers and outcalls.
        old: the password before.
        new: the password now.
    """

    numbers: int
    pairs: tuple[Pair, ...]
    old: str = field(repr=False)
    new: str = field(repr=False)


class Difference:
    """The differences between two versions of a tenant's rules.

    Args:
        old: the version before.
        new: the version now, over the same regions.
        policy: the servers' policy on callers and outcalls that a version does not know.
        override: where a user's own password replaces a permission's.

    Attributes:
        calls: the calls whose decision differs.
        passwords: the calls whose password differs.
    """

    def __init__(
        self,
        old: Rulings,
        new: Rulings,
        policy: Policy | None = None,
        override: PasswordOverride = PasswordOverride.ALL,
    ) -> None:
        self.old = old
        self.new = new
        self._policy = policy or Policy()
        self._override = override
        self.outcalls: list[str | None] = [*dict.fromkeys(old.outcalls | new.outcalls), None]
        self.users = list(dict.fromkeys([*old.rights, *new.rights]))
        self.calls = tuple(self._changed_calls())
        self.passwords = tuple(self._changed_passwords())

    def decided(self, rulings: Rulings, caller: str, outcall: str | None, region: int) -> Decided:
        """The decision on extensions of one region in one of the two versions, and the permissions that decide.

        Args:
            rulings: the version.
            caller: a user's UUID; empty: a caller that is no user in either.
            outcall: the outcall's id; None: without an outcall.
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
                    changes = self._changes(
                        self._final(self.old, before, out_before), self._final(self.new, now, out_now)
                    )
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
        """The ruling of an outcall's permissions; None: every call is denied, since the version lacks the outcall."""
        if outcall is None or outcall in rulings.outcalls:
            return rulings.of_outcall(outcall)
        return None if self._policy.deny_unknown_outcall else SILENT

    @staticmethod
    def _final(rulings: Rulings, ruling: Ruling, out: Ruling | None) -> tuple[int, int]:
        """The sets of extensions that are denied and challenged in the end."""
        if out is None:
            return rulings.regions.universe & ~rulings.emergency, 0
        final = rulings.final(ruling.then(out))
        return final.deny, final.challenge

    @staticmethod
    def _changes(before: tuple[int, int], now: tuple[int, int]) -> tuple[Change, ...]:
        changed = (before[0] ^ now[0]) | (before[1] ^ now[1])
        if not changed:
            return ()
        old, new = _by_decision(before, changed), _by_decision(now, changed)
        return tuple(
            Change(one, other, numbers & others)
            for one, numbers in old
            for other, others in new
            if one is not other and numbers & others
        )

    def _changed_passwords(self) -> Iterator[ChangedPassword]:
        old, new = Passwords(self.old, self._override), Passwords(self.new, self._override)
        if old.basis() == new.basis():
            return
        groups: dict[tuple[object, ...], list[str]] = {}
        for user in self.users:
            own = old.own.get(user), new.own.get(user)
            rights = self.old.rights.get(user), self.new.rights.get(user)
            # Users with a password of their own, the same as before, are challenged alike.
            groups.setdefault((rights, own if own[0] != own[1] else own[0] is None), []).append(user)
        alike: dict[tuple[object, ...], list[str]] = {}
        for users in groups.values():
            own = old.own.get(users[0]), new.own.get(users[0])
            key = old.of_caller(users[0]), new.of_caller(users[0]), own if any(own) else None
            alike.setdefault(key, []).extend(users)
        rows: dict[tuple[int, str, str], list[Pair]] = {}
        for users in [*alike.values(), [""]]:
            callers = tuple(users) if users[0] else ()
            for outcall, row in self._other_passwords(old, new, users[0]):
                rows.setdefault(row, []).append(Pair(callers, outcall))
        for (numbers, one, other), pairs in rows.items():
            yield ChangedPassword(numbers, tuple(pairs), one, other)

    def _other_passwords(
        self, old: Passwords, new: Passwords, caller: str
    ) -> Iterator[tuple[str | None, tuple[int, str, str]]]:
        """The extensions for which a caller is asked for another password, with both passwords; by outcall."""
        # Which of two passwords a call to two numbers needs is not worked out.
        within = self.old.regions.of_one_reading & self.new.regions.of_one_reading
        (before, left_before), (now, left_now) = old.of_caller(caller), new.of_caller(caller)
        for outcall in self.outcalls:
            out_before, out_now = (
                old.of_outcall(outcall, caller, left_before),
                new.of_outcall(outcall, caller, left_now),
            )
            if before == now and out_before == out_now:
                continue
            rows: dict[tuple[str, str], int] = {}
            for one, numbers in (*before, *out_before):
                for other, others in (*now, *out_now):
                    if one != other and numbers & others & within:
                        rows[one, other] = rows.get((one, other), 0) | numbers & others & within
            for (one, other), numbers in rows.items():
                yield outcall, (numbers, one, other)


def _by_decision(final: tuple[int, int], within: int) -> list[tuple[Decision, int]]:
    deny, challenge = final[0] & within, final[1] & within
    parts = (
        (Decision.ALLOW, within & ~(deny | challenge)),
        (Decision.DENY, deny),
        (Decision.CHALLENGE, challenge),
    )
    return [part for part in parts if part[1]]
