"""From a tenant's rules to its snapshot.

A *profile* is a distinct set of permissions: for a user, the user's own (stage USER) and those of the user's enabled
groups (stage GROUP), ranked together, so one walk decides both stages; for an outcall, its own. A *slot* is a
permission in the form that automata know: a change of a permission's mode, patterns or password's existence gives the
permission a new slot, and thereby new profiles to its users and outcalls, and to no others.

A compiler belongs to one tenant and keeps the last state: the profiles, the automata's states and the tables.
Compiling an edited tenant costs one comparison per entity, and then the work for the entities that the edit touches.
Garbage that edits leave in the tables is dropped by starting afresh once there may be as much garbage as data in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.compiler.associations import Associations
from pdp.rules.compiler.automata import DEAD, Limits
from pdp.rules.compiler.changes import Changes, changes
from pdp.rules.compiler.costs import CostLimits, Costs
from pdp.rules.compiler.engine import make_automata
from pdp.rules.compiler.slots import Slot
from pdp.rules.compiler.writer import Tables, encode
from pdp.rules.dialling import DiallingPlan
from pdp.rules.model import PasswordOverride
from pdp.rules.patterns.alphabet import ANY_MASK, GAP_MASK, STAR
from pdp.rules.patterns.parser import Pattern, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pdp.rules.compiler.engine import Automata, MakeAutomata
    from pdp.rules.compiler.slots import Profile
    from pdp.rules.model import CallPermission, Dialling, Group, Outcall, Revision, Tenant, User

_GARBAGE_FLOOR = 1 << 20
"""Bytes of garbage below which starting afresh is not worth the time, however little data is in use."""
_PROGRESS_STEP = 1000


class _State:
    """A tenant in the last state that was compiled, and all that was made from that state.

    Args:
        tenant: the tenant's UUID.
        gaps: whether any pattern holds a range that reaches beyond what patterns can name, or words hold marks.
        automata: the automata to fill.
        cost_limits: the limits of the tenant.
        secret: the deployment's key.
        dialling: the tenant's dialling plan; None: extensions are read unchanged.
    """

    def __init__(
        self,
        tenant: str,
        *,
        gaps: bool,
        automata: Automata,
        cost_limits: CostLimits,
        secret: bytes | None,
        dialling: Dialling | None,
    ) -> None:
        self.tenant = tenant
        self.gaps = gaps
        self.dialling = dialling
        self._marks = DiallingPlan(dialling.table, None) if dialling else None
        self._plan: tuple[frozenset[str], bytes] = frozenset(), b""
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.outcalls: dict[str, Outcall] = {}
        self.permissions: dict[int, CallPermission] = {}
        self.patterns: dict[str, Pattern] = {}
        self.automata = automata
        self.tables = Tables(tenant, automata, secret)
        self.associations = Associations()
        self.size_at_first = -1
        self._slots: dict[Slot, int] = {}
        self._by_index: list[Slot] = []
        self.costs = Costs(automata, cost_limits, self._by_index)
        self._slot_of: dict[int, int] = {}
        self._roots: dict[Profile, int] = {}
        self._group_slots: dict[tuple[str, ...], tuple[int, ...]] = {}

    def is_garbage(self) -> bool:
        """Whether edits may have left as much garbage as there is data in use."""
        return self.size_at_first >= 0 and self._size() > 2 * self.size_at_first + _GARBAGE_FLOOR

    def become(self, edit: _Edit, progress: Callable[[int, int], None]) -> None:
        """Applies an edit: afterwards the tables and automata are the edited tenant's."""
        self.patterns.update(edit.patterns)
        self._group_slots.clear()
        self.associations.settle()
        self._take_groups(edit.groups)
        self._take_permissions(edit.permissions)
        self._write_groups(edit.groups)
        self._write_users(edit.users, progress)
        self._write_outcalls(edit.outcalls)
        if self.size_at_first < 0:
            self.size_at_first = self._size()

    def plan(self) -> bytes:
        """The snapshot's section with the tenant's dialling plan; empty without one."""
        if self.dialling is None:
            return b""
        texts = frozenset(text for permission in self.permissions.values() for text in permission.extensions)
        known, section = self._plan
        if not section or texts != known:
            patterns = [(text, self.patterns[text].tokens) for text in sorted(texts)]
            section = DiallingPlan(self.dialling.table, patterns).section
            self._plan = texts, section
        return section

    def _size(self) -> int:
        return self.tables.size() + self.automata.size()

    def _take_groups(self, groups: Changes[str, Group]) -> None:
        for group in groups.gone:
            self.associations.replace_group(group, None)
            self.tables.remove_group(group)
        for group in groups.changed:
            self.associations.replace_group(self.groups.get(group.id), group)
        self.groups = groups.now

    def _take_permissions(self, permissions: Changes[int, CallPermission]) -> None:
        for permission in permissions.gone:
            self.associations.replace_permission(permission, self._slot_of.pop(permission.id), None, -1)
            self.tables.remove_permission(permission)
        for permission in permissions.changed:
            patterns = [self.patterns[text] for text in permission.extensions]
            slot = self._slot(permission, patterns)
            before, old_slot = self.permissions.get(permission.id), self._slot_of.get(permission.id, -1)
            self.associations.replace_permission(before, old_slot, permission, slot)
            self._slot_of[permission.id] = slot
            self.tables.set_permission(slot, permission, patterns)
        self.permissions = permissions.now

    def _write_groups(self, groups: Changes[str, Group]) -> None:
        associations = self.associations
        changed = {group.id for group in groups.changed}
        for group in groups.now.values():
            touched = group.id in associations.touched_groups
            if touched or group.id in changed:
                moved = self.tables.set_group(group, associations.groups.get(group.id, ()))
                if touched or moved:
                    associations.touched_users.update(group.users)

    def _write_users(self, users: Changes[str, User], progress: Callable[[int, int], None]) -> None:
        associations, tables = self.associations, self.tables
        for user in users.gone:
            tables.remove_user(user)
        touched = associations.touched_users.union(user.uuid for user in users.changed)
        tables.users.reserve(len(users.now))
        to_write = [user for user in users.now.values() if user.uuid in touched]
        for done, user in enumerate(to_write):
            if done % _PROGRESS_STEP == 0:
                progress(done, len(to_write))
            slots = associations.users.get(user.uuid, ())
            groups = associations.memberships.get(user.uuid, ())
            root = self._root((self._active(slots), self._active_in_groups(groups), ()))
            tables.set_user(user, root, slots, groups)
        progress(len(to_write), len(to_write))
        self.users = users.now

    def _write_outcalls(self, outcalls: Changes[str, Outcall]) -> None:
        for outcall in outcalls.gone:
            self.tables.remove_outcall(outcall)
        touched = self.associations.touched_outcalls.union(outcall.id for outcall in outcalls.changed)
        for outcall in outcalls.now.values():
            if outcall.id in touched:
                slots = self.associations.outcalls.get(outcall.id, ())
                self.tables.set_outcall(outcall, self._root(((), (), self._active(slots))), slots)
        self.outcalls = outcalls.now

    def _active(self, slots: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted(self.associations.active.intersection(slots)))

    def _active_in_groups(self, groups: tuple[str, ...]) -> tuple[int, ...]:
        """The active slots of the enabled ones of these groups; users with the same groups share one result."""
        if not groups:
            return ()
        slots = self._group_slots.get(groups)
        if slots is None:
            enabled = [group for group in groups if self.groups[group].enabled]
            by_group = self.associations.groups
            slots = self._active({slot for group in enabled for slot in by_group.get(group, ())})
            self._group_slots[groups] = slots
        return slots

    def _slot(self, permission: CallPermission, patterns: Iterable[Pattern]) -> int:
        numbers = tuple(self.automata.pattern(tokens) for pattern in patterns for tokens in self._tokens(pattern))
        slot = Slot(permission.id, permission.mode, permission.password is not None, numbers)
        index = self._slots.setdefault(slot, len(self._by_index))
        if index == len(self._by_index):
            self._by_index.append(slot)
            self.automata.add_slot(slot.id, slot.decision, numbers)
        return index

    def _tokens(self, pattern: Pattern) -> list[tuple[int, ...]]:
        """The tokens of a pattern's items in a profile: the pattern's, and those for words that must be spelt out."""
        marked = self._marks.marked(pattern.text, pattern.tokens) if self._marks else []
        return [pattern.tokens, *marked]

    def _root(self, profile: Profile) -> int:
        root = self._roots.get(profile)
        if root is None:
            root = self._roots[profile] = self.costs.build(profile) if any(profile) else DEAD
        return root


