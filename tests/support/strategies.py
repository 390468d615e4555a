"""Random rules and calls, small and mean: few ids and few patterns, so that they meet, overlap and contradict."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from hypothesis import strategies as st

from pdp.rules.compiler.automata import Limits
from pdp.rules.model import CallPermission, Group, Mode, Outcall, Tenant, User
from pdp.rules.patterns.alphabet import DIALABLE

TENANT = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
USERS = tuple(f"0000000{number}-aaaa-4bbb-8ccc-dddddddddddd" for number in range(4))
STRANGER = "99999999-8888-4777-9666-555555555555"
GROUPS = ("7", "8", "9")
OUTCALLS = ("1", "2")

LIMITS = (Limits(), Limits(rows=1), Limits(rows=0, leaf=0), Limits(rows=3, leaf=2))
"""Budgets: the usual one, ones that end at once, everything on the widest fallback, and one that ends half way."""


class Call(NamedTuple):
    """A question."""

    caller: str
    extension: str
    outcall: str


def _ranges(ends: tuple[str, str]) -> str:
    return f"{min(ends)}-{max(ends)}"


_characters = st.sampled_from(DIALABLE)
_few = st.sampled_from("019*#+-")
_members = st.one_of(_few, st.tuples(_characters, _characters).map(_ranges), st.sampled_from(["#-9", "+-0", "*--"]))
_brackets = st.lists(_members, min_size=1, max_size=3).map(lambda members: f"[{''.join(members)}]")
_tokens = st.one_of(_few, _few, st.sampled_from("XZN"), _brackets, st.sampled_from([".", "!", "_"]))


def _means_something(pattern: str) -> bool:
    return pattern.strip("_") != "" and _ranges_rise(pattern)


def _ranges_rise(pattern: str) -> bool:
    """Whether no two members of a bracket joined into a range that runs the wrong way, as in ``[*-9-1]``."""
    for inside in (part.split("]")[0] for part in pattern.split("[")[1:]):
        at = 0
        while at + 2 < len(inside):
            if inside[at + 1] != "-":
                at += 1
            elif inside[at] > inside[at + 2]:
                return False
            else:
                at += 3
    return True


patterns = st.lists(_tokens, min_size=1, max_size=7).map("".join).filter(_means_something)
"""Valid patterns, with ``.`` and ``!`` anywhere, wide ranges and ``_`` in odd places."""

extensions = st.one_of(
    st.text("0129*#+-", min_size=1, max_size=8),
    st.text("01$,/:.aX é\N{BLACK TELEPHONE}\U0001f4de", min_size=1, max_size=6),
    st.text("019", min_size=100, max_size=128),
)
"""What is dialled: mostly what patterns name, sometimes what none can, sometimes as long as it may be."""

passwords = st.none() | st.sampled_from(["4242", "1234", "*#"])


@st.composite
def permissions(draw: st.DrawFn, number: int, pool: list[str]) -> CallPermission:
    """A permission with this id and patterns out of a pool."""
    return CallPermission(
        id=number,
        name=draw(st.sampled_from(["", "no-international", "n\N{LATIN SMALL LETTER E WITH ACUTE}"])),
        mode=draw(st.sampled_from(Mode)),
        password=draw(passwords),
        enabled=draw(st.sampled_from([True, True, True, False])),
        extensions=tuple(draw(st.lists(st.sampled_from(pool), max_size=3))),
        users=tuple(draw(st.lists(st.sampled_from(USERS), max_size=2, unique=True))),
        groups=tuple(draw(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True))),
        outcalls=tuple(draw(st.lists(st.sampled_from(OUTCALLS), max_size=2, unique=True))),
    )


@st.composite
def groups(draw: st.DrawFn, id_: str) -> Group:
    """A group with this id."""
    members = tuple(draw(st.lists(st.sampled_from(USERS), max_size=3, unique=True)))
    return Group(id_, draw(st.sampled_from(["", "sales"])), enabled=draw(st.booleans()), users=members)


@st.composite
def tenants(draw: st.DrawFn) -> Tenant:
    """A tenant; all users, groups and outcalls exist, permissions are some of twelve."""
    pool = draw(st.lists(patterns, min_size=1, max_size=6))
    numbers = draw(st.lists(st.integers(1, 12) | st.just(2**63 - 1), max_size=8, unique=True))
    return Tenant(
        TENANT,
        draw(st.sampled_from(["", "acme"])),
        users=tuple(User(uuid, draw(passwords)) for uuid in USERS),
        groups=tuple(draw(groups(id_)) for id_ in GROUPS),
        outcalls=tuple(Outcall(id_) for id_ in OUTCALLS),
        call_permissions=tuple(draw(permissions(number, pool)) for number in numbers),
    )


@st.composite
def edits(draw: st.DrawFn, tenant: Tenant) -> Tenant:
    """The tenant after one edit: something changed, came, went or moved to another place."""
    pool = [text for permission in tenant.call_permissions for text in permission.extensions] or ["_X."]
    pool += draw(st.lists(patterns, max_size=1))
    rules = {permission.id: permission for permission in tenant.call_permissions}
    kind = draw(st.sampled_from(["permission", "permission", "gone", "group", "user", "user gone", "order"]))
    if kind == "permission":
        number = draw(st.sampled_from(sorted(rules) or [1]) | st.integers(1, 12))
        return replace(tenant, call_permissions=(*(rules | {number: draw(permissions(number, pool))}).values(),))
    if kind == "gone" and rules:
        del rules[draw(st.sampled_from(sorted(rules)))]
        return replace(tenant, call_permissions=tuple(rules.values()))
    if kind == "group":
        changed = draw(groups(draw(st.sampled_from(GROUPS))))
        return replace(tenant, groups=tuple(changed if g.id == changed.id else g for g in tenant.groups))
    if kind == "user":
        user = User(draw(st.sampled_from(USERS)), draw(passwords))
        return replace(tenant, users=(*(u for u in tenant.users if u.uuid != user.uuid), user))
    if kind == "user gone":
        return _without_user(tenant, draw(st.sampled_from(USERS)))
    return replace(tenant, call_permissions=tuple(reversed(tenant.call_permissions)), users=tenant.users[::-1])


def _without_user(tenant: Tenant, uuid: str) -> Tenant:
    """The tenant without a user and without all references to it."""

    def others(users: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(user for user in users if user != uuid)

    return replace(
        tenant,
        users=tuple(user for user in tenant.users if user.uuid != uuid),
        groups=tuple(replace(group, users=others(group.users)) for group in tenant.groups),
        call_permissions=tuple(replace(rule, users=others(rule.users)) for rule in tenant.call_permissions),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Tenant]:
    """Successive states of a tenant, an edit apart each."""
    states = [draw(tenants())]
    for _ in range(draw(st.integers(1, 5))):
        states.append(draw(edits(states[-1])))
    return states


calls = st.builds(
    Call,
    caller=st.sampled_from([*USERS, *USERS, STRANGER, ""]),
    extension=extensions,
    outcall=st.sampled_from([*OUTCALLS, "", "unknown"]),
)
"""Questions, most of them by known callers."""

call_lists = st.lists(calls, min_size=1, max_size=12)
