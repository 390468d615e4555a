"""The hash table in a blob, and the builder that keeps it up to date."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.rules.errors import SnapshotCorrupt
from pdp.rules.snapshot.keytable import MISSING, KeyTable, TableBuilder

keys = st.text("abc1", min_size=1, max_size=6).map(str.encode)
numbers = st.integers(0, 2**32 - 1)


def opened(section: bytes, start: int = 0) -> KeyTable:
    """The table of a section, ``start`` bytes into a blob."""
    blob = bytes(start) + section
    return KeyTable(blob, memoryview(blob)[start:], start)


def built(entries: dict[bytes, tuple[int, int]]) -> TableBuilder:
    """A builder with these entries."""
    builder = TableBuilder()
    for key, (first, second) in entries.items():
        builder.set(key, first, second)
    return builder


@given(steps=st.lists(st.tuples(keys, st.none() | st.tuples(numbers, numbers))), reserve=st.booleans())
def test_a_builder_is_a_dictionary(steps: list[tuple[bytes, tuple[int, int] | None]], *, reserve: bool) -> None:
    """Whatever is set, set again and removed."""
    builder, expected = TableBuilder(), dict[bytes, tuple[int, int]]()
    if reserve:
        builder.reserve(len(steps))
    for key, value in steps:
        if value is None:
            builder.remove(key)
            expected.pop(key, None)
        else:
            builder.set(key, *value)
            expected[key] = value
    table = opened(builder.section(), 64)
    assert len(table) == len(builder) == len(expected)
    assert sorted(table) == sorted(expected)
    for key, value in expected.items():
        at = table.find(key)
        assert tuple(table.words[at : at + 2]) == value
    for key, _ in steps:
        assert (table.find(key) == MISSING) == (key not in expected)


@given(keys)
def test_an_unknown_key_is_missing(key: bytes) -> None:
    """In an empty table and in one that holds others; a key with zeros behind it is another key."""
    for table in (opened(TableBuilder().section()), opened(built({key + b"x": (1, 2), b"z": (3, 4)}).section())):
        assert table.find(key) == MISSING
        assert table.find(b"z\0") == MISSING
        assert table.find(b"") == MISSING
        assert table.get(key, 7) == 7


def test_a_table_that_grew_holds_every_key() -> None:
    """Growing keeps what is there."""
    builder = built({str(number).encode(): (number, number) for number in range(20_000)})
    table = opened(builder.section())
    assert all(table.get(str(number).encode(), 0) == number for number in range(20_000))


@pytest.mark.parametrize("head", [(0, 4, 0, 0), (1, 0, 0, 0), (1, 3, 0, 0), (2**32 - 1, 4, 0, 0), (3, 4, 0, 0)])
def test_a_head_that_lies_is_refused(head: tuple[int, int, int, int]) -> None:
    """Before anything is read past the end."""
    with pytest.raises(SnapshotCorrupt):
        opened(struct.pack("<4I", *head) + bytes(36))


def test_a_table_without_an_end_is_refused() -> None:
    """A search in a full one would go on behind it."""
    section = bytearray(TableBuilder().section())
    section[-1] = 1
    with pytest.raises(SnapshotCorrupt, match="no end"):
        opened(bytes(section))
    with pytest.raises(SnapshotCorrupt, match="no head"):
        opened(b"")


LAST_DIFFER = [f"{0:08}-0000-4000-8000-{number:012x}" for number in range(2000)]
FIRST_DIFFER = [f"{number:08x}-0000-1000-8000-00163e5c7b2a" for number in range(2000)]
MIDDLE_DIFFER = [f"{0:08}-{number:04x}-4000-8000-00163e5c7b2a" for number in range(2000)]


@pytest.mark.parametrize(
    "names",
    [
        LAST_DIFFER,
        FIRST_DIFFER,
        MIDDLE_DIFFER,
        [*LAST_DIFFER, *FIRST_DIFFER, *MIDDLE_DIFFER],
        [*LAST_DIFFER[:9], "alice"],
        [*LAST_DIFFER[:9], "a name that is longer than the UUID of any user"],
    ],
    ids=["last", "first", "middle", "all", "a-short-one", "a-long-one"],
)
def test_uuids_of_every_kind_are_found_within_a_few_steps(names: list[str]) -> None:
    """Whichever of their bytes differ, they do not crowd; other keys beside them are found as well."""
    builder = TableBuilder(36)
    numbered = {name.encode(): number for number, name in enumerate(names)}
    for key, number in numbered.items():
        builder.set(key, number, 0)
    table = opened(builder.section(), 64)
    assert sorted(table) == sorted(numbered)
    assert all(table.get(key, -1) == number for key, number in numbered.items())
    assert table.find(b"11111111-2222-3333-4444-555555555555") == MISSING
    assert table.find(b"x") == MISSING
    for key in numbered:
        home = table.first + table.hashed(key)[0] % table.slots * table.slot_size
        assert table.find(key) * 4 + table.origin - table.width - home <= 300 * table.slot_size


def test_what_is_not_in_a_table_of_uuids_is_not_taken_out() -> None:
    """Nor does a key of another length harm it."""
    builder = TableBuilder(36)
    builder.set(LAST_DIFFER[1].encode(), 1, 2)
    for other in (b"x", b"x" * 36, b"x" * 60):
        builder.remove(other)
    assert len(builder) == 1
