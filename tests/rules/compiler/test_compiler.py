"""The compiler: its memory from one edit to the next, its budget, and what it shares."""

from __future__ import annotations

import itertools
import random
import string
from dataclasses import replace
from typing import TYPE_CHECKING

import oracle
import pytest
import strategies
from bench.workload import make_workload, sample_extension

from pdp.rules.compiler.automata import Limits
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.errors import PatternError
from pdp.rules.model import CallPermission, Group, Mode, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.blob import Section, unseal
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strategies import Call

    from pdp.rules.snapshot.snapshot import Snapshot

REVISION = Revision(1, "0" * 64)
ALICE, BOB, CAROL, DAVE = strategies.USERS


def compiled(compiler: Compiler, tenant: Tenant) -> Snapshot:
    """The snapshot of a tenant."""
    return decode(compiler.compile(tenant, REVISION, compiled_at=0.0))


def size_of(blob: bytes, section: Section) -> int:
    """Bytes of a section."""
    return len(unseal(blob)[section].view)


def agree(tenant: Tenant, snapshot: Snapshot, calls: Sequence[Call] | Sequence[tuple[str, str, str]]) -> None:
    """The snapshot answers as the oracle does."""
    for call in calls:
        assert snapshot.decide(*call)[:2] == oracle.decide(tenant, *call)[:2], call


def tenant_of(*permissions: CallPermission, groups: tuple[Group, ...] = ()) -> Tenant:
    """A tenant with the usual users and outcalls."""
    users = tuple(User(uuid) for uuid in strategies.USERS)
    outcalls = tuple(Outcall(id_) for id_ in strategies.OUTCALLS)
    return Tenant(strategies.TENANT, "", users, groups, outcalls, permissions)


def test_a_tenant_without_anything_compiles() -> None:
    """Everybody may call everything."""
    snapshot = compiled(Compiler(), Tenant(strategies.TENANT))
    assert snapshot.decide(ALICE, "1", "1").permission_id is None
    assert list(snapshot.callers()) == []


def test_the_largest_id_and_the_longest_name_are_kept() -> None:
    """Ids have 63 bits, names are anything."""
    name = "\N{PILE OF POO}" * 1000
    rule = CallPermission(2**63 - 1, name, extensions=("1",), users=(ALICE,))
    verdict = compiled(Compiler(), tenant_of(rule)).decide(ALICE, "1", "")
    assert (verdict.permission_id, verdict.permission_name) == (2**63 - 1, name)


def test_among_equals_the_highest_id_is_named() -> None:
    """In every stage, for every decision."""
    rules = [CallPermission(number, extensions=("_X.",), users=(ALICE,)) for number in (3, 20, 100)]
    for mode in Mode:
        for password in (None, "1"):
            snapshot = compiled(Compiler(), tenant_of(*(replace(rule, mode=mode, password=password) for rule in rules)))
            assert snapshot.decide(ALICE, "11", "").permission_id == 100


def test_an_association_that_is_there_twice_counts_once() -> None:
    """Loaders drop such doubles; the compiler does not depend on it."""
    rule = CallPermission(1, extensions=("1",), users=(ALICE, ALICE), groups=("7", "7"))
    group = Group("7", users=(BOB, BOB))
    compiler = Compiler()
    for tenant in (tenant_of(rule, groups=(group,)), tenant_of(groups=(group,)), tenant_of(rule, groups=(group,))):
        agree(tenant, compiled(compiler, tenant), [(ALICE, "1", ""), (BOB, "1", "")])


def test_equal_sets_of_permissions_share_their_automaton() -> None:
    """A thousand members of a group cost what one costs."""
    users = [f"{number:08}-aaaa-4bbb-8ccc-dddddddddddd" for number in range(1000)]
    rules = tuple(CallPermission(n, extensions=(f"_{n}X[1-5].",), groups=("7",)) for n in range(1, 50))
    sizes = [
        size_of(
            Compiler().compile(
                Tenant(
                    strategies.TENANT,
                    users=tuple(map(User, members)),
                    groups=(Group("7", users=tuple(members)),),
                    call_permissions=rules,
                ),
                REVISION,
                compiled_at=0.0,
            ),
            Section.BLOCKS,
        )
        for members in (users[:1], users)
    ]
    assert sizes[0] == sizes[1]


def test_a_bad_pattern_leaves_the_compiler_as_it_was() -> None:
    """The next good state compiles, and to the right answers."""
    compiler = Compiler()
    good = tenant_of(CallPermission(1, extensions=("_0.",), users=(ALICE,)))
    compiled(compiler, good)
    with pytest.raises(PatternError):
        compiled(compiler, tenant_of(CallPermission(1, extensions=("_1.", "_[1-"), users=(BOB,))))
    agree(good, compiled(compiler, good), [(ALICE, "01", ""), (BOB, "11", "")])


