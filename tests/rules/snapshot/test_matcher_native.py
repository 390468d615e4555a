"""The matcher for the C compiler: it is the one in Python, and it trusts no value in a blob."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import MAX_EXTENSION_LENGTH, CallPermission, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.automaton import NO_VERDICT
from pdp.rules.snapshot.blob import Section, seal, unseal
from pdp.rules.snapshot.matcher import Matcher, make_matcher
from pdp.rules.snapshot.protobuf import CALLER_KNOWN, NOT_PLAIN, OUTCALL_KNOWN
from pdp.rules.snapshot.snapshot import Snapshot, decode
from pdp.services.messages import check_extension
from rightcall import v1

if TYPE_CHECKING:
    from strategies import Call

    from pdp.rules.compiler.automata import Limits
    from pdp.rules.snapshot.matcher import Matching

REVISION = Revision(1, "0" * 64)
ALICE = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
RULES = Tenant(
    strategies.TENANT,
    users=(User(ALICE),),
    outcalls=(Outcall("1"), Outcall("ö")),
    call_permissions=(
        CallPermission(1, name="premium", extensions=("_0900.", "118"), users=(ALICE,)),
        CallPermission(2, name="n" * 60, extensions=("_X.",), outcalls=("1",)),
        CallPermission(3, name="hard", extensions=tuple(f"_.{digit}!{digit}." for digit in range(10)), outcalls=("ö",)),
    ),
)
AROUND = b"\x08\x02\x1a", b"\x22\x011", b"\x0a\x0a"
BLOB = Compiler().compile(RULES, REVISION, compiled_at=0.0)
NATIVE = make_matcher is not Matcher
native = pytest.mark.skipif(
    not NATIVE, reason="the native matcher was not built: no C compiler, or no headers of Python"
)
slow = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def matchers(snapshot: Snapshot) -> list[Matching]:
    """The one in Python, and the other one, over the tables of a snapshot."""
    tables = (snapshot._users, snapshot._outcalls, snapshot._automaton, snapshot._permissions, snapshot._strings)
    return [Matcher(*tables), make_matcher(*tables)]


@native
@slow
@given(strategies.tenants(), strategies.call_lists, st.sampled_from(strategies.LIMITS))
def test_it_decides_as_the_one_in_python(tenant: Tenant, calls: list[Call], limits: Limits) -> None:
    """Whatever the rules, the call and the budget."""
    readable, compiled = matchers(decode(Compiler(limits=limits).compile(tenant, REVISION, compiled_at=0.0)))
    for call in calls:
        assert compiled.knows_caller(call[0]) == readable.knows_caller(call[0])
        assert compiled.match(*call) == readable.match(*call)
        assert compiled.decide(*call) == readable.decide(*call) == compiled.verdict(compiled.match(*call))
        if number := readable.match(*call):
            assert compiled.message(number, *AROUND) == readable.message(number, *AROUND)


@native
@given(
    permission=st.integers(1, 2**63 - 1),
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50) | st.text("nö", max_size=500),
    before=st.binary(min_size=1, max_size=200),
    behind=st.binary(max_size=400) | st.just(bytes(2000)),
    around=st.binary(max_size=3),
)
def test_it_writes_the_message_of_the_one_in_python(
    permission: int, name: str, before: bytes, behind: bytes, around: bytes
) -> None:
    """Names within a permission's row and beyond it, and messages that are longer than it has room for."""
    rules = Tenant(
        strategies.TENANT,
        users=(User(ALICE),),
        call_permissions=(CallPermission(permission, name=name, extensions=("118",), users=(ALICE,)),),
    )
    readable, compiled = matchers(decode(Compiler().compile(rules, REVISION, compiled_at=0.0)))
    number = readable.match(ALICE, "118", "")

    assert compiled.message(number, before, behind, around) == readable.message(number, before, behind, around)


@native
@pytest.mark.parametrize(
    "caller", ["", ALICE, ALICE.upper(), "x", "é" * 36, "\udc80" * 36, "\0" * 36, "1" * 10_000], ids=ascii
)
@pytest.mark.parametrize(
    "extension",
    ["118", "0900", "09001", "é", "\udc80", "🎉" * 128, "1" * 158, "1" * 159, "1" * 160, "1" * 10_000],
    ids=ascii,
)
@pytest.mark.parametrize("outcall", ["", "1", "ö", "\udc80", "2" * 10_000], ids=ascii)
def test_odd_texts_are_decided_as_by_the_one_in_python(caller: str, extension: str, outcall: str) -> None:
    """Beyond ASCII, no text at all, and longer than any key or word."""
    readable, compiled = matchers(decode(BLOB))
    assert compiled.knows_caller(caller) == readable.knows_caller(caller)
    assert compiled.decide(caller, extension, outcall) == readable.decide(caller, extension, outcall)


