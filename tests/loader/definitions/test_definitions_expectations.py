"""Expectations, names and descriptions in definitions: what they become, and every fault at its line."""

from __future__ import annotations

import pytest

from loader.definitions.document import check_document
from pdp.rules.model import Chosen, Decision, Expectation, Tenant, Who

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
GOOD = "{name: closed, who: everyone, dial: [_0900.], must: deny}"


def document(*expectations: str) -> str:
    """A tenant with these expectations, the first of them in line 11."""
    lines = "".join(f"      - {expectation}\n" for expectation in expectations)
    return f"""\
tenants:
  - uuid: {ACME}
    users:
      - {{uuid: {ALICE}, name: Alice Martin, extension: "201"}}
    groups:
      - {{id: "7", name: sales, users: [{ALICE}]}}
    outcalls:
      - {{id: "3", name: world}}
    call_permissions: []
    expectations:
{lines}"""


def tenant(text: str) -> Tenant:
    """The tenant of a document without faults."""
    (entry,) = (checked := check_document("f.yaml", text.encode())).entries
    assert checked.faults == ()
    assert entry.tenant is not None
    return entry.tenant


def only(text: str) -> str:
    """The only fault of a document."""
    (fault,) = check_document("f.yaml", text.encode()).faults
    return str(fault)


def test_names_and_descriptions_are_read() -> None:
    """People see them; rules do not."""
    text = document(GOOD).replace("call_permissions: []", 'call_permissions:\n      - {id: 1, extensions: ["1"], '
                                  "users: [" + ALICE + "], description: 'Because of the fair.'}")  # fmt: skip
    read = tenant(text)
    assert (read.users[0].name, read.users[0].extension) == ("Alice Martin", "201")
    assert read.call_permissions[0].description == "Because of the fair."


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("everyone", Who(Chosen.EVERYONE)),
        ("nobody_known", Who(Chosen.NOBODY_KNOWN)),
        (f'{{users: [{ALICE.upper()}], groups: ["7"]}}', Who(Chosen.LISTED, (ALICE,), ("7",))),
        ('{all_except: {groups: ["7"]}}', Who(Chosen.ALL_EXCEPT, (), ("7",))),
    ],
)
def test_an_expectation_says_whom_it_speaks_of(who: str, expected: Who) -> None:
    """In one of four ways."""
    read = tenant(document(f"{{name: n, who: {who}, dial: [_0., _1.], through: none, must: [deny, challenge]}}"))
    must = frozenset({Decision.DENY, Decision.CHALLENGE})
    assert read.expectations == (Expectation("n", expected, ("_0.", "_1."), must, ()),)


def test_through_and_enforce_have_defaults() -> None:
    """Any outcall and none; enforced."""
    any_, some = tenant(
        document(GOOD, '{name: n, who: everyone, dial: [_1], through: ["3"], must: deny, enforce: false}')
    ).expectations
    assert (any_.through, any_.enforce, some.through, some.enforce) == (None, True, ("3",), False)


@pytest.mark.parametrize(
    ("expectation", "fault"),
    [
        ("{who: everyone, dial: [_1], must: deny}", "'expectations[0].name' is missing"),
        ("{name: '', who: everyone, dial: [_1], must: deny}", "an expectation has an empty name"),
        ("{name: n, who: all, dial: [_1], must: deny}", "it is not said whom the expectation speaks of"),
        ("{name: n, who: {group: ['7']}, dial: [_1], must: deny}", "did you mean 'groups'?"),
        ("{name: n, who: {all_except: {}, users: []}, dial: [_1], must: deny}", "is not known here"),
        ("{name: n, who: {groups: [sales]}, dial: [_1], must: deny}", "that is a name; write the id '7'"),
        ("{name: n, who: {groups: [7]}, dial: [_1], must: deny}", "put quotes round it"),
        ("{name: n, who: {users: [bob]}, dial: [_1], must: deny}", "there is no user 'bob' in this tenant"),
        ("{name: n, who: everyone, dial: [], must: deny}", "an expectation speaks of no extension"),
        ("{name: n, who: everyone, dial: ['_1['], must: deny}", "'[' is never closed"),
        ("{name: n, who: everyone, dial: [_1], must: no}", "it is not said what must be decided"),
        ("{name: n, who: everyone, dial: [_1], must: []}", "it is not said what must be decided"),
        ("{name: n, who: everyone, dial: [_1], must: [allow, deny, challenge]}", "so it always holds"),
        ("{name: n, who: everyone, dial: [_1], through: all, must: deny}", "through which outcalls"),
        ("{name: n, who: everyone, dial: [_1], through: ['4'], must: deny}", "there is no outcall '4' in this tenant"),
    ],
)
def test_a_fault_names_its_line_and_says_what_to_do(expectation: str, fault: str) -> None:
    """An expectation that means nothing would never fail."""
    found = only(document(expectation))
    assert found.startswith("f.yaml:11: ")
    assert fault in found


def test_two_expectations_have_two_names() -> None:
    """Reports name them."""
    assert only(document(GOOD, GOOD)).startswith("f.yaml:12: ")
