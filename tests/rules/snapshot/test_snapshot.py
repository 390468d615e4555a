"""Snapshots as blobs: whole, trusted and of this format they open; anything else is a typed error."""

from __future__ import annotations

import gc
import json
import re
import struct
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import oracle
import pytest
import strategies
from definitions import tenant_from
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.errors import SnapshotCorrupt, SnapshotError, SnapshotForeign, SnapshotTruncated, SnapshotUntrusted
from pdp.rules.model import CallPermission, Decision, PasswordOverride, Revision, Tenant, User
from pdp.rules.snapshot.blob import FORMAT_VERSION, MAGIC, Section, seal, unseal
from pdp.rules.snapshot.passwords import RECORD_SIZE
from pdp.rules.snapshot.snapshot import decode, decode_verified

if TYPE_CHECKING:
    from pdp.rules.snapshot.snapshot import Snapshot

DATA = Path(__file__).parents[2] / "cases"
DOCUMENT = json.loads((DATA / "snapshot.json").read_text(encoding="utf-8"))
TENANT = tenant_from(DOCUMENT["tenant"])
SECRET = b"the key of the committed snapshot"
REVISION = Revision(17, "3fa9c0d2b1e4" + "0" * 52)
ALICE, BOB = (user.uuid for user in TENANT.users)
BLOB = Compiler(secret=SECRET).compile(TENANT, REVISION, compiled_at=1.5e9)
UNSIGNED = Compiler().compile(TENANT, REVISION, compiled_at=1.5e9)


def sections(blob: bytes) -> dict[Section, bytes]:
    """The sections of a blob."""
    return {section: bytes(extent.view) for section, extent in unseal(blob).items()}


def answers(snapshot: Snapshot) -> list[list[object]]:
    """The answers to the committed cases."""
    verdicts = [snapshot.decide(case["caller"], case["extension"], case["outcall"]) for case in DOCUMENT["cases"]]
    return [[verdict.decision.name, verdict.stage.name, verdict.permission_id] for verdict in verdicts]


def test_what_was_encoded_is_decoded() -> None:
    """All that a snapshot tells about its tenant."""
    snapshot = decode(BLOB, secrets=[SECRET])
    assert (snapshot.tenant, snapshot.tenant_name, snapshot.revision) == (TENANT.uuid, "acme", REVISION)
    assert (snapshot.compiled_at, snapshot.size) == (1.5e9, len(BLOB))
    assert snapshot.password_override is PasswordOverride.ALL
    counts = snapshot.counts
    assert (counts.users, counts.groups, counts.outcalls, counts.permissions, counts.patterns) == (2, 2, 1, 4, 7)
    assert str(snapshot.revision) == "17-3fa9c0d2b1e4"
    assert sorted(snapshot.callers()) == sorted([ALICE, BOB])
    (group,) = snapshot.user_groups(BOB)
    assert (group.id, group.name, group.enabled) == ("8", "old", False)
    permission = snapshot.permission(snapshot.outcall_permissions("3")[0])
    assert (permission.id, permission.name, permission.enabled) == (14, "emergency", True)
    assert [snapshot.pattern(number) for number in permission.patterns] == ["112", "110"]


def test_the_committed_snapshot_still_opens() -> None:
    """A change to the format is a new FORMAT_VERSION; this is what notices when somebody forgets."""
    assert (DATA / f"snapshot-v{FORMAT_VERSION}.bin").exists(), "make one with tests/support/make_snapshot.py"
    committed = decode((DATA / f"snapshot-v{FORMAT_VERSION}.bin").read_bytes(), secrets=[SECRET])
    assert answers(committed) == [case["answer"] for case in DOCUMENT["cases"]]
    assert answers(decode(BLOB)) == [case["answer"] for case in DOCUMENT["cases"]]


def test_a_snapshot_of_the_format_before_is_read() -> None:
    """Servers are upgraded before loaders."""
    before = decode((DATA / "snapshot-v2.bin").read_bytes(), secrets=[SECRET])
    assert answers(before) == [case["answer"] for case in DOCUMENT["cases"]]
    assert not before.has_alias("alice")


def test_the_same_rules_make_the_same_bytes() -> None:
    """A loader that restarts publishes nothing new; neither time nor chance is in a blob."""
    assert Compiler(secret=SECRET).compile(TENANT, REVISION, compiled_at=1.5e9) == BLOB


