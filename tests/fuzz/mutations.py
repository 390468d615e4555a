"""Inputs that are nearly right: those get further into a parser than noise does."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_EDITS = 6
_PIECES = (
    *(b"\x00", b"\xff", b"\x80", b"\xed\xa0\x80", b"\xf0\x9f\x93\x9e"),
    *(b"\n", b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b".", b"-", b"&a ", b"*a", b"%s", b"\\u0000", b"../"),
    *(b"-1", b"0", b"1e999", b"NaN", b"null", b"true", b"18446744073709551616"),
)


def nearly(seeds: Sequence[bytes], *, longest: int = 4000) -> Callable[[int], bytes]:
    """Makes, from any number, one of ``seeds`` after a few edits; now and then, noise.

    One number stands for all of it: having hypothesis draw every byte would take longer than reading them. ``smallest``
    makes inputs small.
    """

    def made(number: int) -> bytes:
        random = Random(number)
        if random.random() < 0.05:
            return random.randbytes(random.randrange(200))
        data = random.choice(seeds)
        for _ in range(random.randrange(_MOST_EDITS + 1)):
            data = _edited(data, random, seeds)
        return data[:longest]

    return made


NUMBERS = st.integers(0, 2**64 - 1)
"""What inputs are made from, for tests that hypothesis runs."""


def smallest(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """What is left of an input when everything is taken away without which it still fails."""
    size = max(1, len(data) // 2)
    while size:
        at = 0
        while at < len(data):
            without = data[:at] + data[at + size :]
            if fails(without):
                data = without
            else:
                at += size
        size //= 2
    return data


def _edited(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice((1, 1, 2, 4, 16, 64, len(data))))
    head, middle, tail = data[:start], data[start:end], data[end:]
    piece = random.choice(_PIECES)
    edits: tuple[Callable[[], bytes], ...] = (
        lambda: head + piece + middle + tail,
        lambda: head + piece + tail,
        lambda: head + tail,
        lambda: head + middle * random.choice((2, 2, 20)) + tail,
        lambda: head + random.choice(seeds)[start:],
        lambda: head + random.randbytes(len(middle)) + tail,
        lambda: head + bytes(byte ^ 1 << random.randrange(8) for byte in middle[:1]) + middle[1:] + tail,
    )
    return random.choice(edits)()
