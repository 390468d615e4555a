"""Deltas: that they make what they were made for, cost what changed, and are refused where they are damaged or lie."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.errors import SnapshotCorrupt, SnapshotError, SnapshotForeign, SnapshotTruncated
from pdp.rules.model import CallPermission, Revision, Tenant, User
from pdp.rules.publication.delta import WORTHWHILE, Delta, make_delta
from pdp.rules.snapshot.blob import PIECE, Section, checksum, regions, seal
from pdp.rules.snapshot.snapshot import decode

SECRET = b"a secret of the tests' own"
HEADER, STEP = 104, struct.Struct("<QQQ")
NUMBER = 7


def random_sections(random: Random, *, most: int = 60_000) -> dict[Section, bytes]:
    """Content of no meaning; some sections are empty, one is large."""
    sizes = {section: random.choice((0, 1, 64, 1000, random.randrange(most))) for section in Section}
    sizes[random.choice(list(Section))] = 2 * WORTHWHILE
    return {section: random.randbytes(size) for section, size in sizes.items()}


def edited(sections: dict[Section, bytes], random: Random) -> dict[Section, bytes]:
    """The same with bytes overwritten, appended, cut off or put in between, here and there."""
    changed = {section: bytearray(content) for section, content in sections.items()}
    for _ in range(random.randrange(8)):
        content = changed[random.choice(list(Section))]
        at, size = random.randrange(len(content) + 1), random.choice((1, 8, 64, 3000))
        match random.randrange(4):
            case 0:
                content[at : min(at + size, len(content))] = random.randbytes(min(size, len(content) - at))
            case 1:
                content += random.randbytes(size)
            case 2:
                del content[len(content) - min(size, len(content)) :]
            case _:
                content[at:at] = random.randbytes(size)
    return {section: bytes(content) for section, content in changed.items()}


def applied(delta: Delta, base: bytes) -> bytes:
    """What a delta makes of a blob."""
    assert delta.fits(base)
    return b"".join(delta.pieces(base))


def sealed(delta: bytes) -> bytes:
    """A delta with its own checksum made right, whatever it holds."""
    return delta[:72] + hashlib.sha256(delta[:72] + delta[HEADER:]).digest() + delta[HEADER:]


def small_delta() -> tuple[bytes, bytes, bytes]:
    """A blob, an edited one, and the delta in between."""
    sections = random_sections(Random(3))
    base = seal(sections, SECRET)
    sections[Section.STRINGS] += b"more"
    sections[Section.USERS] = b"x" + sections[Section.USERS][1:]
    result = seal(sections, SECRET)
    delta = make_delta(base, result, NUMBER)
    assert delta is not None
    return base, result, delta


BASE, RESULT, DELTA = small_delta()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_a_delta_makes_of_its_base_what_it_was_made_for(seed: int) -> None:
    """Whatever the edit: sections that grow, shrink, move, change, or stay as they are."""
    random = Random(seed)
    sections = random_sections(random)
    base, result = seal(sections, SECRET), seal(edited(sections, random), None)
    made = make_delta(base, result, NUMBER)
    if made is not None:
        delta = Delta.load(made)
        assert delta.base_number == NUMBER
        assert applied(delta, base) == result
        assert len(made) < len(result)
    assert applied(Delta.load(make_delta(base, base, 1) or b""), base) == base


def test_an_edit_of_one_permission_ships_a_few_kilobytes() -> None:
    """Of hundreds; and what it makes is the edited snapshot, signature and all."""
    users = tuple(User(f"{number:08d}-0000-4000-8000-000000000000") for number in range(2000))
    rules = [
        CallPermission(id=number, extensions=(f"_0{number}X.",), users=(users[number].uuid,)) for number in range(2000)
    ]
    tenant = Tenant("54eb71f8-1f4b-4ae4-8730-638062fbe521", users=users, call_permissions=tuple(rules))
    compiler = Compiler(secret=SECRET)
    base = compiler.compile(tenant, Revision(1, "a" * 64), compiled_at=1.0)
    rules[1000] = replace(rules[1000], extensions=("_0049X.",))
    edit = replace(tenant, call_permissions=tuple(rules))
    result = compiler.compile(edit, Revision(2, "b" * 64), compiled_at=2.0)
    made = make_delta(base, result, 1)
    assert made is not None
    assert len(made) < len(result) / 50
    snapshot = decode(applied(Delta.load(made), base), secrets=(SECRET,))
    assert snapshot.decide(users[1000].uuid, "004912", "").permission_id == 1000


def test_sections_behind_one_that_grows_a_little_stay_where_they_are() -> None:
    """So that Redis need not move them; and what that takes is a sixteenth at the most."""
    sections = {section: bytes(100_000 + section) for section in Section} | {Section.META: b"{}"}
    before = seal(sections, None)
    grown = {section: content + b"a little more" for section, content in sections.items()}
    after = seal(grown, None)
    assert regions(before) == regions(after)
    assert len(before) < sum(map(len, sections.values())) * 17 / 16 + 2048


@pytest.mark.parametrize("what", ["small", "rewritten"])
def test_where_most_is_new_there_is_no_delta(what: str) -> None:
    """Nor where all of it is next to nothing: then the blob itself is shipped."""
    size = 100 if what == "small" else WORTHWHILE
    blobs = [seal(dict.fromkeys(Section, Random(seed).randbytes(size)), None) for seed in (1, 2)]
    assert make_delta(blobs[0], blobs[1], NUMBER) is None


def test_a_delta_is_for_one_base_alone() -> None:
    """Another blob, if only its signature differs, is none of its business."""
    delta = Delta.load(DELTA)
    assert delta.fits(BASE)
    assert not delta.fits(RESULT)
    assert not delta.fits(BASE[:-1])
    assert not delta.fits(b"")
    assert checksum(BASE) == delta.base_checksum


@pytest.mark.parametrize("at", [0, 8, 12, 16, 24, 32, 40, 72, 103, HEADER, HEADER + 8, -1])
def test_a_damaged_byte_is_found(at: int) -> None:
    """In the header, in the steps and in the new bytes."""
    damaged = bytearray(DELTA)
    damaged[at] ^= 1
    with pytest.raises(SnapshotError):
        Delta.load(bytes(damaged))


def test_a_truncated_or_foreign_delta_says_so() -> None:
    """Each in its own way, as snapshots do."""
    for size in (0, 50, HEADER, HEADER + 10):
        with pytest.raises(SnapshotTruncated):
            Delta.load(DELTA[:size])
    with pytest.raises(SnapshotCorrupt):
        Delta.load(DELTA + b"x")
    with pytest.raises(SnapshotForeign):
        Delta.load(BASE)
    with pytest.raises(SnapshotForeign):
        Delta.load(DELTA[:8] + b"\2" + DELTA[9:])


def lying(*, step: tuple[int, int, int], at: int = 0) -> bytes:
    """The delta with one of its steps replaced, and a checksum that fits."""
    start = HEADER + at * STEP.size
    return sealed(DELTA[:start] + STEP.pack(*step) + DELTA[start + STEP.size :])


@pytest.mark.parametrize(
    "forged",
    [
        lying(step=(len(BASE), 1, 0)),
        lying(step=(2**64 - 1, 2**64 - 1, 0)),
        lying(step=(0, len(BASE), 0)),
        lying(step=(0, 64, 2**63)),
        lying(step=(0, 64, 0), at=1),
        sealed(DELTA[:32] + struct.pack("<Q", 2**40) + DELTA[40:]),
    ],
    ids=["outside", "beyond all", "back again", "more than there is", "twice the same", "another size"],
)
def test_a_delta_that_lies_is_refused(forged: bytes) -> None:
    """Its checksum is right; what it says is not, and would fill the memory or read what is not there."""
    with pytest.raises(SnapshotCorrupt):
        Delta.load(forged)


def test_a_delta_comes_in_pieces_that_hold_nobody_up() -> None:
    """However long what is copied is."""
    sections = dict.fromkeys(Section, b"") | {Section.STRINGS: bytes(3 << 20)}
    base = seal(sections, None)
    delta = Delta.load(make_delta(base, base, NUMBER) or b"")
    assert max(len(piece) for piece in delta.pieces(base)) == PIECE
    assert applied(delta, base) == base
