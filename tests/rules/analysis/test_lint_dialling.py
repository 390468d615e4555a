"""What lint says about rules that what can be dialled gets round, or never comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loader.numbering import numbering_table
from pdp.rules.analysis.lint.dialling import dialled, unread
from pdp.rules.analysis.lint.emergency import denied_emergency
from pdp.rules.analysis.lint.finding import Mistake, Rank
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.analysis.lint.notation import counterparts, other_notations
from pdp.rules.analysis.lint.subject import Subject
from pdp.rules.analysis.proving import emergency_texts, rule_texts
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.rulings import Rulings
from pdp.rules.model import CallPermission, Dialling, Group, Mode, Tenant, User

ALICE = User("2c34c282-433e-4bb8-8d56-fec14ff7e1e9")
PERMISSION = CallPermission(1, "abroad", extensions=("_00.",), groups=("1",))
TENANT = Tenant(
    "54eb71f8-1f4b-4ae4-8730-638062fbe521",
    "acme",
    users=(ALICE,),
    groups=(Group("1", users=(ALICE.uuid,)),),
    call_permissions=(PERMISSION,),
)
FRENCH = replace(TENANT, dialling=Dialling("FR", "0", numbering_table("FR", "0")), emergency=("112", "15"))
FOLDED = replace(FRENCH, dialling=Dialling("", "", numbering_table("", "")))


def told(tenant: Tenant, *extensions: str, mode: Mode = Mode.DENY) -> list[Mistake]:
    """What is said about dialling in a tenant with one permission with these extensions."""
    permission = replace(PERMISSION, extensions=extensions, mode=mode)
    return checked(replace(tenant, call_permissions=(permission,)))


def checked(tenant: Tenant) -> list[Mistake]:
    """What the checks that are about dialling say, by patterns: all texts that can be dialled take a second."""
    texts = (*rule_texts(tenant), *counterparts(tenant).values())
    regions = Regions(texts, emergency=emergency_texts(tenant, ()))
    subject = Subject(Rulings(tenant, regions))
    return [mistake for check in (dialled, unread, denied_emergency, other_notations) for mistake in check(subject)]


def test_a_sound_tenant_is_not_spoken_of() -> None:
    """One that says how it dials, and rules as people dial there."""
    assert told(FRENCH, "_000.", "_00899.", "_2XXX", "_+33899.") == []


@pytest.mark.parametrize("extensions", [["_!"], ["_1X."], ["118", "15"]])
def test_a_permission_that_would_deny_an_emergency_number_is_told(extensions: list[str]) -> None:
    """It does not, and should not look as if it did."""
    (mistake,) = told(FRENCH, *extensions)
    assert (mistake.code, mistake.permissions) == ("emergency-number-denied", (1,))
    assert "would deny 1" in mistake.text
    assert told(FRENCH, *extensions, mode=Mode.ALLOW) == []


def test_a_permission_that_another_prevails_over_is_not_told() -> None:
    """What is allowed to everybody it denies, it does not deny."""
    deny = replace(PERMISSION, extensions=("_!",))
    allow = replace(PERMISSION, id=2, extensions=("112", "15"), mode=Mode.ALLOW)
    both = replace(FRENCH, call_permissions=(deny, allow))
    assert not [mistake for mistake in checked(both) if mistake.code == "emergency-number-denied"]
    alone = replace(deny, id=3, groups=(), users=(ALICE.uuid,))
    found = lint(replace(FRENCH, call_permissions=(deny, allow, alone)))
    assert [mistake.permissions for mistake in found if mistake.code == "emergency-number-denied"] == [(3,)]


def test_a_tenant_that_does_not_say_how_it_dials_is_told_what_gets_round_its_rules() -> None:
    """Once, with an example that does."""
    (found,) = [mistake for mistake in told(TENANT, "_00.", "118") if mistake.code == "dialling-not-said"]
    denies = 'permission 1 "abroad" denies _00., but not (00)1, which dials the same number'
    assert found.text == f"the tenant does not say how it dials: {denies}"
    assert told(TENANT, "_00.", mode=Mode.ALLOW) == []
    assert not told(TENANT, "_!")


@pytest.mark.parametrize(
    ("extension", "code", "said"),
    [
        ("_0899.", "outside-line-missing", "_0899. matches no number, since numbers are dialled behind"),
        ("0899123456", "outside-line-missing", "behind the outside line 0"),
        ("_8XXXXXXXX", "no-number", "_8XXXXXXXX matches no number as it is written where this tenant dials"),
        ("_+.", "own-country-not-meant", "_+. matches foreign numbers alone"),
        ("_00-1.", "needs-a-separator", "_00-1. matches nothing that can be dialled: separators are dropped"),
    ],
)
def test_a_pattern_that_matches_other_numbers_than_it_seems_to_is_told(extension: str, code: str, said: str) -> None:
    """A deny opens a line so; an allow keeps one shut, which is noticed."""
    (mistake,) = told(FRENCH, extension)
    assert (mistake.code, mistake.pattern, mistake.permissions) == (code, extension, (1,))
    assert said in mistake.text
    (allow,) = told(FRENCH, extension, mode=Mode.ALLOW)
    assert allow.rank is Rank.MEDIUM


@pytest.mark.parametrize("tenant", [FRENCH, FOLDED])
def test_a_pattern_that_matches_nothing_has_no_other_named_for_it(tenant: Tenant) -> None:
    """Nothing takes its extensions, and no other pattern covers it."""
    found = lint(replace(tenant, call_permissions=(replace(PERMISSION, extensions=("_00-1.",)),)))
    texts = {mistake.code: mistake.text for mistake in found}
    assert texts["never-decides"].endswith("decides no call; nothing that can be dialled matches its extensions")
    assert texts["pattern-covered"].endswith("nothing that can be dialled matches _00-1.")


def test_the_remedy_is_the_pattern_behind_the_line() -> None:
    """To be copied."""
    assert [told(FRENCH, text)[0].remedy for text in ("_0899.", "0899123456")] == ["write _00899.", "write 00899123456"]


def test_plus_beside_an_international_prefix_means_abroad() -> None:
    """So it is not asked whether the own country is meant."""
    assert told(FRENCH, "_000.", "_+.") == []
    assert len(told(FRENCH, "_00033.", "_+.")) == 1


def test_other_notations_are_one_where_the_country_is_said() -> None:
    """A deny of 00 then holds for + as well."""
    assert {mistake.code for mistake in told(replace(TENANT, emergency=("112",)), "_00.")} == {
        "dialling-not-said",
        "other-notation-open",
    }
    assert told(FRENCH, "_000.") == []


@pytest.mark.parametrize("text", ["0-1", "_0X-1.", "_1+2", "_[-]1", "_X[+].", "_0[*--][-]!"])
def test_a_pattern_that_needs_a_separator_is_told(text: str) -> None:
    """None is left when patterns are matched, and + is first or nowhere."""
    assert [mistake.code for mistake in told(FOLDED, text, mode=Mode.ALLOW)] == ["needs-a-separator"]


@pytest.mark.parametrize("text", ["_0[-1]2", "+1", "_+.", "_.", "_[+0]1", "118", "*21", "_X!X", "_0899."])
def test_a_pattern_that_does_without_a_separator_is_not_told(text: str) -> None:
    """Where it is one of several choices, another is left; and without a country nothing is known of numbers."""
    assert told(FOLDED, text, mode=Mode.ALLOW) == []


def test_a_disabled_permission_is_not_spoken_of() -> None:
    """It does nothing, so it does nothing wrong."""
    disabled = replace(PERMISSION, enabled=False, extensions=("_!", "_0899."))
    assert checked(replace(FRENCH, call_permissions=(disabled,))) == []
