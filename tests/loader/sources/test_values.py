"""Definitions that come as values: what did not change is not checked again, and it comes out as if it were."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from given import ACME, ALICE, BOB
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.sources.values import PlainDefinitions
from loader.sources.wazo.references import OwnReferences

if TYPE_CHECKING:
    from loader.sources.values import RawTenant

USERS = (ALICE, BOB, "0b6e2f6c-58a9-4a5e-8a37-3f0a7b1c9d10")


def _subset(values: tuple[Any, ...]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), unique=True)


@st.composite
def tenants(draw: st.DrawFn) -> RawTenant:
    """A small tenant, some of which is at fault or refers to what is not there."""
    groups = draw(_subset(("1", "2")))
    patterns = ("118", "_00.", "_[1-")
    return {
        "uuid": ACME,
        "name": draw(st.sampled_from(["acme", "other"])),
        "users": [{"uuid": user, "name": draw(st.sampled_from(["a", "b"]))} for user in draw(_subset(USERS))],
        "groups": [{"id": group, "name": "g", "users": draw(_subset(USERS))} for group in groups],
        "outcalls": [{"id": "1", "name": "o"}],
        "call_permissions": [
            {
                "id": number,
                "name": "p",
                "extensions": draw(_subset(patterns)),
                "users": draw(_subset((*USERS, None))),
                "groups": draw(_subset(("1", "2"))),
                "outcalls": draw(_subset(("1", "2"))),
            }
            for number in draw(_subset((1, 2, 3)))
        ],
    }


@settings(deadline=None, max_examples=200)
@given(states=st.lists(tenants(), min_size=1, max_size=4), shared=st.booleans())
def test_what_is_remembered_changes_nothing(*, states: list[RawTenant], shared: bool) -> None:
    """A tenant through its edits reads as each state by itself, warnings and faults included."""
    own, definitions = OwnReferences("here"), PlainDefinitions("here")
    last: RawTenant = {}
    for state in states:
        raw = {key: _shared(value, last.get(key)) for key, value in state.items()} if shared else state
        last = raw
        tenant, strangers = own.of(raw)
        alone, expected = OwnReferences("here").of(copy.deepcopy(state))
        assert (tenant, strangers) == (alone, expected)
        assert definitions.reading([tenant]) == PlainDefinitions("here").reading([alone])


def _shared(value: Any, before: Any) -> Any:
    """The value with the objects of the last state where they are equal, as the picture of a platform has them."""
    if not isinstance(value, list) or not isinstance(before, list):
        return value
    return [next((old for old in before if old == each), each) for each in value]


def test_equal_members_are_the_objects_of_the_last_time() -> None:
    """So an edit of one permission of many is digested and compiled as that, though all of them were fetched anew."""
    tenant: RawTenant = {
        "uuid": ACME,
        "name": "acme",
        "users": [{"uuid": ALICE}],
        "groups": [],
        "outcalls": [],
        "call_permissions": [{"id": number, "extensions": ["118"], "users": [ALICE]} for number in (1, 2)],
    }
    definitions = PlainDefinitions("here")
    (before,) = definitions.reading([tenant]).tenants
    edited = copy.deepcopy(tenant)
    edited["call_permissions"][0]["extensions"] = ["119"]
    (after,) = definitions.reading([edited]).tenants
    assert after.call_permissions[0].extensions == ("119",)
    assert after.call_permissions[1] is before.call_permissions[1]
    assert after.users[0] is before.users[0]
