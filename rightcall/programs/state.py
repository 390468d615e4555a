"""The state of rules for people: tenants with revisions and sizes, the source, and the faults of definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loader.faults import Fault


class TenantState(NamedTuple):
    """A tenant.

    Attributes:
        uuid: the tenant's UUID.
        name: the tenant's name.
        users, groups, outcalls, permissions: their numbers.
        emergency: the emergency numbers.
        revision: of the rules in force; empty: they are not published.
        loaded_at: when they came into force, in seconds of Unix time; 0: not known.
        origin: where they came from, such as ``redis``.
        closed: why calls of the tenant are rejected; empty: they are not.
    """

    uuid: str
    name: str
    users: int
    groups: int
    outcalls: int
    permissions: int
    emergency: Sequence[str] = ()
    revision: str = ""
    loaded_at: float = 0.0
    origin: str = ""
    closed: str = ""


class State(NamedTuple):
    """The state of all rules that a client may see.

    Attributes:
        source: the source of the rules; empty: a client bound to tenants does not learn it.
        tenants: the tenants.
        faults: the faults of the definitions, as far as they are read here.
        faulty: the tenants that are not decided by as they are defined, because of faults.
        contacted_at: last contact to the source, in seconds of Unix time; 0: the source is read for each page.
        problem: why the source cannot be followed, or rules are missing; empty: all is well.
    """

    source: str
    tenants: Sequence[TenantState]
    faults: Sequence[Fault] = ()
    faulty: Sequence[str] = ()
    contacted_at: float = 0.0
    problem: str = ""