class _Edit(NamedTuple):
    """The difference between a tenant and its last state."""

    users: Changes[str, User]
    groups: Changes[str, Group]
    outcalls: Changes[str, Outcall]
    permissions: Changes[int, CallPermission]
    patterns: dict[str, Pattern]
    """The patterns, by text, of the permissions that changed."""

    @classmethod
    def between(cls, state: _State, tenant: Tenant, parsed: dict[str, Pattern]) -> _Edit:
        """The edit from ``state`` to ``tenant``; patterns in ``parsed`` are not parsed again."""
        permissions = changes(state.permissions, tenant.call_permissions, lambda permission: permission.id)
        texts = {text for permission in permissions.changed for text in permission.extensions}
        return cls(
            users=changes(state.users, tenant.users, lambda user: user.uuid),
            groups=changes(state.groups, tenant.groups, lambda group: group.id),
            outcalls=changes(state.outcalls, tenant.outcalls, lambda outcall: outcall.id),
            permissions=permissions,
            patterns={text: parsed.get(text) or parse(text) for text in sorted(texts)},
        )

    def needs_gaps(self) -> bool:
        """Whether any of the edit's patterns holds a range that reaches beyond what patterns can name."""
        return any(
            token & GAP_MASK and token not in (ANY_MASK, STAR)
            for pattern in self.patterns.values()
            for token in pattern.tokens
        )


