"""Every fault of a document is reported at once, at its line, and keeps only its own tenant from being published."""

from __future__ import annotations

import json

import pytest

from loader.definitions.document import MOST_FAULTS, Checked, check_document
from loader.faults import Severity

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
GOOD = "54eb71f8-1f4b-4ae4-8730-638062fbe522"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
BOB = "5a1d3f5c-9f0b-4a7e-8c1d-2b3c4d5e6f70"
SECRET = "8642"

TEN_IN_YAML = f"""\
# ten faults, each on a line of its own
tenants:
  - uuid: {ACME}
    name: acme
    users:
      - uuid: {ALICE}
        call_permission_password: {SECRET}
      - uuid: not-a-uuid
      - uuid: {ALICE.upper()}
    groups:
      - id: 7
        name: sales
      - {{id: "8", name: support}}
    outcalls:
      - {{id: "3", name: world, colour: red}}
    call_permissions:
      - id: 12
        name: no-international
        mode: denied
        password: "{SECRET}x"
        extensions:
          - "_00."
          - "_[1-"
        groups:
          - "8"
          - support
      - id: 12
        name: again
  - uuid: {GOOD}
    name: good
"""
TEN_IN_JSON = f"""\
{{"tenants": [
  {{"uuid": "{ACME}",
   "name": "acme",
   "users": [
     {{"uuid": "{ALICE}",
      "call_permission_password": {SECRET}}},
     {{"uuid": "not-a-uuid"}},
     {{"uuid": "{ALICE.upper()}"}}],
   "groups": [
     {{"id": 7,
      "name": "sales"}},
     {{"id": "8", "name": "support"}}],
   "outcalls": [
     {{"id": "3", "name": "world", "colour": "red"}}],
   "call_permissions": [
     {{"id": 12,
      "name": "no-international",
      "mode": "denied",
      "password": "{SECRET}x",
      "extensions": [
        "_00.",
        "_[1-"],
      "groups": [
        "8",
        "support"]}},
     {{"id": 12,
      "name": "again"}}]}},
  {{"uuid": "{GOOD}", "name": "good"}}]}}
"""
TEN_PATHS = [
    "tenants[0].users[0].call_permission_password",
    "tenants[0].users[1].uuid",
    "tenants[0].users[2].uuid",
    "tenants[0].groups[0].id",
    "tenants[0].outcalls[0].colour",
    "tenants[0].call_permissions[0].mode",
    "tenants[0].call_permissions[0].password",
    "tenants[0].call_permissions[0].extensions[1]",
    "tenants[0].call_permissions[0].groups[1]",
    "tenants[0].call_permissions[1].id",
]


def errors(checked: Checked) -> list[str]:
    """The errors as a person reads them."""
    return [str(fault) for fault in checked.faults if fault.severity is Severity.ERROR]


def only(checked: Checked) -> str:
    """The only fault as a person reads it."""
    (fault,) = checked.faults
    return str(fault)


def yaml(text: str) -> Checked:
    """The text as a YAML file."""
    return check_document("f.yaml", text.encode())


def tenant(**parts: object) -> Checked:
    """A document of one tenant with these parts."""
    return check_document("f.json", json.dumps({"tenants": [{"uuid": ACME, "name": "acme", **parts}]}).encode())


def permission(**parts: object) -> Checked:
    """A document of one tenant with one user and one permission that has these parts."""
    whole = {"id": 1, "name": "p", "extensions": ["_X."], "users": [ALICE], **parts}
    return tenant(users=[{"uuid": ALICE}], groups=[{"id": "7", "name": "sales"}], call_permissions=[whole])


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        ("ten.yaml", TEN_IN_YAML, [7, 8, 9, 11, 15, 19, 20, 23, 26, 27]),
        ("ten.json", TEN_IN_JSON, [6, 7, 8, 10, 14, 18, 19, 22, 25, 26]),
    ],
)
def test_ten_different_faults_are_all_reported_with_their_lines(file: str, text: str, lines: list[int]) -> None:
    """None hides another, and the other tenant of the file goes on."""
    checked = check_document(file, text.encode())
    found = [fault for fault in checked.faults if fault.severity is Severity.ERROR]
    assert [(fault.path, fault.line) for fault in found] == list(zip(TEN_PATHS, lines, strict=True))
    assert {fault.tenant for fault in found} == {"acme"}
    assert [fault.permission for fault in found[5:]] == ["12 (no-international)"] * 4 + ["12 (again)"]
    assert [(entry.uuid, entry.tenant is not None) for entry in checked.entries] == [(ACME, False), (GOOD, True)]
    assert checked.complete


