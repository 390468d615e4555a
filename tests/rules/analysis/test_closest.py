"""Why a permission does not match: its closest pattern, and the first character where that fails."""

from __future__ import annotations

import pytest
from definitions import tenant_from
from given import ACME, ALICE, denying
from hypothesis import given
from hypothesis import strategies as st
from server import DEADLINE, running_server, snapshot_of

from pdp.rules.analysis.closest import Closest, closest
from pdp.rules.analysis.explain import CandidateResult, explain
from pdp.rules.errors import PatternError
from pdp.rules.patterns.parser import parse
from rightcall import v1


def closest_of(extension: str, *patterns: str) -> Closest | None:
    """The closest of these patterns."""
    snapshot = snapshot_of(denying(*patterns))
    (slot,) = snapshot.user_permissions(ALICE)
    return closest(snapshot, snapshot.permission(slot).patterns, [extension])


@pytest.mark.parametrize(
    ("pattern", "extension", "position", "expected"),
    [
        ("118", "119", 3, "8"),
        ("118", "11", 3, "8"),
        ("118", "1180", 4, ""),
        ("_0NX", "01", 2, "N"),
        ("_0NX", "0a", 2, "N"),
        ("_0NX", "02", 3, "X"),
        ("_Z1", "0", 1, "Z"),
        ("_[135-]0", "20", 1, "[135-]"),
        ("_00.", "00", 3, "?"),
        ("_00.", "0133", 2, "0"),
        ("_.99", "1234", 5, "9"),
        ("_!99", "1234", 5, "9"),
        ("_+.", "0033", 1, "+"),
        ("_1", "é", 1, "1"),
    ],
)
def test_a_pattern_fails_at_the_first_character_that_it_does_not_accept(
    pattern: str, extension: str, position: int, expected: str
) -> None:
    """Counted from 1, and with what it would have accepted there."""
    assert closest_of(extension, pattern) == Closest(pattern, position, expected, extension)


def test_the_pattern_that_gets_furthest_is_the_closest() -> None:
    """Of several that get as far, the first."""
    assert closest_of("0033123", "118", "_0049.", "_003[4-9].", "_0034.") == Closest(
        "_003[4-9].", 4, "[4-9]", "0033123"
    )
    assert closest_of("5", "_1", "_2") == Closest("_1", 1, "1", "5")
    assert closest_of("5") is None


@pytest.mark.parametrize(
    ("pattern", "extension", "sentence"),
    [
        (
            "_00[1-3].",
            "0049",
            "None of its patterns matches; the closest, _00[1-3]., fails at character 3 ('4'), where",
        ),
        ("118", "1180", "None of its patterns matches; the closest, 118, ends before character 4 ('0')."),
        ("_00.", "00", "None of its patterns matches; the closest, _00., asks for any character after the last"),
        ("118", "11", "None of its patterns matches; the closest, 118, asks for 8 after the last character."),
    ],
)
def test_the_reason_is_a_sentence(pattern: str, extension: str, sentence: str) -> None:
    """Which names the pattern, the character and what would have been accepted."""
    report = explain(snapshot_of(denying(pattern)), ALICE, extension, "").stages[0].candidates[0]

    assert report.result is CandidateResult.NO_PATTERN_MATCHES
    assert report.reason.startswith(sentence)
    assert report.reason.endswith(".")


def test_a_disabled_permission_that_does_not_match_has_both_told() -> None:
    """It would not help to enable it."""
    permission = {"id": 1, "enabled": False, "extensions": ["118"], "users": [ALICE]}
    tenant = tenant_from({"uuid": ACME, "users": [{"uuid": ALICE}], "call_permissions": [permission]})
    report = explain(snapshot_of(tenant), ALICE, "119", "").stages[0].candidates[0]

    assert report.result is CandidateResult.DISABLED
    assert report.closest == Closest("118", 3, "8", "119")


def test_the_closest_pattern_is_in_the_answer_where_none_matches() -> None:
    """And only there."""
    with running_server(denying("_00[1-3].", "118")) as running:
        told = [
            running.decisions.ExplainCall(
                v1.ExplainCallRequest(call=v1.CheckCallRequest(caller=ALICE, extension=extension)), timeout=DEADLINE
            )
            .stages[0]
            .candidates[0]
            for extension in ("0049", "0011")
        ]

    assert told[0].closest == v1.ClosestPattern(pattern="_00[1-3].", position=3, expected="[1-3]", form="0049")
    assert not told[1].HasField("closest")


@given(
    st.lists(st.text("0123XZN[]-.!*+", min_size=1, max_size=8), min_size=1, max_size=5),
    st.text("0123*+aé", min_size=1, max_size=8),
)
def test_no_pattern_gets_further_than_said(patterns: list[str], extension: str) -> None:
    """What comes before the character matches the start of the pattern; up to and with it nothing does."""
    valid = [text for text in patterns if _is_pattern(text)]
    snapshot = snapshot_of(denying(*valid))
    (slot,) = snapshot.user_permissions(ALICE)
    numbers = snapshot.permission(slot).patterns
    failing = [number for number in numbers if not snapshot.pattern_matches(number, extension)]
    found = closest(snapshot, failing, [extension])

    reach = max((_reach(snapshot.pattern_tokens(number), extension) for number in failing), default=None)
    assert (found.position - 1 if found else None) == reach


def _is_pattern(text: str) -> bool:
    try:
        parse(text)
    except PatternError:
        return False
    return True


def _reach(tokens: tuple[int, ...], extension: str) -> int:
    """By trying: the longest start of the extension that some start of the pattern matches."""
    symbols = [("0123456789*#+-".index(one) if one in "0123456789*#+-" else 14) for one in extension]

    def matches(token: int, position: int) -> int:
        if token == len(tokens) or position == len(symbols):
            return position
        if tokens[token] == 1 << 31:
            return max(matches(token + 1, at) for at in range(position, len(symbols) + 1))
        return matches(token + 1, position + 1) if tokens[token] >> symbols[position] & 1 else position

    return matches(0, 0)
