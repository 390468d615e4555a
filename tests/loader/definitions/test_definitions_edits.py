"""A document that is followed through edits says what it would say if it were read for the first time."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from edited_texts import (
    ACME,
    FORMS,
    KEYS,
    MANY,
    MEMBERS,
    NEW,
    STEPS,
    Form,
    definitions,
    members_changed,
    permission,
    texts_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.definitions.document import FollowedDocument, check_document
from loader.definitions.following.held import HeldText
from loader.definitions.text import json as json_text
from loader.definitions.text import yaml as yaml_text
from loader.definitions.text.locate import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.model import Tenant


def shared(one: Tenant, other: Tenant, key: str) -> int:
    """How many members of a list are the very same objects in both."""
    return len({id(member) for member in getattr(one, key)} & {id(member) for member in getattr(other, key)})


def tenant_of(document: FollowedDocument, data: bytes) -> Tenant:
    """The only tenant, which is without errors; and what was said of the document is what a fresh reading says."""
    checked = document.check(data)
    assert checked == check_document("f.json" if data[:1] == b"{" else "f.yaml", data)
    (entry,) = checked.entries
    assert entry.tenant is not None
    return entry.tenant


def swap_two(tenant: dict[str, list[Any]]) -> None:
    """Two permissions that stand behind each other change places."""
    members = tenant["call_permissions"]
    members[6:8] = members[7], members[6]


def add_a_user_with_a_permission(tenant: dict[str, list[Any]]) -> None:
    """An edit in two lists."""
    tenant["users"].append({"uuid": ACME})
    tenant["call_permissions"].insert(3, permission(77, users=[ACME]))


def add_to_every_list(tenant: dict[str, list[Any]]) -> None:
    """An edit in all lists."""
    for key in KEYS:
        tenant[key].insert(1, deepcopy(NEW[key]))


EDITS: dict[str, Callable[[dict[str, list[Any]]], object]] = {
    "a permission changes": lambda tenant: tenant["call_permissions"][20].update(extensions=["118"]),
    "a permission gets a longer name": lambda tenant: tenant["call_permissions"][5].update(name="größer als sonst"),
    "the first permission changes": lambda tenant: tenant["call_permissions"][0].update(name="Ä"),
    "the last permission changes": lambda tenant: tenant["call_permissions"][-1].update(name="z"),
    "a permission is added in between": lambda tenant: tenant["call_permissions"].insert(20, permission(77)),
    "a permission is added before all": lambda tenant: tenant["call_permissions"].insert(0, permission(77)),
    "a permission is added behind all": lambda tenant: tenant["call_permissions"].append(permission(77)),
    "a permission is removed": lambda tenant: tenant["call_permissions"].pop(20),
    "the first permission is removed": lambda tenant: tenant["call_permissions"].pop(0),
    "the last permission is removed": lambda tenant: tenant["call_permissions"].pop(),
    "two permissions are swapped": swap_two,
    "a user and a permission of theirs are added": add_a_user_with_a_permission,
    "every list changes": add_to_every_list,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_what_an_edit_does_not_touch_is_not_made_again(edit: Callable[[Any], object], form: Form) -> None:
    """Its users, groups, outcalls and permissions are the very same objects, but for neighbours of the edit."""
    file, write = form
    before = definitions()
    after = deepcopy(before)
    edit(after["tenants"][0])
    document = FollowedDocument(file)
    for one, other in ((before, after), (after, before)):
        old = tenant_of(document, write(one).encode())
        new = tenant_of(document, write(other).encode())
        for key in KEYS:
            assert shared(old, new, key) >= min(len(getattr(old, key)), len(getattr(new, key))) - 2


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_an_edit_is_followed_over_a_state_that_cannot_be_read(form: Form) -> None:
    """Somebody saves half of a file and then all of it: what did not change is still not made again."""
    file, write = form
    text = write(definitions())
    document = FollowedDocument(file)
    old = tenant_of(document, text.encode())
    assert not document.check(text[: len(text) // 2].encode() + b"\n]}{").complete
    new = tenant_of(document, text.replace("_0020.", "_0021.").encode())
    assert shared(old, new, "call_permissions") == MANY - 1


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_what_refers_to_something_removed_is_checked_again(form: Form) -> None:
    """Although not a byte of it changed; and it is well again when that is there again."""
    file, write = form
    whole = definitions()
    lacking = deepcopy(whole)
    lacking["tenants"][0]["users"].pop(3)
    document = FollowedDocument(file)
    old = tenant_of(document, write(whole).encode())
    checked = document.check(write(lacking).encode())
    assert checked == check_document(file, write(lacking).encode())
    problems = [fault.problem for fault in checked.faults if "there is no user" in fault.problem]
    assert len(problems) == MANY // 10 + 1
    new = tenant_of(document, write(whole).encode())
    assert new == old
    assert shared(old, new, "call_permissions") == MANY - MANY // 10


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_warning_moves_with_its_permission(form: Form) -> None:
    """Path and line are those of the new place."""
    file, write = form
    value = definitions()
    document = FollowedDocument(file)
    first = document.check(write(value).encode()).faults
    value["tenants"][0]["call_permissions"].insert(0, permission(77))
    later = document.check(write(value).encode()).faults
    assert len(first) == len(later) == MANY // 7
    places = range(7, MANY + 1, 7)
    assert {fault.path for fault in later} == {f"tenants[0].call_permissions[{place}]" for place in places}
    assert later == check_document(file, write(value).encode()).faults


OPENING = """\
tenants:
  - uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe521
    call_permissions:
      - id: 1
        extensions: ["1"]
      - id: 2
        name: two
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OPENING, OPENING.replace("two", "|+\n          two\n\n")),
        (OPENING, OPENING.replace("      - id: 2", "\n      - id: 2")),
        (OPENING.replace('["1"]', "[\n'1'\n]"), OPENING.replace('["1"]', "[\n'2'\n]")),
        (OPENING, OPENING.replace("      - id: 2", "        - id: 2")),
        (OPENING, OPENING.replace("      - id: 2", "        name: >-\n         one\n      - id: 2")),
        (OPENING, OPENING.replace("      - id: 2", "    # remark\n      - id: 2")),
        (OPENING, OPENING.replace('"1"', '&a "1"').replace("two", "*a")),
        (OPENING.replace("two", "&a two"), OPENING.replace("two", "&a two").replace("1", "*a")),
        (OPENING.rstrip("\n"), OPENING.rstrip("\n") + "      - id: 3\n"),
        (OPENING.rstrip("\n"), OPENING + "      - id: 3\n        name: |+\n\n"),
        (OPENING, OPENING + "  - uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe522\n"),
        (OPENING + "  -\n    uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe522\n", OPENING + "    uuid: x\n"),
        (OPENING, OPENING.replace("\n", "\r\n")),
        (OPENING.replace("\n", "\r\n"), OPENING.replace("two", "three").replace("\n", "\r\n")),
        (OPENING, OPENING.replace("two", "'two\u2028      - id: 3'")),
        (OPENING, OPENING.replace("two", "'two\n      - id: 3'")),
        (OPENING, OPENING + "...\n"),
        ("%TAG ! tag:example.com,2000:\n---\n" + OPENING, "%TAG ! tag:example.com,2000:\n---\n" + OPENING + " # x"),
        (OPENING, OPENING.replace("two", "!!str 2")),
        (OPENING, OPENING.replace("two", "[" * 70 + "]" * 70)),
        (OPENING, OPENING.replace("name: two", "id: 3")),
    ],
)
def test_an_edit_of_yaml_means_what_it_means_to_a_fresh_reading(before: str, after: str) -> None:
    """Also where lines look like members and are none, or the other way round."""
    for one, other in ((before, after), (after, before)):
        document = FollowedDocument("f.yaml")
        document.check(one.encode())
        for text in (other, one, other):
            assert document.check(text.encode()) == check_document("f.yaml", text.encode())


