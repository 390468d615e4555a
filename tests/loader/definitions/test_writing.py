"""Definitions as text read back as the same tenants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import GROUPS, OUTCALLS, USERS, patterns, tenants

from loader.definitions.document import check_document
from loader.definitions.reaching import dialling_of
from loader.definitions.shapes import DiallingShape
from loader.definitions.starting import TableError, starting_definitions
from loader.definitions.writing import definitions_text
from loader.faults import Severity
from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.lint.finding import Rank
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.analysis.proving import Prover
from pdp.rules.model import Chosen, Decision, Expectation, Ignored, Tenant, Who

ROOT = Path(__file__).parents[3]
UUID = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
texts = st.one_of(
    st.sampled_from(
        ["sales", "no", "null", "true", "7", "a: b", "- x", "# y", 'say "hi"', "a\\b", "a\nb", "\x1b[2J\x00\x85\u2028"]
    ),
    st.text(max_size=6).filter(lambda text: all(not "\ud800" <= each <= "\udfff" for each in text)),
)


@st.composite
def whole_tenants(draw: st.DrawFn) -> Tenant:
    """Tenants with something under every key."""
    tenant = draw(tenants())
    named = st.sampled_from([Who(), Who(Chosen.NOBODY_KNOWN), *(Who(each, USERS[:1], GROUPS[:2]) for each in _PEOPLE)])
    expectation = Expectation(
        draw(texts) or "e",
        draw(named),
        tuple(dict.fromkeys(draw(st.lists(patterns, min_size=1, max_size=2)))),
        frozenset(draw(st.lists(st.sampled_from(Decision), min_size=1, max_size=2))),
        draw(st.sampled_from([None, (), OUTCALLS])),
        draw(st.booleans()),
    )
    aliases = (f"user:{draw(st.integers(1, 2**63 - 1))}", "user:007", "sip:a@b")
    first = replace(tenant.users[0], name=draw(texts), extension=draw(texts), aliases=aliases)
    rules = tenant.call_permissions
    rules = tuple(
        replace(rule, name=draw(texts), description=draw(texts), extensions=tuple(dict.fromkeys(rule.extensions)))
        for rule in rules
    )
    return replace(
        tenant,
        name=draw(texts),
        users=(first, *tenant.users[1:]),
        call_permissions=rules,
        expectations=(expectation,),
        lint=(
            Ignored("short-pin", "Meant.\n", tuple(rule.id for rule in rules)),
            Ignored("no-pattern", draw(texts) + "!"),
        ),
        emergency=draw(st.sampled_from([(), ("112", "15")])),
        dialling=draw(st.sampled_from([None, *map(dialling_of, _DIALLING)])),
    )


_DIALLING = (DiallingShape(), DiallingShape(country="FR"), DiallingShape(country="FR", outside_line="0"))
_PEOPLE = (Chosen.LISTED, Chosen.ALL_EXCEPT)


@settings(max_examples=30, deadline=None)
@given(whole_tenants())
def test_what_is_written_reads_back_as_the_same(tenant: Tenant) -> None:
    """Whatever stands in names: no text becomes a number, a key or a comment."""
    checked = check_document("f.yaml", definitions_text((tenant,), ("A heading", "")).encode())
    assert not [str(fault) for fault in checked.faults if fault.severity is Severity.ERROR]
    assert [entry.tenant for entry in checked.entries] == [tenant]


def test_no_tenants_are_definitions_too() -> None:
    """A source may be empty."""
    assert check_document("f.yaml", definitions_text(()).encode()).faults == ()


TABLE = """Name, Extension, UUID, Groups, Department
Ada Ober, 201, 2c34c282-433e-4bb8-8d56-fec14ff7e1e9, sales; managers, x
"O'Neil, Bob", 202,, sales,
Zoë,,,,
"""


def test_the_first_definitions_hold_what_they_expect_and_have_no_mistake() -> None:
    """In countries with and without a national prefix and premium numbers."""
    for country, line in (("FR", ""), ("ES", ""), ("VU", "")):
        text = starting_definitions(TABLE, "acme: GmbH", UUID, country, line)
        checked = check_document("f.yaml", text.encode())
        assert checked.faults == ()
        (tenant,) = (entry.tenant for entry in checked.entries)
        assert tenant is not None
        assert [proof.truth for proof in Prover().prove(tenant)] == [Truth.HOLDS] * len(tenant.expectations)
        assert not [mistake for mistake in lint(tenant) if mistake.rank <= Rank.HIGH]
        assert [user.name for user in tenant.users] == ["Ada Ober", "O'Neil, Bob", "Zoë"]
        assert [(group.name, len(group.users)) for group in tenant.groups] == [("sales", 2), ("managers", 1)]
        assert text == starting_definitions(TABLE, "acme: GmbH", UUID, country, line)  # and what is made up stays


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            "name,extension,uuid\nA,1,x\nB,2,\nC,2,\n",
            ["line 2: 'x' is no UUID", "line 4: the extension 2 is that of line 3 already"],
        ),
        ("", ["line 1: there is neither a column name nor extension"]),
        ("surname\nx\n", ["line 1: there is neither a column name nor extension"]),
        ("name\n", ["there are no users in it"]),
    ],
)
def test_every_fault_of_a_table_is_told_at_its_line(table: str, words: list[str]) -> None:
    """All at once."""
    with pytest.raises(TableError) as caught:
        starting_definitions(table, "acme", UUID, "FR", "")
    assert [fault.split(";")[0] for fault in caught.value.faults] == words