FIELDS = st.one_of(
    st.builds(v1.CheckCallRequest, caller=st.sampled_from([*strategies.USERS, strategies.USERS[0].upper(), "", "x"])),
    st.builds(v1.CheckCallRequest, extension=strategies.extensions | st.text(max_size=140)),
    st.builds(v1.CheckCallRequest, outcall=st.sampled_from([*strategies.OUTCALLS, "unknown", "ö"])),
    st.builds(v1.CheckCallRequest, tenant=st.sampled_from(["", strategies.TENANT])),
    st.builds(v1.CheckCallRequest, forwarded_by=st.sampled_from(["", *strategies.USERS])),
    st.builds(v1.CheckCallRequest, at_least_revision=st.integers(-1, 2)),
).map(v1.CheckCallRequest.SerializeToString)


def plain(verdict: int, *, caller: str, outcall: str) -> int:
    """What ``match_request`` makes of a verdict's number, where caller and outcall are known or empty."""
    return verdict | (CALLER_KNOWN if caller else 0) | (OUTCALL_KNOWN if outcall else 0)


@native
@given(st.text("0123456789*-", min_size=1, max_size=20), st.integers(0, 12))
def test_what_may_be_an_emergency_number_is_not_plain(extension: str, plain_from: int) -> None:
    """Extensions that are shorter than the plain ones, and those with anything else than digits."""
    data = v1.CheckCallRequest(caller=ALICE, extension=extension).SerializeToString()
    number = matchers(decode(BLOB))[1].match_request(data, plain_from)

    assert (number == NOT_PLAIN) == bool(plain_from and (len(extension) < plain_from or not extension.isdigit()))


@native
@slow
@given(strategies.tenants(), st.lists(st.lists(FIELDS | st.binary(max_size=4), max_size=5).map(b"".join), max_size=20))
def test_a_request_that_is_plain_is_what_protobuf_reads(tenant: Tenant, requests: list[bytes]) -> None:
    """Whatever the bytes, in whatever order and however often the fields: nothing else is decided by this way."""
    snapshot = decode(Compiler().compile(tenant, REVISION, compiled_at=0.0))
    readable, compiled = matchers(snapshot)
    for data in requests:
        assert readable.match_request(data, 0) == NOT_PLAIN
        if (number := compiled.match_request(data, 0)) == NOT_PLAIN:
            continue
        request = v1.CheckCallRequest.FromString(data)
        check_extension(request.extension)
        assert (request.tenant, request.at_least_revision, request.forwarded_by) == ("", 0, "")
        outcall_known = snapshot.knows_outcall(request.outcall)
        verdict = readable.match(request.caller, request.extension, request.outcall)
        assert number == plain(verdict, caller=request.caller, outcall=request.outcall)
        assert readable.knows_caller(request.caller) or not request.caller
        assert outcall_known or not request.outcall
        assert verdict != NO_VERDICT or request.caller


@native
@pytest.mark.parametrize(
    ("number", "first", "rest"),
    [
        pytest.param(1, "bbbbbbbb-1111-4111-8111-aaaaaaaaaaaa", {1: ALICE, 2: "118", 3: "1"}, id="caller"),
        pytest.param(2, "118", {1: ALICE, 2: "0800", 3: "1"}, id="extension"),
        pytest.param(3, "unknown", {1: ALICE, 2: "0800", 3: "1"}, id="outcall"),
    ],
)
def test_a_field_that_is_there_twice_counts_as_protobuf_counts_it(
    number: int, first: str, rest: dict[int, str]
) -> None:
    """The last one does; or the request is left to protobuf."""
    readable, compiled = matchers(decode(BLOB))
    data = _field(number, first) + b"".join(_field(each, text) for each, text in rest.items())
    request = v1.CheckCallRequest.FromString(data)
    expected = readable.match(request.caller, request.extension, request.outcall)
    texts = {1: request.caller, 2: request.extension, 3: request.outcall, number: first}
    assert readable.match(texts[1], texts[2], texts[3]) != expected, "the first one would be decided otherwise"
    known = plain(expected, caller=request.caller, outcall=request.outcall)
    assert compiled.match_request(data, 0) in (known, NOT_PLAIN)