def test_the_lines_of_what_did_not_change_move_with_the_blanks_before_it() -> None:
    """The comma and what is around it belong to no permission."""
    before = f'{{"tenants": [{{"uuid": "{ACME}", "call_permissions": [{{"id": 1}}, {{"id": 2}}, {{"id": 3}}]}}]}}'
    document = FollowedDocument("f.json")
    for text in (before, before.replace(', {"id": 2}', '\n\n, {"id": 2}'), before.replace(' {"id": 2}', '\n{"id": 2}')):
        assert document.check(text.encode()) == check_document("f.json", text.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[]", '[{"id": 1}]'),
        ("[1]", "[12]"),
        ("[1]", "[1 2]"),
        ('[{"id": 1}]', '[1 {"id": 1}]'),
        ('[{"id": 1}]', '[, {"id": 1}]'),
        ('[{"id": 1}, {"id": 2}]', '[, {"id": 2}]'),
        ('[{"id": 1}, {"id": 2}]', '[{"id": 1}, ]'),
        ('[{"id": 1}]', '[{"id": 1, "id": 2}]'),
        ('[{"id": 1}]', '[{"id": 1}], "groups": [{"id": "1"}'),
        ('[{"id": 1}]', '[{"id": 1}], "call_permissions": [{"id": 2}'),
        ('[{"id": 1}, {"id": 2, "name": "ä"}]', '[{"id": 1, "name": "\U0001f4de"}, {"id": 2, "name": "ä"}]'),
        ('[{"id": 1}]', '[{"id": 1}, {"id": ' + "9" * 5_000 + "}]"),
        ('[{"id": 1}]', '[{"id": 1}, {"id": ' + "[" * 70 + "]" * 70 + "}]"),
        ('[{"id": 1}]', '[{"id": 1},\n\n' + "[" * 5_000 + "]" * 5_000 + "]"),
    ],
)  # fmt: skip
def test_an_edit_of_json_means_what_it_means_to_a_fresh_reading(before: str, after: str) -> None:
    """Also where a comma or a bracket is missing, or one too many."""
    one, other = (
        f'{{"tenants": [{{"uuid": "{ACME}", "call_permissions": {text}}}]}}'.encode() for text in (before, after)
    )
    for first, second in ((one, other), (other, one)):
        document = FollowedDocument("f.json")
        document.check(first)
        for text in (second, first, second):
            assert document.check(text) == check_document("f.json", text)


