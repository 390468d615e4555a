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

from typing import TYPE_CHECKING

from pdp.rules.compiler.automata import Limits
from pdp.rules.compiler.changes import Edit, changes
from pdp.rules.compiler.costs import CostLimits, Costs
from pdp.rules.compiler.engine import make_sections
from pdp.rules.compiler.writer import meta_of
from pdp.rules.dialling import DiallingPlan
from pdp.rules.model import PasswordOverride
from pdp.rules.patterns.parser import Pattern, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.compiler.engine import MakeSections, Sections
    from pdp.rules.model import CallPermission, Dialling, Group, Outcall, Revision, Tenant, User

_GARBAGE_FLOOR = 1 << 20
"""Bytes of garbage below which starting afresh is not worth the time, however little data is in use."""


class _State:
    """A tenant in the last state that was compiled, and all that was made from that state.

    Args:
        tenant: the tenant's UUID.
        gaps: whether any pattern holds a range that reaches beyond what patterns can name, or words hold marks.
        sections: the sections to fill.
        cost_limits: the limits of the tenant.
        dialling: the tenant's dialling plan; None: extensions are read unchanged.
    """

    def __init__(
        self, tenant: str, *, gaps: bool, sections: Sections, cost_limits: CostLimits, dialling: Dialling | None
    ) -> None:
        self.tenant = tenant
        self.gaps = gaps
        self.dialling = dialling
        self.sections = sections
        self.costs = Costs(sections, cost_limits)
        self._marked = DiallingPlan(dialling.table, None).marked if dialling else None
        self._plan: tuple[frozenset[str], bytes] = frozenset(), b""
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.outcalls: dict[str, Outcall] = {}
        self.permissions: dict[int, CallPermission] = {}
        self.patterns: dict[str, Pattern] = {}
        self._size_at_first = -1

    def is_garbage(self) -> bool:
        """Whether edits may have left as much garbage as there is data in use."""
        return self._size_at_first >= 0 and self.sections.size() > 2 * self._size_at_first + _GARBAGE_FLOOR

    def edit(self, tenant: Tenant, parsed: dict[str, Pattern]) -> Edit:
        """The edit that leads from this state to ``tenant``; patterns in ``parsed`` are not parsed again."""
        permissions = changes(self.permissions, tenant.call_permissions, lambda permission: permission.id)
        texts = {text for permission in permissions.changed for text in permission.extensions}
        return Edit(
            users=changes(self.users, tenant.users, lambda user: user.uuid),
            groups=changes(self.groups, tenant.groups, lambda group: group.id),
            outcalls=changes(self.outcalls, tenant.outcalls, lambda outcall: outcall.id),
            permissions=permissions,
            patterns={text: parsed.get(text) or parse(text) for text in sorted(texts)},
        )

    def become(self, edit: Edit, progress: Callable[[int, int], None]) -> None:
        """Applies an edit: afterwards the sections are the edited tenant's."""
        self.patterns.update(edit.patterns)
        self.sections.take(edit, self._marked)
        touched_users, touched_outcalls = self.sections.touched()
        touched_users = touched_users.union(user.uuid for user in edit.users.changed)
        touched_outcalls = touched_outcalls.union(outcall.id for outcall in edit.outcalls.changed)
        users = [user for user in edit.users.now.values() if user.uuid in touched_users]
        outcalls = [outcall for outcall in edit.outcalls.now.values() if outcall.id in touched_outcalls]
        self.sections.write_users(edit.users, users, self.costs, progress)
        self.sections.write_outcalls(edit.outcalls, outcalls, self.costs)
        self.users, self.groups, self.outcalls = edit.users.now, edit.groups.now, edit.outcalls.now
        self.permissions = edit.permissions.now
        if self._size_at_first < 0:
            self._size_at_first = self.sections.size()

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


class Compiler:
    """Compiles the successive states of one tenant.

    Args:
        secret: the deployment's key, for passwords and signature; None: the blobs have neither passwords nor a
            signature.
        password_override: where a user's own password replaces a permission's.
        limits: the limits of one profile.
        cost_limits: the limits of the tenant.
        sections: makes the sections.
    """

    def __init__(
        self,
        *,
        secret: bytes | None = None,
        password_override: PasswordOverride = PasswordOverride.ALL,
        limits: Limits | None = None,
        cost_limits: CostLimits | None = None,
        sections: MakeSections = make_sections,
    ) -> None:
        self._secret = secret
        self._password_override = password_override
        self._limits = limits or Limits()
        self._cost_limits = cost_limits or CostLimits()
        self._sections = sections
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
        return state.sections.seal(meta_of(tenant, revision, compiled_at, self._password_override), state.plan())

    def _next(self, tenant: Tenant) -> tuple[_State, Edit]:
        """The state to go on from, and the edit that leads from that state to ``tenant``."""
        last, parsed = self._state, {}
        if last is not None and last.tenant == tenant.uuid and last.dialling == tenant.dialling:
            parsed = last.patterns
            if not last.is_garbage():
                edit = last.edit(tenant, parsed)
                if last.gaps or not edit.needs_gaps():
                    return last, edit
        fresh = self._fresh(tenant, gaps=tenant.dialling is not None)
        edit = fresh.edit(tenant, parsed)
        if edit.needs_gaps() and not fresh.gaps:
            fresh = self._fresh(tenant, gaps=True)
        return fresh, edit

    def _fresh(self, tenant: Tenant, *, gaps: bool) -> _State:
        sections = self._sections(tenant.uuid, gaps=gaps, limits=self._limits, secret=self._secret)
        return _State(
            tenant.uuid, gaps=gaps, sections=sections, cost_limits=self._cost_limits, dialling=tenant.dialling
        )
