"""The hash table in a blob, and the builder that keeps it up to date."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.rules.errors import SnapshotCorrupt
from pdp.rules.keytable import MISSING, KeyTable, TableBuilder

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