def test_a_caller_is_known_in_either_case() -> None:
    """A UUID means the same in upper and in lower case."""
    snapshot = decode(BLOB)
    assert snapshot.decide(ALICE.upper(), "0033", "") == snapshot.decide(ALICE, "0033", "")
    assert snapshot.knows_caller(ALICE.upper())
    assert snapshot.user_groups(ALICE.upper()) == snapshot.user_groups(ALICE)


@pytest.mark.parametrize("name", ["", "n", "n" * 34, "n" * 35, "n" * 36, "ü" * 17, "nü" * 12, "名" * 200], ids=len)
def test_a_name_of_any_length_is_told_whole(name: str) -> None:
    """Those of up to 34 bytes lie beside the permission's id, others elsewhere."""
    rule = CallPermission(1, name=name, extensions=("0",), users=(ALICE,))
    tenant = Tenant(TENANT.uuid, users=(User(ALICE),), call_permissions=(rule,))
    snapshot = decode(Compiler().compile(tenant, REVISION, compiled_at=0.0))
    assert snapshot.decide(ALICE, "0", "").permission_name == name
    assert snapshot.verdict(snapshot.match(ALICE, "0", "")).permission_name == name
    assert snapshot.permission(snapshot.user_permissions(ALICE)[0]).name == name


def test_a_snapshot_that_nobody_holds_is_freed_at_once() -> None:
    """Tables of half a gigabyte do not wait for the garbage collector, which may come in the middle of a call."""
    gc.disable()
    try:
        snapshot = decode(BLOB)
        snapshot.decide(ALICE.upper(), "0033", "3")
        whole = weakref.ref(snapshot)
        matcher = weakref.ref(snapshot.match)
        del snapshot
        assert whole() is None
        assert matcher() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "caller",
    [
        "",
        "x",
        "11111111-2222-3333-4444-555555555555",
        "AAAAAAAA-2222-3333-4444-555555555555",
        "\N{MATHEMATICAL BOLD CAPITAL A}" * 36,
        "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 36,
        "\udc80" * 36,
        "\0" * 36,
        "1" * 100_000,
    ],
    ids=("empty", "short", "unknown", "upper", "bold", "dotted", "surrogate", "zero", "long"),
)
def test_a_caller_that_nobody_knows_skips_its_stages(caller: str) -> None:
    """Whatever it is made of; the outcall's stage goes on."""
    snapshot = decode(BLOB)
    assert snapshot.decide(caller, "0033", "").decision is Decision.ALLOW
    assert snapshot.decide(caller, "0033", "3").permission_id == 15
    assert not snapshot.knows_caller(caller)
    assert not snapshot.user_permissions(caller)
    assert not snapshot.user_groups(caller)


@pytest.mark.parametrize(
    "outcall", ["", "x", "\udc80", "3\0", "3" * 100_000], ids=("empty", "short", "surrogate", "zero", "long")
)
def test_an_outcall_that_nobody_knows_skips_its_stage(outcall: str) -> None:
    """Whatever it is made of."""
    snapshot = decode(BLOB)
    assert snapshot.decide("", "9", outcall).decision is Decision.ALLOW
    assert not snapshot.knows_outcall(outcall)
    assert not snapshot.outcall_permissions(outcall)


@pytest.mark.parametrize("secrets", [[SECRET], [b"an older key", SECRET]])
def test_a_blob_signed_with_a_key_of_the_deployment_opens(secrets: list[bytes]) -> None:
    """Two keys are held while a deployment changes from one to the other."""
    assert decode(BLOB, secrets=secrets).tenant == TENANT.uuid


def test_a_blob_without_signature_is_refused_where_there_is_a_key() -> None:
    """And opens where there is none, as a signed one does."""
    assert decode(UNSIGNED).tenant == decode(BLOB).tenant
    with pytest.raises(SnapshotUntrusted, match="is not signed"):
        decode(UNSIGNED, secrets=[SECRET])


def test_a_blob_signed_with_another_key_is_refused() -> None:
    """As one is whose content was changed and sealed again by somebody without the key."""
    with pytest.raises(SnapshotUntrusted, match="a key that is not this deployment's"):
        decode(BLOB, secrets=[b"another key"])
    with pytest.raises(SnapshotUntrusted, match="a key that is not this deployment's"):
        decode(seal(sections(BLOB), b"another key"), secrets=[SECRET])


def test_a_blob_of_another_version_is_refused_by_name() -> None:
    """The message says which version is read."""
    blob = BLOB[: len(MAGIC)] + struct.pack("<I", FORMAT_VERSION + 1) + BLOB[len(MAGIC) + 4 :]
    with pytest.raises(SnapshotForeign, match=f"format version is {FORMAT_VERSION + 1} where {FORMAT_VERSION} is read"):
        decode(blob)
    with pytest.raises(SnapshotForeign, match="magic"):
        decode(b"%PDF-1.7" + bytes(200))


