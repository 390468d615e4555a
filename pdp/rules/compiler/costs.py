"""The costs of a tenant's rules, held against limits: one tenant must not slow another, nor keep the loader busy.

Most profiles cost little. A *hard* one has so many patterns with a ``.`` or ``!`` inside that no automaton fits the
budget of rows: it ends as a wide record, which costs each decision time in proportion to its positions, and trying
costs up to seconds. So wide records are bounded, and the part that makes a profile hard is remembered: further profiles
with that part become wide records at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pdp.rules.errors import CostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.rules.compiler.slots import Profile
    from pdp.rules.model import Tenant

_BITS = 8
_MASKS = 3
"""Masks of a wide record beside those of the symbols."""
_MOST = 0.9
"""Share of a hard profile's positions above which one part is what makes the profile hard."""
_REMEMBERED = 64
"""Parts that are remembered; each further profile is compared with all of them."""
_LONG = 0.001
"""Seconds of a profile that are put down to a permission."""
_FEWER = "use fewer, as in _089X. for a whole range, or give them to fewer"


@dataclass(frozen=True, slots=True)
class CostLimits:
    """The limits of one tenant; far above the needs of any telephone system.

    Attributes:
        tenant_patterns: the patterns of all permissions.
        caller_patterns: the patterns that apply to one caller, or to one outcall.
        positions: the characters of the patterns of a profile that is decided by a wide record: one millisecond for the
            longest extension, a tenth of that for a usual one.
        seconds: the processor time of one compilation, with a millisecond more for each pattern, user and outcall.
    """

    tenant_patterns: int = 5_000_000
    caller_patterns: int = 200_000
    positions: int = 32_768
    seconds: float = 300.0


class Building(Protocol):
    """What builds the profiles, as of ``engine.Sections``."""

    @property
    def width(self) -> int: ...  # noqa: D102 - as there
    def wide_size(self) -> int: ...  # noqa: D102
    def rest(self, place: int) -> int: ...  # noqa: D102
    def slot(self, index: int) -> tuple[int, Sequence[int]]: ...  # noqa: D102
    def profile(self, slots: Profile, *, hard: bool = False) -> int: ...  # noqa: D102


class _Part(NamedTuple):
    """A part of a profile: one slot, or the slots of all groups.

    Attributes:
        positions: the characters of the patterns.
        slots: the slots' indices.
        permission: the id of the part's costliest permission.
    """

    positions: int
    slots: frozenset[int]
    permission: int


class Costs:
    """Builds profiles, and raises an error before those of one tenant cost too much.

    Args:
        sections: what builds the tenant's profiles.
        limits: the limits.

    Attributes:
        most: the patterns of a profile above which it has too many.
        until: the thread's processor time, in seconds, from which on there is none left for this compilation.
    """

    def __init__(self, sections: Building, limits: CostLimits) -> None:
        self._sections = sections
        self._limits = limits
        self.most = limits.caller_patterns
        self._hard: list[frozenset[int]] = []
        self._spent: dict[int | None, float] = {}
        """Seconds of this compilation, by the permission that costs most in a profile."""
        self._allowed = self.until = float("inf")
        self._checkpoint: Callable[[], None] | None = None

    def begin(self, tenant: Tenant, checkpoint: Callable[[], None] | None = None) -> None:
        """Begins the compilation of a state of the tenant.

        Args:
            tenant: the state.
            checkpoint: called after each profile that took long.

        Raises:
            CostError: the permissions have too many patterns.
        """
        counts = {permission.id: len(permission.extensions) for permission in tenant.call_permissions}
        total, most = sum(counts.values()), self._limits.tenant_patterns
        if total > most:
            largest = max(counts, key=counts.__getitem__)
            raise CostError(largest, f"the tenant has {total} patterns, more than {most}", _FEWER)
        self._checkpoint = checkpoint
        self._spent.clear()
        self._allowed = self._limits.seconds + (total + len(tenant.users) + len(tenant.outcalls)) / 1000
        self.until = time.thread_time() + self._allowed

    @property
    def has_hard(self) -> bool:
        """Whether there are hard parts, which ``build`` looks for in each profile."""
        return bool(self._hard)

    def build(self, profile: Profile) -> int:
        """The root of a profile.

        Raises:
            CostError: the profile has too many patterns, or is too hard, or there was no time left.
        """
        count = sum([len(self._sections.slot(slot)[1]) for slot in chain(*profile)])
        if count > self.most:
            problem = f"one caller or outcall has {count} patterns, more than {self.most}"
            raise CostError(self._costliest(profile).permission, problem, _FEWER)
        begun, before = time.thread_time(), self._sections.wide_size()
        root = self._built(profile)
        self.account(profile, begun, before)
        return root

    def account(self, profile: Profile, begun: float, wide: int) -> None:
        """Puts down what a profile has cost that was just built.

        Args:
            profile: the profile.
            begun: the thread's processor time in seconds before.
            wide: bytes of the wide records before.

        Raises:
            CostError: the profile is too hard, or there is no time left.
        """
        ended = time.thread_time()
        if grown := self._sections.wide_size() - wide:
            self._check_wide(profile, grown * _BITS // (_MASKS + self._sections.width))
        if ended - begun > _LONG:
            id_ = self._costliest(profile).permission
            self._spent[id_] = self._spent.get(id_, 0.0) + ended - begun
            if self._checkpoint is not None:
                self._checkpoint()
        if ended > self.until:
            most = max(self._spent, key=self._spent.__getitem__, default=None)
            problem = f"compiling the tenant takes more than {self._allowed:.0f} s, most of them for these patterns"
            raise CostError(most, problem, "use fewer with a . or ! inside, or give them to groups")

    def _built(self, profile: Profile) -> int:
        if not self._hard:
            return self._sections.profile(profile)
        whole = frozenset(chain(*profile))
        return self._sections.profile(profile, hard=any(hard <= whole for hard in self._hard))

    def _check_wide(self, profile: Profile, positions: int) -> None:
        """Rejects a wide record that is too large; else remembers the part that made the profile hard, if one did."""
        costliest = self._costliest(profile)
        if positions > self._limits.positions:
            problem = (
                f"one caller or outcall has patterns with a . or ! inside of {positions} characters together,"
                f" more than the {self._limits.positions} that can be decided fast"
            )
            raise CostError(costliest.permission, problem, _FEWER)
        remembered = costliest.slots in self._hard or len(self._hard) >= _REMEMBERED
        if costliest.positions > _MOST * positions and not remembered:
            self._hard.append(costliest.slots)

    def _costliest(self, profile: Profile) -> _Part:
        """The part of a profile with the most positions: the slots of all groups, or one of the others."""
        user, groups, outcall = profile
        parts = [self._part(slots) for slots in (*zip(user), *zip(outcall), groups) if slots]
        return max(parts, key=lambda part: part.positions)

    def _part(self, indices: tuple[int, ...]) -> _Part:
        rest, slots = self._sections.rest, {index: self._sections.slot(index) for index in indices}
        positions = {index: sum(rest(place) + 1 for place in places) for index, (_, places) in slots.items()}
        most = max(indices, key=positions.__getitem__)
        return _Part(sum(positions.values()), frozenset(indices), slots[most][0])
