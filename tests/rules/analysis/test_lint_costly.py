"""Numbers that cost more than others, and that nothing speaks of."""

from __future__ import annotations

from dataclasses import replace

from loader.definitions.reaching import dialling_of
from loader.definitions.shapes import DiallingShape
from loader.numbering import cost_ranges
from pdp.rules.analysis.lint.finding import Mistake, Rank
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.model import CallPermission, Group, Outcall, Tenant, User

ADA, BOB = (f"0000000{number}-aaaa-4bbb-8ccc-dddddddddddd" for number in range(2))
RANGES = cost_ranges("FR", "")
OPEN = Tenant(
    "54eb71f8-1f4b-4ae4-8730-638062fbe521",
    users=(User(ADA), User(BOB)),
    groups=(Group("7", users=(ADA,)),),
    outcalls=(Outcall("1", "national"), Outcall("2", "world")),
    emergency=("112",),
    dialling=dialling_of(DiallingShape(country="FR")),
)


def found(*permissions: CallPermission, tenant: Tenant = OPEN) -> list[Mistake]:
    """The ranges that are open."""
    mistakes = lint(replace(tenant, call_permissions=permissions), ranges=RANGES)
    return [mistake for mistake in mistakes if mistake.code == "costly-range-open"]


def kinds(*permissions: CallPermission) -> list[str]:
    """The kinds that are open."""
    return [mistake.text.split(" numbers")[0].split()[-1] for mistake in found(*permissions)]


def deny(id_: int, *kinds: str, outcalls: tuple[str, ...] = ("1", "2")) -> CallPermission:
    """A deny of whole ranges at outcalls."""
    patterns = tuple(dict.fromkeys(text for kind in kinds for text in RANGES[kind]))
    return CallPermission(id_, extensions=patterns, outcalls=outcalls)


def test_what_nothing_speaks_of_is_told_once_a_kind() -> None:
    """Satellites are abroad, so they are not told besides."""
    premium, abroad = found()
    assert (premium.rank, abroad.rank) == (Rank.MEDIUM, Rank.LOW)
    assert premium.text.startswith("no permission speaks of premium numbers (_08[3569]., _081[2-9]., ")
    assert premium.call is not None
    assert premium.call.extension.startswith("08")
    assert "through national → ALLOW" in abroad.text


def test_what_is_denied_or_allowed_is_meant() -> None:
    """At every outcall, for every caller."""
    assert not found(deny(1, "premium", "international"))
    allow = CallPermission(3, mode=CallPermission(1).mode.ALLOW, extensions=("_!",), outcalls=("1", "2"))
    assert not found(allow)
    (other,) = found(deny(1, "premium"), deny(2, "international", outcalls=("1",)))
    assert "international" in other.text
    assert "through world" in other.text


def test_a_part_of_the_premium_numbers_is_told_and_some_countries_are_not() -> None:
    """Who denies some countries means to allow the others."""
    part = CallPermission(1, extensions=("_089.",), outcalls=("1", "2"))
    assert [mistake.text.split(" numbers")[0].split()[-1] for mistake in found(part, deny(2, "international"))] == [
        "premium"
    ]
    some = CallPermission(2, extensions=("_0044.",), outcalls=("1", "2"))
    assert [mistake.text.split(" numbers")[0].split()[-1] for mistake in found(deny(1, "premium"), some)] == [
        "satellite"
    ]


def test_a_tenant_without_outcalls_calls_nobody_outside() -> None:
    """And without a country nothing is known."""
    assert not found(tenant=replace(OPEN, outcalls=()))
    assert not [mistake for mistake in lint(OPEN) if mistake.code == "costly-range-open"]