@pytest.mark.parametrize("cut", [1, 100, len(BLOB) - 87, len(BLOB)])
def test_a_blob_that_ends_early_is_truncated(cut: int) -> None:
    """The message says how many bytes there are and how many there should be."""
    with pytest.raises(SnapshotTruncated, match=f"ends after {len(BLOB) - cut};"):
        decode(BLOB[: len(BLOB) - cut])


@settings(deadline=None)
@given(st.integers(0, len(BLOB) - 1))
def test_any_truncated_blob_is_refused(length: int) -> None:
    """With a typed error and no other."""
    with pytest.raises(SnapshotError):
        decode(BLOB[:length], secrets=[SECRET])


@settings(deadline=None, max_examples=300)
@given(position=st.integers(0, len(BLOB) - 1), mask=st.integers(1, 255), trusted=st.booleans())
def test_any_flipped_byte_is_refused(position: int, mask: int, *, trusted: bool) -> None:
    """Wherever it is, signature included, and whether or not a signature is asked for."""
    blob = bytearray(BLOB)
    blob[position] ^= mask
    with pytest.raises(SnapshotError):
        decode(blob, secrets=[SECRET] if trusted else [])


@given(data=st.binary(max_size=300), headed=st.booleans())
def test_random_bytes_are_refused(data: bytes, *, headed: bool) -> None:
    """With the right beginning too."""
    with pytest.raises(SnapshotError):
        decode(BLOB[:24] + data if headed else data)


def test_a_verified_blob_is_opened_without_being_hashed() -> None:
    """It gives the same answers, also where a byte differs that only the checksum covers."""
    assert answers(decode_verified(BLOB)) == [case["answer"] for case in DOCUMENT["cases"]]
    signed_by_nobody = BLOB[:24] + bytes(64) + BLOB[88:]
    with pytest.raises(SnapshotCorrupt):
        decode(signed_by_nobody)
    assert decode_verified(signed_by_nobody).revision == REVISION


@pytest.mark.parametrize(
    ("at", "field", "error"),
    [
        (0, b"RIGHTCAX", SnapshotForeign),
        (8, struct.pack("<I", FORMAT_VERSION + 1), SnapshotForeign),
        (12, struct.pack("<I", len(Section) + 1), SnapshotCorrupt),
        (16, struct.pack("<Q", len(BLOB) + 1), SnapshotTruncated),
        (16, struct.pack("<Q", len(BLOB) - 1), SnapshotCorrupt),
        (88, struct.pack("<QQ", len(BLOB), 1), SnapshotCorrupt),
        (88, struct.pack("<QQ", 2**63, 1), SnapshotCorrupt),
        (88, struct.pack("<QQ", 88, 2**64 - 1), SnapshotCorrupt),
        (88 + 16 * Section.USERS, struct.pack("<QQ", len(BLOB) - 8, 64), SnapshotCorrupt),
    ],
)
def test_a_verified_blob_with_an_impossible_header_or_section_is_refused(
    at: int, field: bytes, error: type[SnapshotError]
) -> None:
    """Not being hashed does not mean that anything is read outside of it."""
    with pytest.raises(error):
        decode_verified(BLOB[:at] + field + BLOB[at + len(field) :])


def test_a_verified_blob_that_ends_within_its_list_of_sections_is_refused() -> None:
    """As large as its header says, and too short all the same."""
    short = BLOB[:16] + struct.pack("<Q", 100) + BLOB[24:100]
    with pytest.raises(SnapshotCorrupt):
        decode_verified(short)


def test_bytes_behind_a_blob_are_refused() -> None:
    """They are covered by nothing."""
    with pytest.raises(SnapshotCorrupt):
        decode(BLOB + b"\0")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(Section), st.binary(max_size=400))
