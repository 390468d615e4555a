"""From a tenant's rules to its snapshot.

A *profile* is a distinct set of permissions: of a user, those that are its own (stage USER) and those of its enabled groups
(stage GROUP), ranked together, so one walk decides both stages; of an outcall, its own. A *slot* is a permission in the
form that automata know: whoever edits a permission's mode, patterns or password's existence gives it a new slot, and with
it new profiles to those that it is associated with, and to nobody else.

A compiler belongs to one tenant and remembers slots, profiles and the automata's states. Compiling an edited tenant again
costs a linear pass over its associations, which is cheap, and new automata for the profiles that the edit touched, which
is what is dear. What edits leave behind is dropped by starting afresh when it exceeds what is in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.alphabet import ANY_MASK, GAP_MASK, STAR
from pdp.rules.builder import NOTHING, AutomatonBuilder, Limits
from pdp.rules.encode import encode
from pdp.rules.model import Decision, Mode, PasswordOverride, Stage
from pdp.rules.pattern import Pattern, parse
from pdp.rules.verdict import verdict_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pdp.rules.model import CallPermission, Revision, Tenant

_STAGES = (Stage.USER, Stage.GROUP, Stage.OUTCALL)
_STRENGTH = {Decision.ALLOW: 0, Decision.DENY: 1, Decision.CHALLENGE: 2}
"""Within a stage, the lowest prevails."""
_LOWEST = 2**64 - 1
_GARBAGE_FLOOR = 1000
"""Profiles that may be out of use before it is worth while to start afresh, however few are in use."""
_PROGRESS_STEP = 1000


class Slot(NamedTuple):
    """A permission as automata know it; equal for every permission that they cannot tell from it."""

    id: int
    mode: Mode
    has_password: bool
    patterns: tuple[int, ...]

    def ranked(self, index: int, stage: Stage) -> Iterable[tuple[int, int, int]]:
        """Rank, verdict and pattern number of each of its items, where the slot has this index."""
        decision = self._decision()
        rank = (stage * 4 + _STRENGTH[decision]) << 64 | _LOWEST - self.id
        verdict = verdict_number(index, decision, stage)
        return ((rank, verdict, pattern) for pattern in self.patterns)

    def _decision(self) -> Decision:
        if self.mode is Mode.ALLOW:
            return Decision.ALLOW
        return Decision.CHALLENGE if self.has_password else Decision.DENY


class Compiled(NamedTuple):
    """What ``encode`` writes: the rules by number. Values are what ``automaton`` walks from."""

    builder: AutomatonBuilder
    slots: dict[int, CallPermission]
    """The permission in each slot that is in use."""
    slot_patterns: dict[int, tuple[Pattern, ...]]
    user_slots: Mapping[str, Sequence[int]]
    group_slots: Mapping[str, Sequence[int]]
    outcall_slots: Mapping[str, Sequence[int]]
    user_roots: list[int]
    """By position in the tenant's users."""
    outcall_roots: list[int]
    user_groups: Mapping[str, Sequence[int]]
    """From a user's UUID to positions in the tenant's groups."""