@settings(deadline=None)
@given(st.sampled_from(sorted(FORMS)), STEPS)
def test_after_any_edits_a_document_says_what_a_fresh_reading_of_it_says(form: str, steps: list[Any]) -> None:
    """Tenants, faults with their lines, and whether it is complete."""
    file, write = FORMS[form]
    document = FollowedDocument(file)
    for text in texts_of(write, steps):
        assert document.check(text.encode()) == check_document(file, text.encode())


@settings(deadline=None)
@given(st.sampled_from(sorted(FORMS)), STEPS)
def test_after_any_edits_the_lines_are_those_of_a_walk_over_the_whole_text(form: str, steps: list[Any]) -> None:
    """Although only the members that are asked for are looked at."""
    file, write = FORMS[form]
    document = FollowedDocument(file)
    reader = json_text if file.endswith("json") else yaml_text
    for text in texts_of(write, steps):
        checked = document.check(text.encode())
        paths = [("tenants", 0, key, 1, step) for key in KEYS for step in ("id", "uuid", "extensions", "none")]
        if checked.entries:
            found, wanted = document.lines(paths), locate(reader.tokens(text.encode()), paths)
            assert found is not None
            assert [found.of(path) for path in paths] == [wanted.of(path) for path in paths]


@settings(deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.lists(MEMBERS, min_size=1, max_size=6))
def test_edits_of_members_are_followed_without_reading_the_whole_text(form: str, steps: list[Any]) -> None:
    """Whatever they do to the lists, as long as none becomes empty or is no longer."""
    file, write = FORMS[form]
    value = definitions()
    held = HeldText(file)
    held.read(write(value).encode())
    was_whole = True
    for step in steps:
        value = members_changed(value, *step)
        text = write(value).encode()
        is_whole = all(value["tenants"][0][key] for key in KEYS)
        followed = held.follow(text)
        if is_whole and was_whole:
            assert followed is not None
        said = held.read(text) if followed is None else followed
        assert said.value == value
        was_whole = is_whole