def test_a_section_of_nonsense_under_a_right_checksum_is_refused_or_opens(section: Section, content: bytes) -> None:
    """Whoever seals a blob anew may have it refused; what cannot happen is any other error."""
    blob = seal(sections(BLOB) | {section: content}, SECRET)
    try:
        assert decode(blob, secrets=[SECRET]).tenant == TENANT.uuid
    except SnapshotError as error:
        assert str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "recursion"),
        (b"", "Expecting value"),
        (b"\xff\xfe\xfd", "decode"),
        ({"tenant": 5}, "wrong tenant"),
        ({"number": "1"}, "wrong number"),
        ({"users": True}, "wrong users"),
        ({"compiled_at": None}, "wrong compiled_at"),
        ({"password_override": "never"}, "never"),
    ],
    ids=repr,
)
def test_a_description_of_the_wrong_shape_is_refused(change: bytes | dict[str, object], problem: str) -> None:
    """Before anybody trips over it later."""
    content = sections(BLOB)
    meta = change if isinstance(change, bytes) else json.dumps(json.loads(content[Section.META]) | change).encode()
    with pytest.raises(SnapshotCorrupt, match=problem):
        decode(seal(content | {Section.META: meta}, None))


def test_a_description_without_a_key_is_refused() -> None:
    """The message names it."""
    content = sections(BLOB)
    meta = json.loads(content[Section.META])
    del meta["digest"]
    with pytest.raises(SnapshotCorrupt, match="digest"):
        decode(seal(content | {Section.META: json.dumps(meta).encode()}, None))


def test_no_password_is_anywhere() -> None:
    """Neither in a blob nor in what is printed of rules, snapshots and their errors."""
    secrets = ("82746281", "73519246")
    tenant = replace(
        TENANT,
        users=(replace(TENANT.users[0], call_permission_password=secrets[0]), TENANT.users[1]),
        call_permissions=(replace(TENANT.call_permissions[0], password=secrets[1]), *TENANT.call_permissions[1:]),
    )
    for key in (SECRET, None):
        blob = Compiler(secret=key).compile(tenant, REVISION, compiled_at=0.0)
        snapshot = decode(blob)
        shown = (repr(tenant), repr(snapshot), repr(snapshot.counts), repr(snapshot.decide(ALICE, "0033", "")))
        for password in secrets:
            assert password.encode() not in blob
            assert not any(password in text for text in shown)
    assert not sections(blob)[Section.SECRETS]


def test_a_password_that_is_gone_leaves_no_hash() -> None:
    """Hashes of earlier passwords are overwritten, and those of removed entities wiped, at once."""
    compiler = Compiler(secret=SECRET)
    before = sections(compiler.compile(TENANT, REVISION, compiled_at=0.0))[Section.SECRETS]
    first = before[:RECORD_SIZE]
    changed = replace(TENANT, call_permissions=(replace(TENANT.call_permissions[0], password="9999"),))
    after = sections(compiler.compile(changed, REVISION, compiled_at=0.0))[Section.SECRETS]
    assert len(after) == len(before) == 2 * RECORD_SIZE
    assert first not in after
    gone = replace(TENANT, users=(), groups=(), call_permissions=())
    assert not any(sections(compiler.compile(gone, REVISION, compiled_at=0.0))[Section.SECRETS])


def test_a_password_opens_only_with_the_key_that_hashed_it() -> None:
    """And only the caller's own, where it has one."""
    snapshot = decode(BLOB)
    number = snapshot.match(ALICE, "0033", "")
    assert snapshot.opens(number, ALICE, "4242", [SECRET])
    assert not snapshot.opens(number, ALICE, "1234", [SECRET])
    assert not snapshot.opens(number, ALICE, "4242", [b"another key"])
    assert not snapshot.opens(number, ALICE, "4242", [])
    assert not snapshot.opens(snapshot.match(BOB, "$a5", ""), BOB, "4242", [SECRET])
    unkeyed = decode(UNSIGNED)
    assert not unkeyed.opens(unkeyed.match(ALICE, "0033", ""), ALICE, "4242", [SECRET])


def test_every_error_says_what_to_do() -> None:
    """After a semicolon."""
    faulty = [b"", b"x" * 200, BLOB[:-1], BLOB[:-1] + b"x", seal(sections(BLOB) | {Section.META: b""}, None)]
    for blob in faulty:
        with pytest.raises(SnapshotError, match=re.compile("; .{10,}")):
            decode(blob)


@settings(deadline=None, max_examples=50)
@given(strategies.tenants(), strategies.call_lists)
def test_decoding_is_the_same_from_bytes_and_from_any_buffer(tenant: Tenant, calls: list[strategies.Call]) -> None:
    """A snapshot may come from a socket's buffer."""
    blob = Compiler().compile(tenant, REVISION, compiled_at=0.0)
    for form in (blob, bytearray(blob), memoryview(blob)):
        snapshot = decode(form)
        for call in calls:
            assert snapshot.decide(*call)[:2] == oracle.decide(tenant, *call)[:2]