@pytest.mark.parametrize("text", [TEN_IN_YAML, TEN_IN_JSON])
def test_no_password_is_in_a_fault(text: str) -> None:
    """Neither one of the wrong type nor one of the wrong characters."""
    checked = check_document("f.yaml" if text is TEN_IN_YAML else "f.json", text.encode())
    assert SECRET not in repr(checked)


def test_a_fault_reads_as_one_line_that_tells_what_to_do() -> None:
    """File, line, tenant, permission, problem and remedy, in this order."""
    assert errors(yaml(TEN_IN_YAML))[7] == (
        "f.yaml:23: tenant acme, permission 12 (no-international): "
        "pattern '_[1-', character 2: '[' is never closed; add the ']' or remove the '['"
    )


@pytest.mark.parametrize(
    ("checked", "words"),
    [
        (tenant(users=[{"uuid": 7}]), "'users[0].uuid' must be text, but is a number; put quotes round it"),
        (tenant(groups=[{"id": True}]), "'groups[0].id' must be text, but is true or false; put quotes round it"),
        (tenant(groups=[{"id": ""}]), "an id cannot be empty"),
        (tenant(outcalls=[{"name": "x"}]), "'outcalls[0].id' is missing; add the key 'id'"),
        (tenant(outcalls="3"), "'outcalls' must be a list, but is text; write its members in brackets"),
        (tenant(groups=None), "'groups' must be a list, but is nothing (null); leave the key out"),
        (tenant(groups=["7"]), "'groups[0]' must be a mapping, but is text"),
        (tenant(groups=[{"id": "7"}, {"id": "7"}]), "group 7 is there already, as groups[0]"),
        (tenant(groups=[{"id": "7", "users": [ALICE]}]), f"there is no user '{ALICE}' in this tenant"),
        (tenant(users=[{"uuid": ALICE, "aliases": [BOB]}]), "an alias is a UUID"),
        (tenant(users=[{"uuid": ALICE, "aliases": [""]}]), "an alias cannot be sent as a caller"),
        (tenant(users=[{"uuid": ALICE, "aliases": ["a\nb"]}]), "write 1 to 128 printable characters"),
        (
            tenant(users=[{"uuid": ALICE, "aliases": ["x"]}, {"uuid": BOB, "aliases": ["x"]}]),
            f"'x' is another name of user {ALICE} already; give it to one of the two",
        ),
        (
            tenant(users=[{"uuid": ALICE, "id": 7}, {"uuid": BOB, "id": 7}]),
            f"'user:7' is another name of user {ALICE} already",
        ),
        (tenant(users=[{"uuid": ALICE, "id": 0}]), "the id of a user is out of range"),
        (tenant(users=[{"uuid": ALICE, "id": "7"}]), "'users[0].id' must be a whole number, but is text"),
        (tenant(name=None), "'name' must be text, but is nothing (null); leave it out"),
        (tenant(user=[]), "'user' is not known here; did you mean 'users'?"),
        (tenant(xyz=[]), "'xyz' is not known here; use one of uuid, name, users"),
        (permission(id="12"), "'call_permissions[0].id' must be a whole number, but is text; remove the quotes"),
        (permission(id=1.0), "must be a whole number, but is a number; write a number such as 12"),
        (permission(id=True), "must be a whole number, but is true or false"),
        (permission(id=0), "the id of a permission is out of range"),
        (permission(id=2**63), "the id of a permission is out of range"),
        (permission(enabled=1), "permission 1 (p): 'enabled' must be true or false, but is a number"),
        (permission(enabled="yes"), "write true or false, without quotes"),
        (permission(mode="Deny"), "'Deny' is no mode; write allow or deny"),
        (permission(password=""), "the password is empty"),
        (permission(password="1" * 41), "the password cannot be dialled"),
        (permission(extensions=[118]), "'extensions[0]' must be text, but is a number; put quotes round it"),
        (permission(extensions=["_"]), "pattern '_', character 1"),
        (permission(extensions={}), "'extensions' must be a list, but is a mapping"),
        (permission(groups=["sales"]), "there is no group 'sales' in this tenant; that is a name; write the id '7'"),
        (permission(groups=["77"]), "did you mean '7'?"),
        (permission(outcalls=["3"]), "there is no outcall '3' in this tenant; add it to the tenant's outcalls"),
        (permission(users=[ALICE[:-1]]), f"'{ALICE[:-1]}' is no UUID; write it as 8-4-4-4-12"),
        (permission(name="\ud800"), "the text holds half a character"),
        (tenant(**{"\ud800": 1}), "has a key with half a character"),
        (yaml("tenants: []\ntenents: []"), "'tenents' is not known here; did you mean 'tenants'?"),
        (yaml("tenants: [2024-01-01]"), "'tenants[0]' must be a mapping, but is a date"),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_format(checked: Checked, words: str) -> None:
    """And nothing of its tenant can be published."""
    assert words in only(checked)
    assert all(entry.tenant is None for entry in checked.entries)


@pytest.mark.parametrize(
    ("checked", "words"),
    [
        (permission(extensions=[]), "has no extensions, so it never applies"),
        (permission(users=[]), "belongs to no user, group or outcall"),
        (permission(mode="allow", password="1"), "allows, so its password is never asked for"),
        (permission(users=[ALICE, ALICE.upper()]), "is in the list already"),
        (permission(extensions=["_X.", "_X."]), "'_X.' is in the list already"),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(checked: Checked, words: str) -> None:
    """The tenant is there nevertheless."""
    assert words in only(checked)
    assert checked.faults[0].severity is Severity.WARNING
    assert checked.entries[0].tenant is not None


def test_a_user_may_have_other_names() -> None:
    """Its number is one of them; what stands twice is taken once."""
    (entry,) = tenant(users=[{"uuid": ALICE, "id": 42, "aliases": ["sip:a@b", "1001", "1001"]}]).entries

    assert entry.tenant is not None
    assert entry.tenant.users[0].aliases == ("user:42", "sip:a@b", "1001")


def test_what_stands_twice_in_a_list_is_taken_once() -> None:
    """Also where a UUID is written in both cases."""
    (entry,) = permission(users=[ALICE, ALICE.upper()], extensions=["1", "2", "1"]).entries
    assert entry.tenant is not None
    assert entry.tenant.call_permissions[0].users == (ALICE,)
    assert entry.tenant.call_permissions[0].extensions == ("1", "2")


TWICE_IN_YAML = f"""\
tenants:
- uuid: {ACME}
  call_permissions:
  - id: 1
    mode: deny
    mode: allow
"""
TWICE_IN_JSON = f"""\
{{"tenants": [{{"uuid": "{ACME}", "call_permissions": [
 {{"id": 1,
  "m\\u006fde": "deny",
  "extensions": ["1"],

  "mode": "allow"}}]}}]}}
"""


@pytest.mark.parametrize(("file", "text"), [("f.yaml", TWICE_IN_YAML), ("f.json", TWICE_IN_JSON)])
def test_a_key_that_is_there_twice_is_a_fault_at_its_second_place(file: str, text: str) -> None:
    """Most readers of YAML and JSON would take the last one without a word."""
    checked = check_document(file, text.encode())
    (found,) = [fault for fault in checked.faults if fault.severity is Severity.ERROR]
    assert (found.line, found.permission) == (6, "1")
    assert "the key 'mode' is there twice" in found.problem
    assert checked.entries[0].tenant is None


@pytest.mark.parametrize(
    "text",
    [
        '{"tenants": [], "tenants": [{}]}',
        '{"tenants": [{}, {"name": "a", "name": "b"}], "tenants": []}',
        '{"tenants": {"a": {"b": 1, "b": 2}}}',
    ],
)
def test_a_key_outside_the_tenants_that_is_there_twice_leaves_the_document_incomplete(text: str) -> None:
    """Nobody can tell which tenants were meant."""
    checked = check_document("f.json", text.encode())
    assert not checked.complete
    assert any("is there twice" in fault.problem for fault in checked.faults)


@pytest.mark.parametrize("uuid", [None, "", "x", 7])
def test_a_tenant_without_a_readable_uuid_leaves_the_document_incomplete(uuid: object) -> None:
    """It may be any tenant, so none may be taken for removed."""
    assert not check_document("f.json", json.dumps({"tenants": [{"uuid": uuid}]}).encode()).complete


def test_a_name_with_control_characters_breaks_no_line_of_a_log() -> None:
    """What people see of it is escaped."""
    assert "tenant a\\nb" in str(tenant(name="a\nb", groups=3).faults[0])


def test_many_unknown_references_are_reported_without_delay() -> None:
    """Similar ids are looked up for the first few only."""
    groups = [{"id": f"group-{number}"} for number in range(900)]
    unknown = [f"groups-{number}" for number in range(5_000)]
    checked = tenant(groups=groups, call_permissions=[{"id": 1, "extensions": ["1"], "groups": unknown}])
    assert len(errors(checked)) == MOST_FAULTS + 1
    assert "4,000 more faults are not told of" in " ".join(fault.problem for fault in checked.faults)


def test_a_feature_code_without_quotes_is_told_to_be_quoted() -> None:
    """A * begins an alias in YAML, and nobody who dials *21 knows that."""
    text = f"tenants:\n  - uuid: {ACME}\n    call_permissions:\n      - id: 1\n        extensions:\n          - *21\n"
    assert only(yaml(text)) == (
        "f.yaml:6: '*21' without quotes stands for a value marked '&21' before it, and none is complete there; "
        'put quotes round it, as in "*21"'
    )


def test_what_begins_with_a_hash_is_told_to_be_quoted() -> None:
    """It is a comment in YAML, so nothing is left."""
    text = f"tenants:\n  - uuid: {ACME}\n    call_permissions:\n      - id: 1\n        extensions:\n          - #31#\n"
    faults = [fault for fault in yaml(text).faults if fault.severity is Severity.ERROR]
    (fault,) = faults
    assert fault.remedy == "put quotes round it, since # begins a comment; or remove it"


@pytest.mark.parametrize("mode", ["no", "off", "true", "12"])
def test_a_mode_that_is_no_text_is_told_which_there_are(mode: str) -> None:
    """Quotes round it would be the next fault."""
    text = f"tenants:\n  - uuid: {ACME}\n    call_permissions:\n      - {{id: 1, mode: {mode}, extensions: ['1']}}\n"
    (fault,) = [fault for fault in yaml(text).faults if fault.severity is Severity.ERROR]
    assert fault.remedy == "write allow or deny"


def test_an_empty_list_of_tenants_is_told_how_to_be_written() -> None:
    """The key cannot be left out."""
    assert only(yaml("tenants:\n")) == "f.yaml:1: 'tenants' must be a list, but is nothing (null); write [] for none"


@pytest.mark.parametrize("groups", ["[sales]", '["8"]'])
def test_a_wrong_reference_is_one_fault_with_one_remedy(groups: str) -> None:
    """Not a warning besides, whose advice would remove the permission."""
    text = f"""\
tenants:
  - uuid: {ACME}
    groups: [{{id: "7", name: sales}}]
    call_permissions:
      - {{id: 1, extensions: ["1"], groups: {groups}}}
"""
    assert "there is no group" in only(yaml(text))