Profile = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The slots that apply in the stages USER, GROUP and OUTCALL."""


class Compiler:
    """Compiles the successive states of one tenant.

    Args:
        secret: the deployment's key, for passwords and signature; None: neither passwords nor a signature are in the blobs.
        password_override: where a user's own password replaces a permission's.
        limits: what one profile may cost.
    """

    def __init__(
        self,
        *,
        secret: bytes | None = None,
        password_override: PasswordOverride = PasswordOverride.ALL,
        limits: Limits | None = None,
    ) -> None:
        self._secret = secret
        self._password_override = password_override
        self._limits = limits or Limits()
        self._parsed: dict[str, Pattern] = {}
        self._start_afresh(gaps=False)

    def compile(
        self,
        tenant: Tenant,
        revision: Revision,
        *,
        compiled_at: float,
        progress: Callable[[int, int], None] | None = None,
    ) -> bytes:
        """The snapshot of ``tenant``, as one blob.

        Args:
            tenant: its rules; every reference in it exists.
            revision: what the snapshot is called.
            compiled_at: now, in seconds of Unix time.
            progress: called now and then with how many users are done, and how many there are.

        Raises:
            PatternError: a pattern means nothing.
        """
        self._parse(tenant)
        compiled = self._compile(tenant, progress or (lambda _done, _total: None))
        return encode(tenant, compiled, revision, compiled_at, self._password_override, self._secret)

    def _start_afresh(self, *, gaps: bool) -> None:
        self._gaps = gaps
        self._builder = AutomatonBuilder(gaps=gaps, limits=self._limits)
        self._slots: dict[Slot, int] = {}
        self._by_index: list[Slot] = []
        self._roots: dict[Profile, int] = {}

    def _parse(self, tenant: Tenant) -> None:
        """Reads every pattern; starts afresh where the alphabet must grow, or too much of what there is is out of use."""
        texts = {text for permission in tenant.call_permissions for text in permission.extensions}
        self._parsed = {text: self._parsed.get(text) or parse(text) for text in texts}
        gaps = self._gaps or any(
            token & GAP_MASK and token not in (ANY_MASK, STAR)
            for pattern in self._parsed.values()
            for token in pattern.tokens
        )
        if gaps != self._gaps:
            self._start_afresh(gaps=gaps)

    def _compile(self, tenant: Tenant, progress: Callable[[int, int], None]) -> Compiled:
        slots = {self._slot(permission): permission for permission in tenant.call_permissions}
        active = {slot for slot, permission in slots.items() if permission.enabled and permission.extensions}
        user_slots, group_slots, outcall_slots = _associations(slots)
        user_groups: dict[str, list[int]] = {}
        for position, group in enumerate(tenant.groups):
            for user in group.users:
                user_groups.setdefault(user, []).append(position)
        grouped = _GroupSlots(tenant, group_slots, active)
        used = set[Profile]()

        def root(profile: Profile) -> int:
            used.add(profile)
            return self._root(profile)

        user_roots: list[int] = []
        for user in tenant.users:
            own = _only(user_slots.get(user.uuid), active)
            user_roots.append(root((own, grouped.of(user_groups.get(user.uuid)), ())))
            if len(user_roots) % _PROGRESS_STEP == 0:
                progress(len(user_roots), len(tenant.users))
        outcall_roots = [root(((), (), _only(outcall_slots.get(outcall.id), active))) for outcall in tenant.outcalls]
        progress(len(tenant.users), len(tenant.users))
        compiled = Compiled(
            builder=self._builder,
            slots=slots,
            slot_patterns={
                slot: tuple(self._parsed[text] for text in permission.extensions) for slot, permission in slots.items()
            },
            user_slots=user_slots,
            group_slots=group_slots,
            outcall_slots=outcall_slots,
            user_roots=user_roots,
            outcall_roots=outcall_roots,
            user_groups=user_groups,
        )
        if len(self._roots) > 2 * len(used) + _GARBAGE_FLOOR:
            self._start_afresh(gaps=False)
        return compiled

    def _slot(self, permission: CallPermission) -> int:
        numbers = tuple(self._builder.pattern(self._parsed[text].tokens) for text in permission.extensions)
        slot = Slot(permission.id, permission.mode, permission.password is not None, numbers)
        index = self._slots.setdefault(slot, len(self._by_index))
        if index == len(self._by_index):
            self._by_index.append(slot)
        return index

    def _root(self, profile: Profile) -> int:
        root = self._roots.get(profile)
        if root is None:
            items = [
                item
                for stage, indexes in zip(_STAGES, profile, strict=True)
                for index in indexes
                for item in self._by_index[index].ranked(index, stage)
            ]
            root = self._roots[profile] = self._builder.build(items) if items else NOTHING
        return root


class _GroupSlots:
    """The active slots that a user has from its groups; users with the same groups share one answer."""

    def __init__(self, tenant: Tenant, group_slots: Mapping[str, Sequence[int]], active: set[int]) -> None:
        self._by_group = [
            _only(group_slots.get(group.id), active) if group.enabled else () for group in tenant.groups
        ]
        self._by_groups: dict[tuple[int, ...], tuple[int, ...]] = {}

    def of(self, groups: Sequence[int] | None) -> tuple[int, ...]:
        """The slots of the enabled ones of these groups, each once, sorted."""
        if not groups:
            return ()
        key = tuple(groups)
        slots = self._by_groups.get(key)
        if slots is None:
            slots = tuple(sorted({slot for group in key for slot in self._by_group[group]}))
            self._by_groups[key] = slots
        return slots


def _only(slots: Iterable[int] | None, active: set[int]) -> tuple[int, ...]:
    return tuple(sorted(active.intersection(slots))) if slots else ()


def _associations(
    slots: Mapping[int, CallPermission],
) -> tuple[dict[str, list[int]], dict[str, list[int]], dict[str, list[int]]]:
    """The slots associated with each user, group and outcall, by its id."""
    users: dict[str, list[int]] = {}
    groups: dict[str, list[int]] = {}
    outcalls: dict[str, list[int]] = {}
    for slot, permission in slots.items():
        for ids, by_id in ((permission.users, users), (permission.groups, groups), (permission.outcalls, outcalls)):
            for id_ in ids:
                by_id.setdefault(id_, []).append(slot)
    return users, groups, outcalls