def test_an_interrupted_compilation_leaves_nothing_behind() -> None:
    """Whoever presses Ctrl-C in it may compile again."""

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    compiler = Compiler()
    first = tenant_of(CallPermission(1, extensions=("_0.",), users=(ALICE,)))
    second = tenant_of(CallPermission(1, extensions=("_1.",), users=(ALICE, BOB)))
    compiled(compiler, first)
    with pytest.raises(KeyboardInterrupt):
        compiler.compile(second, REVISION, compiled_at=0.0, progress=interrupt)
    for tenant in (second, first):
        agree(tenant, compiled(compiler, tenant), [(ALICE, "01", ""), (ALICE, "11", ""), (BOB, "11", "")])


def test_progress_ends_with_everything_done() -> None:
    """For the bar of a long compilation; of an edit it counts those whom the edit touches."""
    seen: list[tuple[int, int]] = []
    compiler = Compiler()
    rule = CallPermission(1, extensions=("_0.",), users=(ALICE,))
    for tenant in (tenant_of(rule), tenant_of(replace(rule, users=(ALICE, BOB)))):
        compiler.compile(tenant, REVISION, compiled_at=0.0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 4), (4, 4), (0, 1), (1, 1)]


def test_a_range_beyond_the_dial_pad_may_come_later() -> None:
    """It needs a wider alphabet, so the compiler starts afresh; and may go again."""
    plain = tenant_of(CallPermission(1, extensions=("_X.",), users=(ALICE,)))
    wide = tenant_of(CallPermission(1, extensions=("_[#-9].",), users=(ALICE,)))
    compiler = Compiler()
    for tenant in (plain, wide, plain, wide):
        agree(tenant, compiled(compiler, tenant), [(ALICE, extension, "") for extension in ("11", "$1", "/1", "a1")])


def test_another_tenant_starts_afresh() -> None:
    """Nothing of one tenant gets into the snapshot of another."""
    compiler = Compiler()
    compiled(compiler, tenant_of(CallPermission(1, "first", extensions=("_0.",), users=(ALICE,))))
    other = replace(tenant_of(), uuid=strategies.STRANGER)
    blob = compiler.compile(other, REVISION, compiled_at=0.0)
    assert b"first" not in blob
    agree(other, decode(blob), [(ALICE, "01", "")])


EDITED = tenant_of(
    CallPermission(1, "user", extensions=("_1!",), users=(ALICE,)),
    CallPermission(2, "group", extensions=("_2!",), groups=("7",)),
    CallPermission(3, "outcall", extensions=("_3!",), outcalls=(strategies.OUTCALLS[0],)),
    groups=(Group("7", "a group", users=(ALICE, BOB)), Group("8", "another", users=(BOB,))),
)
"""A tenant in which each stage decides something."""


_USER, _GROUP, _OUTCALL = EDITED.call_permissions
_FIRST, _SECOND = EDITED.groups
EDITS: dict[str, Tenant] = {
    "group disabled": replace(EDITED, groups=(replace(_FIRST, enabled=False), _SECOND)),
    "group renamed": replace(EDITED, groups=(replace(_FIRST, name="b"), _SECOND)),
    "member left": replace(EDITED, groups=(replace(_FIRST, users=(BOB,)), _SECOND)),
    "member joined": replace(EDITED, groups=(replace(_FIRST, users=(ALICE, BOB, CAROL)), _SECOND)),
    "group gone": replace(EDITED, groups=(_SECOND,)),
    "permission moved to another group": replace(
        EDITED, call_permissions=(_USER, replace(_GROUP, groups=("8",)), _OUTCALL)
    ),
    "permission disabled": replace(EDITED, call_permissions=(_USER, replace(_GROUP, enabled=False), _OUTCALL)),
    "mode": replace(EDITED, call_permissions=(replace(_USER, mode=Mode.ALLOW), _GROUP, _OUTCALL)),
    "pattern": replace(EDITED, call_permissions=(replace(_USER, extensions=("_4!",)), _GROUP, _OUTCALL)),
    "no pattern": replace(EDITED, call_permissions=(replace(_USER, extensions=()), _GROUP, _OUTCALL)),
    "user left": replace(EDITED, call_permissions=(replace(_USER, users=(CAROL,)), _GROUP, _OUTCALL)),
    "outcall left": replace(EDITED, call_permissions=(_USER, _GROUP, replace(_OUTCALL, outcalls=()))),
    "outcall gone": replace(
        EDITED, outcalls=EDITED.outcalls[1:], call_permissions=(_USER, _GROUP, replace(_OUTCALL, outcalls=()))
    ),
    "permission gone": replace(EDITED, call_permissions=(_GROUP, _OUTCALL)),
}
"""Tenants in which one thing of ``EDITED`` is changed."""


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_of_one_thing_reaches_all_whom_it_concerns_and_so_does_its_end(kind: str) -> None:
    """With a compiler that remembers what was there before."""
    calls = [
        (caller, extension, outcall)
        for caller in (ALICE, BOB, CAROL)
        for extension in ("11", "21", "31", "41")
        for outcall in ("", strategies.OUTCALLS[0])
    ]
    compiler = Compiler()
    for tenant in (EDITED, EDITS[kind], EDITED):
        agree(tenant, compiled(compiler, tenant), calls)