def _field(number: int, text: str) -> bytes:
    return bytes((number << 3 | 2, len(text))) + text.encode()


@native
@slow
@given(strategies.tenants(), strategies.call_lists)
def test_what_most_callers_send_is_plain(tenant: Tenant, calls: list[Call]) -> None:
    """Known callers who dial what telephones have keys for."""
    snapshot = decode(Compiler().compile(tenant, REVISION, compiled_at=0.0))
    readable, compiled = matchers(snapshot)
    for call in calls:
        data = v1.CheckCallRequest(caller=call[0], extension=call[1], outcall=call[2]).SerializeToString()
        verdict = readable.match(*call)
        known = readable.knows_caller(call[0]) if call[0] else verdict != NO_VERDICT
        known = known and (not call[2] or snapshot.knows_outcall(call[2]))
        if call[1].isascii() and call[1].isprintable() and 0 < len(call[1]) < MAX_EXTENSION_LENGTH:
            expected = plain(verdict, caller=call[0], outcall=call[2]) if known else NOT_PLAIN
            assert compiled.match_request(data, 0) == expected


@native
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x0a", id="a tag alone"),
        pytest.param(b"\x12\x03118\x0a\x24" + ALICE.encode()[:-1], id="cut off"),
        pytest.param(b"\x12\x83\x00118\x0a\x24" + ALICE.encode(), id="a length written longer than it need be"),
        pytest.param(b"\x0a\x24" + ALICE.encode(), id="no extension"),
        pytest.param(b"\x12\x0311\n\x0a\x24" + ALICE.encode(), id="an extension with a control character"),
        pytest.param(b"\x12\x0211\x0a\x24" + ALICE.encode() + b"\x1a\x01\xff", id="no text"),
        pytest.param(b"\x12\x02\xc3\xb6\x0a\x24" + ALICE.encode(), id="beyond ASCII"),
        pytest.param(b"\x12\x03112\x32\x00\x0a\x24" + ALICE.encode(), id="a field that is not known"),
        pytest.param(b"\x12\x03112\x22\x24" + strategies.TENANT.encode(), id="a tenant"),
        pytest.param(b"\x12\x03112\x28\x01\x0a\x24" + ALICE.encode(), id="a revision"),
        pytest.param(b"\x12\x03112\x0a\x24" + ALICE.replace("a", "b").encode(), id="an unknown caller, no verdict"),
    ],
)
def test_a_request_that_is_not_plain_is_left_to_protobuf(data: bytes) -> None:
    """What is wrong with it, or whose it is, is told by who reads it next."""
    assert matchers(decode(BLOB))[1].match_request(data, 0) == NOT_PLAIN


def test_a_request_has_the_fields_that_the_matcher_takes_it_to_have() -> None:
    """By their numbers."""
    fields = v1.CheckCallRequest.DESCRIPTOR.fields_by_number

    assert [fields[number].name for number in (1, 2, 3)] == ["caller", "extension", "outcall"]


@native
def test_it_takes_nothing_but_texts() -> None:
    """What a caller of another language's habits might hand over."""
    _, compiled = matchers(decode(BLOB))
    for call in ((ALICE, "118", None), (None, "118", ""), (ALICE, b"118", "")):
        with pytest.raises(TypeError):
            compiled.decide(*call)
    for data in ("118", None, bytearray(b"118")):
        with pytest.raises(TypeError):
            compiled.match_request(data, 0)  # type: ignore[arg-type]


@native
@settings(deadline=None, max_examples=400)
@given(
    section=st.sampled_from([section for section in Section if section is not Section.META]),
    places=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
    call=strategies.calls | st.tuples(st.just(ALICE), st.text("0189", max_size=200), st.sampled_from(["1", "ö"])),
)
def test_values_that_lead_outside_are_errors(section: Section, places: list[tuple[int, int]], call: Call) -> None:
    """A blob of nonsense under a right checksum is decided somehow or is an error, and the process goes on."""
    sections = {name: bytearray(extent.view) for name, extent in unseal(BLOB).items()}
    for place, value in places:
        if content := sections[section]:
            content[place % len(content)] = value
    with suppress(Exception):  # which one it is does not matter: the call is answered with INTERNAL
        snapshot = decode(seal(sections, None))
        snapshot.decide(*call)
        snapshot.message(snapshot.match(*call), *AROUND)
    caller, extension, outcall = call
    request = v1.CheckCallRequest(caller=caller, extension=extension[:120], outcall=outcall).SerializeToString()
    with suppress(Exception):
        decode(seal(sections, None)).match_request(request, 0)