class Compiler:
    """Compiles the successive states of one tenant.

    Args:
        secret: the deployment's key, for passwords and signature; None: the blobs have neither passwords nor a
            signature.
        password_override: where a user's own password replaces a permission's.
        limits: the limits of one profile.
        cost_limits: the limits of the tenant.
        automata: makes the automata.
    """

    def __init__(
        self,
        *,
        secret: bytes | None = None,
        password_override: PasswordOverride = PasswordOverride.ALL,
        limits: Limits | None = None,
        cost_limits: CostLimits | None = None,
        automata: MakeAutomata = make_automata,
    ) -> None:
        self._secret = secret
        self._password_override = password_override
        self._limits = limits or Limits()
        self._cost_limits = cost_limits or CostLimits()
        self._automata = automata
        self._state: _State | None = None

    def compile(
        self,
        tenant: Tenant,
        revision: Revision,
        *,
        compiled_at: float,
        progress: Callable[[int, int], None] | None = None,
        checkpoint: Callable[[], None] | None = None,
    ) -> bytes:
        """The snapshot of ``tenant``, as one blob.

        Args:
            tenant: the tenant's rules; every reference exists, and every id is unique.
            revision: the revision of the snapshot.
            compiled_at: now, in seconds of Unix time.
            progress: called now and then with the number of users that are done, and of all users to be done.
            checkpoint: called after each part that took long.

        Raises:
            PatternError: a pattern is invalid.
            CostError: the rules would take too long to compile or to decide by.
        """
        state, edit = self._next(tenant)
        # An interruption of the following leaves the state half way between two tenants, and of no further use.
        self._state = None
        state.costs.begin(tenant, checkpoint)
        state.become(edit, progress or (lambda _done, _total: None))
        self._state = state
        return encode(tenant, state.tables, state.plan(), revision, compiled_at, self._password_override, self._secret)

    def _next(self, tenant: Tenant) -> tuple[_State, _Edit]:
        """The state to go on from, and the edit that leads from that state to ``tenant``."""
        last, parsed = self._state, {}
        if last is not None and last.tenant == tenant.uuid and last.dialling == tenant.dialling:
            parsed = last.patterns
            if not last.is_garbage():
                edit = _Edit.between(last, tenant, parsed)
                if last.gaps or not edit.needs_gaps():
                    return last, edit
        fresh = self._fresh(tenant, gaps=tenant.dialling is not None)
        edit = _Edit.between(fresh, tenant, parsed)
        if edit.needs_gaps() and not fresh.gaps:
            fresh = self._fresh(tenant, gaps=True)
        return fresh, edit

    def _fresh(self, tenant: Tenant, *, gaps: bool) -> _State:
        return _State(
            tenant.uuid,
            gaps=gaps,
            automata=self._automata(gaps, self._limits),
            cost_limits=self._cost_limits,
            secret=self._secret,
            dialling=tenant.dialling,
        )