def test_an_edit_writes_little() -> None:
    """Work in proportion to what changed: the tables grow by what one permission needs."""
    tenant = make_workload(2000, calls=1).tenant
    compiler = Compiler()
    before = unseal(compiler.compile(tenant, REVISION, compiled_at=0.0))
    rules = list(tenant.call_permissions)
    rules[7] = replace(rules[7], extensions=("_0049[1-5]X.",))
    after = unseal(compiler.compile(replace(tenant, call_permissions=tuple(rules)), REVISION, compiled_at=0.0))
    for section in Section:
        assert len(after[section].view) - len(before[section].view) < 4096, section


def test_many_edits_leave_no_growing_rubbish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader runs for months; what edits leave behind goes when it may be as much as what is in use."""
    monkeypatch.setattr("pdp.rules.compiler.compiler._GARBAGE_FLOOR", 50_000)
    rng = random.Random(1)
    tenant = make_workload(100, calls=1).tenant
    compiler = Compiler()
    sizes: list[int] = []
    for _ in range(500):
        rules = list(tenant.call_permissions)
        number = rng.randrange(len(rules))
        text = "_" + "".join(rng.choices(string.digits, k=8)) + "X[1-5]X."
        rules[number] = replace(rules[number], extensions=(text, f"{text}5"), name=f"n{rng.random()}")
        tenant = replace(tenant, call_permissions=tuple(rules))
        sizes.append(len(compiler.compile(tenant, REVISION, compiled_at=0.0)))
    assert max(sizes) < 300_000
    assert sum(after < before for before, after in itertools.pairwise(sizes)) >= 2
    agree(tenant, decode(compiler.compile(tenant, REVISION, compiled_at=0.0)), _calls(tenant, rng, 50))


def _calls(tenant: Tenant, rng: random.Random, count: int) -> list[tuple[str, str, str]]:
    rules = [rule for rule in tenant.call_permissions if rule.users and rule.extensions]
    picked = [rng.choice(rules) for _ in range(count)]
    return [(rng.choice(rule.users), sample_extension(rng.choice(rule.extensions), rng), "") for rule in picked]


@pytest.mark.parametrize("kind", ["classes", "stars", "prefixes"])
def test_a_permission_of_a_thousand_hard_patterns_stays_within_the_budget(kind: str) -> None:
    """Determinised, some of these would have more states than memory has bytes; the answers stay right."""
    rng = random.Random(7)
    texts = [_hard(kind, rng) for _ in range(1000)]
    rule = CallPermission(1, extensions=tuple(texts), users=(ALICE,))
    tenant = tenant_of(rule)
    limits = Limits()
    blob = Compiler(limits=limits).compile(tenant, REVISION, compiled_at=0.0)
    assert size_of(blob, Section.BLOCKS) <= (limits.rows + 1) * (21 + 4 * 20 + 3)
    calls = [(ALICE, "".join(rng.choices("0123456789", k=rng.randint(1, 20))), "") for _ in range(40)]
    calls += [(ALICE, sample_extension(rng.choice(texts), rng), "") for _ in range(40)]
    agree(tenant, decode(blob), calls)


def _hard(kind: str, rng: random.Random) -> str:
    digits = "".join(rng.choices(string.digits, k=3))
    if kind == "stars":
        return f"_!{digits}!{rng.choice(string.digits)}X"
    if kind == "prefixes":
        return f"_X!{digits}."
    return "_" + "".join(rng.choice(["X", "N", "[2-5]", "[07-9]", rng.choice(string.digits)]) for _ in range(9))


def test_a_permission_of_very_many_numbers_needs_no_fallback() -> None:
    """A blacklist: the budget grows with the patterns, and literals need little of it."""
    rng = random.Random(3)
    texts = tuple({"".join(rng.choices(string.digits, k=rng.randint(3, 13))) for _ in range(10_000)})
    blob = Compiler().compile(tenant_of(CallPermission(1, extensions=texts, users=(ALICE,))), REVISION, compiled_at=0.0)
    assert size_of(blob, Section.WIDE) == size_of(blob, Section.LEAVES) == 0
    snapshot = decode(blob)
    assert all(snapshot.match(ALICE, text, "") for text in texts[:500])
    assert not any(snapshot.match(ALICE, f"{text}77", "") for text in texts[:500] if f"{text}77" not in texts)


@pytest.mark.parametrize("limits", strategies.LIMITS, ids=repr)
def test_a_workload_like_the_benchmarks_is_answered_right(limits: Limits) -> None:
    """What is measured is also correct."""
    workload = make_workload(300, calls=400)
    agree(workload.tenant, compiled(Compiler(limits=limits), workload.tenant), workload.calls)
