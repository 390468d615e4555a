"""The sections of a tenant's snapshot in Python, kept up to date edit by edit: the readable twin of those in the core.

Automata, tables and associations are put together here: who is touched by an edit gets a profile, the profile a root,
and the root is written with all else that is known of the user or outcall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.compiler.associations import Associations
from pdp.rules.compiler.automata import DEAD, AutomatonBuilder, Limits
from pdp.rules.compiler.profiles import build_profile
from pdp.rules.compiler.slots import Slot
from pdp.rules.compiler.writer import Tables
from pdp.rules.precedence import STAGES, rank
from pdp.rules.snapshot.blob import Section, seal
from pdp.rules.snapshot.verdict import verdict_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pdp.rules.compiler.changes import Changes, Edit, Marked
    from pdp.rules.compiler.costs import Costs
    from pdp.rules.compiler.slots import Profile
    from pdp.rules.model import CallPermission, Group, Outcall, User
    from pdp.rules.patterns.parser import Pattern
    from pdp.rules.snapshot.blob import Buffer

_PROGRESS_STEP = 1000


class PythonSections:
    """The sections of one tenant, as of ``engine.Sections``.

    Args:
        tenant: the tenant's UUID.
        gaps: whether any pattern holds a range that reaches beyond what patterns can name, or words hold marks.
        limits: the limits of one profile.
        secret: the deployment's key.
    """

    def __init__(self, tenant: str, *, gaps: bool, limits: Limits, secret: bytes | None) -> None:
        self._automata = AutomatonBuilder(gaps=gaps, limits=limits)
        self._tables = Tables(tenant, self._automata, secret)
        self._secret = secret
        self._associations = Associations()
        self._groups: dict[str, Group] = {}
        self._permissions: dict[int, CallPermission] = {}
        self._slots: dict[Slot, int] = {}
        self._by_index: list[Slot] = []
        self._slot_of: dict[int, int] = {}
        self._roots: dict[Profile, int] = {}
        self._group_slots: dict[tuple[str, ...], tuple[int, ...]] = {}

    @property
    def width(self) -> int:
        """The number of symbols."""
        return self._automata.width

    def size(self) -> int:
        """Bytes of the tables that grow with every change."""
        return self._tables.size() + self._automata.size()

    def wide_size(self) -> int:
        """Bytes of the wide records."""
        return len(self._automata.wide)

    def rest(self, place: int) -> int:
        """The number of tokens from a position to the end of its pattern."""
        return self._automata.rest(place)

    def slot(self, index: int) -> tuple[int, Sequence[int]]:
        """The id of a slot's permission, and the first positions of its patterns."""
        slot = self._by_index[index]
        return slot.id, slot.patterns

    def profile(self, slots: Profile, *, hard: bool = False) -> int:
        """The root of a profile, given by the slots of each stage; ``hard``: no rows are tried."""
        ranked = sorted(
            (rank(stage, slot.decision, slot.id), verdict_number(index, slot.decision, stage), sorted(slot.patterns))
            for stage, indexes in zip(STAGES, slots, strict=True)
            for index in indexes
            for slot in (self._by_index[index],)
        )
        items = tuple((verdict, place) for _, verdict, places in ranked for place in places)
        return build_profile(self._automata, items, rows=0 if hard else self._automata.limits.rows)

    def take(self, edit: Edit, marked: Marked | None) -> None:
        """Takes over an edit's changes of groups and permissions, and writes the groups."""
        self._group_slots.clear()
        self._associations.settle()
        self._take_groups(edit.groups)
        self._take_permissions(edit.permissions, edit.patterns, marked)
        self._write_groups(edit.groups)

    def touched(self) -> tuple[set[str], set[str]]:
        """The users and the outcalls that the edit touches, by id."""
        return self._associations.touched_users, self._associations.touched_outcalls

    def write_users(
        self, changes: Changes[str, User], users: Sequence[User], costs: Costs, progress: Callable[[int, int], None]
    ) -> None:
        """Removes the users that are gone, and writes these."""
        associations, tables = self._associations, self._tables
        for user in changes.gone:
            tables.remove_user(user)
        tables.users.reserve(len(changes.now))
        for done, user in enumerate(users):
            if done % _PROGRESS_STEP == 0:
                progress(done, len(users))
            slots = associations.users.get(user.uuid, ())
            groups = associations.memberships.get(user.uuid, ())
            root = self._root((self._active(slots), self._active_in_groups(groups), ()), costs)
            tables.set_user(user, root, slots, groups)
        progress(len(users), len(users))

    def write_outcalls(self, changes: Changes[str, Outcall], outcalls: Iterable[Outcall], costs: Costs) -> None:
        """Removes the outcalls that are gone, and writes these."""
        for outcall in changes.gone:
            self._tables.remove_outcall(outcall)
        for outcall in outcalls:
            slots = self._associations.outcalls.get(outcall.id, ())
            self._tables.set_outcall(outcall, self._root(((), (), self._active(slots)), costs), slots)

    def seal(self, meta: bytes, dialling: bytes) -> bytes:
        """The blob with these sections beside those of here, signed where there is a key."""
        automata, tables = self._automata, self._tables
        leaves, programs, records, patterns = (
            memoryview(words).cast("B")
            for words in (automata.leaves, automata.programs, tables.records, tables.patterns)
        )
        sections: dict[Section, Buffer] = {
            Section.META: meta,
            Section.SYMBOLS: automata.symbols,
            Section.BLOCKS: automata.blocks,
            Section.LEAVES: leaves,
            Section.PROGRAMS: programs,
            Section.LITERALS: automata.literals,
            Section.WIDE: automata.wide,
            Section.USERS: tables.users.section(),
            Section.OUTCALLS: tables.outcalls.section(),
            Section.RECORDS: records,
            Section.PERMISSIONS: tables.permissions,
            Section.PATTERNS: patterns,
            Section.STRINGS: tables.strings,
            Section.SECRETS: tables.secrets,
            Section.DIALLING: dialling,
            Section.ALIASES: tables.aliases.section() if len(tables.aliases) else b"",
        }
        return seal(sections, self._secret)

    def _take_groups(self, groups: Changes[str, Group]) -> None:
        for group in groups.gone:
            self._associations.replace_group(group, None)
            self._tables.remove_group(group)
        for group in groups.changed:
            self._associations.replace_group(self._groups.get(group.id), group)
        self._groups = groups.now

    def _take_permissions(
        self, permissions: Changes[int, CallPermission], patterns: Mapping[str, Pattern], marked: Marked | None
    ) -> None:
        for permission in permissions.gone:
            self._associations.replace_permission(permission, self._slot_of.pop(permission.id), None, -1)
            self._tables.remove_permission(permission)
        for permission in permissions.changed:
            own = [patterns[text] for text in permission.extensions]
            slot = self._slot(permission, own, marked)
            before, old_slot = self._permissions.get(permission.id), self._slot_of.get(permission.id, -1)
            self._associations.replace_permission(before, old_slot, permission, slot)
            self._slot_of[permission.id] = slot
            self._tables.set_permission(slot, permission, own)
        self._permissions = permissions.now

    def _write_groups(self, groups: Changes[str, Group]) -> None:
        associations = self._associations
        changed = {group.id for group in groups.changed}
        for group in groups.now.values():
            touched = group.id in associations.touched_groups
            if touched or group.id in changed:
                moved = self._tables.set_group(group, associations.groups.get(group.id, ()))
                if touched or moved:
                    associations.touched_users.update(group.users)

    def _active(self, slots: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted(self._associations.active.intersection(slots)))

    def _active_in_groups(self, groups: tuple[str, ...]) -> tuple[int, ...]:
        """The active slots of the enabled ones of these groups; users with the same groups share one result."""
        if not groups:
            return ()
        slots = self._group_slots.get(groups)
        if slots is None:
            enabled = [group for group in groups if self._groups[group].enabled]
            by_group = self._associations.groups
            slots = self._active({slot for group in enabled for slot in by_group.get(group, ())})
            self._group_slots[groups] = slots
        return slots

    def _slot(self, permission: CallPermission, patterns: Iterable[Pattern], marked: Marked | None) -> int:
        numbers = tuple(
            self._automata.pattern(tokens)
            for pattern in patterns
            for tokens in (pattern.tokens, *(marked(pattern.text, pattern.tokens) if marked else ()))
        )
        slot = Slot(permission.id, permission.mode, permission.password is not None, numbers)
        index = self._slots.setdefault(slot, len(self._by_index))
        if index == len(self._by_index):
            self._by_index.append(slot)
        return index

    def _root(self, profile: Profile, costs: Costs) -> int:
        root = self._roots.get(profile)
        if root is None:
            root = self._roots[profile] = costs.build(profile) if any(profile) else DEAD
        return root
