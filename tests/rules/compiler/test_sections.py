"""Whole tenants, edited: the same bytes in the core and in Python, in whatever tables the edits reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strategies
from cores import built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.numbering import numbering_table
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.compiler.engine import make_sections, python_sections
from pdp.rules.model import CallPermission, Dialling, Group, Mode, Outcall, Revision, Tenant, User

if TYPE_CHECKING:
    from collections.abc import Sequence

USERS = tuple(f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(5))
NAMES = st.sampled_from(["", "sales", "ü" * 18, "ä name that is longer than a row has room for", "a" * 34])
PASSWORDS = st.none() | st.sampled_from(["4242", "*#"])
REVISION = Revision(1, "0" * 64)
PLAN = Dialling("FR", "0", numbering_table("FR", "0"))


def _some(of: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), max_size=4).map(tuple)


@st.composite
def tenants(draw: st.DrawFn) -> Tenant:
    """A tenant in which anything may come, change, go, or move, from one draw to the next."""
    uuids = draw(st.lists(st.sampled_from(USERS), min_size=1, unique=True))
    groups = draw(st.lists(st.sampled_from(["1", "2", "a group's long id"]), unique=True))
    outcalls = draw(st.lists(st.sampled_from(["1", "22", "an outcall's long id"]), unique=True))
    aliases = draw(st.permutations(["alice", "1001", "an alias that is longer than others"]))
    given_aliases = {uuid: tuple(aliases[:at]) if at < 3 else () for at, uuid in enumerate(uuids[:2], 1)}
    if len(uuids) > 1:
        given_aliases[uuids[1]] = tuple(aliases[1:])
    permissions = draw(st.lists(st.integers(1, 4) | st.just(2**64 - 1), unique=True, max_size=4))
    pool = [*draw(st.lists(strategies.patterns, max_size=2)), "_0X.", "911"]
    return Tenant(
        strategies.TENANT,
        users=tuple(
            User(uuid, draw(PASSWORDS), draw(NAMES), draw(st.sampled_from(["", "1001"])), given_aliases.get(uuid, ()))
            for uuid in uuids
        ),
        groups=tuple(Group(id_, draw(NAMES), draw(st.booleans()), draw(_some(uuids))) for id_ in groups),
        outcalls=tuple(Outcall(id_, draw(NAMES)) for id_ in outcalls),
        call_permissions=tuple(
            CallPermission(
                number,
                draw(NAMES),
                draw(st.sampled_from(Mode)),
                draw(PASSWORDS),
                draw(st.booleans()),
                draw(_some(pool)),
                draw(_some(uuids)),
                draw(_some(groups)) if groups else (),
                draw(_some(outcalls)) if outcalls else (),
            )
            for number in permissions
        ),
        dialling=draw(st.sampled_from([None, None, PLAN])),
    )


@built
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(tenants(), min_size=1, max_size=5), st.sampled_from([None, b"a deployment's key"]))
def test_whatever_an_edit_reaches_is_written_alike(states: list[Tenant], secret: bytes | None) -> None:
    """Names, aliases, PINs, groups, outcalls and dialling plans that come, change, move and go."""
    core, python = (Compiler(secret=secret, sections=sections) for sections in (make_sections, python_sections))
    for state in states:
        assert core.compile(state, REVISION, compiled_at=0.0) == python.compile(state, REVISION, compiled_at=0.0)


@built
def test_tables_of_many_keys_are_laid_out_alike() -> None:
    """Keys that crowd, keys that are longer than those before, and keys that go."""
    users = tuple(User(f"{7 * number:08x}-0000-4000-8000-000000000000") for number in range(1500))
    outcalls = tuple(Outcall(str(number) * (1 + number % 5)) for number in range(300))
    aliased = tuple(User(user.uuid, aliases=(f"alias {at}", f"a{at}")) for at, user in enumerate(users[::3]))
    core, python = (Compiler(sections=sections) for sections in (make_sections, python_sections))
    for state in (
        Tenant(strategies.TENANT, users=users[:900], outcalls=outcalls[:100]),
        Tenant(strategies.TENANT, users=users, outcalls=outcalls),
        Tenant(strategies.TENANT, users=aliased, outcalls=outcalls[50:200]),
        Tenant(strategies.TENANT, users=(*users[:50], *aliased[40:]), outcalls=outcalls[:7]),
    ):
        assert core.compile(state, REVISION, compiled_at=0.0) == python.compile(state, REVISION, compiled_at=0.0)
