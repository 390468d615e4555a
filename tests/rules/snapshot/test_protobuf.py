"""Responses put together without a message are what protobuf reads and writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pdp.rules.snapshot.protobuf import delimited, permission_message
from rightcall import v1

HEAD, END = b"\x08\x02\x10\x02", b"\x22\x0417-3"
NAMES = st.text(max_size=60) | st.text("nö", min_size=100, max_size=400)


@given(st.integers(0, 2**64 - 1), NAMES)
def test_a_response_is_the_same_as_of_the_message(permission: int, name: str) -> None:
    """Byte by byte, as long as its permission may be named."""
    written = permission_message(permission, name, HEAD + b"\x1a", END, b"")

    assert written == v1.CheckCallResponse(
        decision=v1.Decision.DECISION_DENY,
        stage=v1.Stage.STAGE_USER,
        permission=v1.Permission(id=str(permission), name=name),
        revision="17-3",
    ).SerializeToString(deterministic=True)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), NAMES), max_size=5))
def test_many_responses_are_one_message(permissions: list[tuple[int, str]]) -> None:
    """One behind the other, each within its tags."""
    written = b"".join(permission_message(*permission, HEAD + b"\x1a", END, b"\x0a\x0a") for permission in permissions)
    answers = v1.CheckCallsResponse.FromString(written).answers

    assert [(answer.response.permission.id, answer.response.permission.name) for answer in answers] == [
        (str(permission), name) for permission, name in permissions
    ]


@given(st.binary(max_size=40_000))
def test_any_length_is_written_as_protobuf_reads_it(content: bytes) -> None:
    """One byte of it, two, or three."""
    text = content.hex()

    assert v1.Permission.FromString(delimited(b"\x12", text.encode())).name == text
