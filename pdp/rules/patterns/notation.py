"""Writing sets of extensions down: as patterns for people, each with an extension that matches.

A set is a row of *elements*: a mask of symbols for one character; a mask with LOOP for any number of such characters,
or none; STAR for any number of any characters. A set is written like patterns of call permissions, with three additions
for sets that such patterns cannot express: ``?`` is one character of any kind, ``[^…]`` one that is not listed, and
``{…}`` any number of the characters in the braces, or none.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pdp.rules.patterns.alphabet import ANY_MASK, DIALABLE, FIRST_GAP, GAPS, OTHER, STAR, mask_of_range

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOP = 1 << 30
"""With a mask: any number of the mask's characters, or none."""

_CLASSES = {ANY_MASK: "?", **{mask_of_range(low, "9"): name for name, low in (("X", "0"), ("Z", "1"), ("N", "2"))}}
_LITERALS = {1 << symbol: character for symbol, character in enumerate(DIALABLE)}
_MEMBERS = _LITERALS | {1 << FIRST_GAP + gap: run for gap, run in enumerate(GAPS)}
"""The characters of each symbol but OTHER, whose characters cannot be listed."""
_SAMPLES = {1 << DIALABLE.index(character): character for character in "1234567890*#+-"}
_SAMPLES |= {1 << FIRST_GAP + gap: run[0] for gap, run in enumerate(GAPS)} | {1 << OTHER: "a"}
"""A sample character of each class, by preference."""
_SHORTEST_RANGE = 3
_WILD = {"?": [ANY_MASK], ".": [ANY_MASK, STAR], "!": [STAR]}


def text_of(elements: Iterable[int]) -> str:
    """A set, as people read it; a single extension is written as it is dialled, anything else behind a ``_``."""
    written: list[str] = []
    literal = True
    for wild, run in groupby(elements, lambda element: element in (ANY_MASK, STAR)):
        some = list(run)
        if wild:
            literal = False
            written.append(_wildcards(some.count(ANY_MASK), some=STAR in some))
            continue
        for element in some:
            mask = element & ~LOOP
            literal = literal and element in _LITERALS
            written.append(class_text(mask) if mask == element else f"{{{class_text(mask)}}}")
    return ("" if literal else "_") + "".join(written)


def elements_of(text: str) -> list[int]:
    """The elements of a set that ``text_of`` wrote.

    Raises:
        ValueError: the text is none of those.
    """
    elements: list[int] = []
    at = 1 if text.startswith("_") else 0
    while at < len(text):
        character = text[at]
        closing = {"[": "]", "{": "}"}.get(character)
        end = text.index(closing, at) if closing else at
        if character == "{":
            (inner,) = elements_of("_" + text[at + 1 : end])
            elements.append(inner | LOOP)
        elif character in _WILD:
            elements += _WILD[character]
        else:
            elements.append(_mask(text[at + 1 : end]) if closing else _named(character))
        at = end + 1
    return elements


def class_text(mask: int) -> str:
    """One character of a set, given by a mask of symbols: itself, ``X``, ``Z``, ``N``, or in brackets."""
    name = _CLASSES.get(mask) or _LITERALS.get(mask)
    if name:
        return name
    return f"[^{_listed(ANY_MASK & ~mask)}]" if mask >> OTHER & 1 else f"[{_listed(mask)}]"


def sample_of(elements: Iterable[int]) -> str:
    """One of the shortest extensions of a set."""
    row = list(elements)
    needed = [element for element in row if element != STAR and not element & LOOP]
    # A set without a character of its own is a loop: an extension has at least one character.
    return "".join(map(_sample, needed or (element & ~LOOP for element in row[:1])))


def shortest(elements: Iterable[int]) -> int:
    """Characters of the shortest extension of a set."""
    return sum(element != STAR and not element & LOOP for element in elements)


def _named(character: str) -> int:
    """The mask of one character outside brackets."""
    for names in (_CLASSES, _LITERALS):
        for mask, name in names.items():
            if name == character:
                return mask
    raise ValueError(f"'{character}' is no class of characters")


def _mask(listed: str) -> int:
    """The mask of what stands in brackets."""
    if listed.startswith("^"):
        return ANY_MASK & ~_mask(listed[1:])
    found, at = 0, 0
    while at < len(listed):
        last = at + 2 if listed[at + 1 : at + 2] == "-" and at + 2 < len(listed) else at
        low, high = ord(listed[at]), ord(listed[last])
        found |= sum(bit for bit, run in _MEMBERS.items() if any(low <= ord(member) <= high for member in run))
        at = last + 1
    return found


def _wildcards(characters: int, *, some: bool) -> str:
    """That many characters of any kind, and then any number more if ``some``."""
    if not some:
        return "?" * characters
    return "?" * (characters - 1) + "." if characters else "!"


def _listed(mask: int) -> str:
    """The characters of a mask, in the notation of brackets."""
    codes = sorted(ord(character) for bit, run in _MEMBERS.items() if mask & bit for character in run)
    runs = [[code for _, code in run] for _, run in groupby(enumerate(codes), lambda at: at[1] - at[0])]
    parts: list[str] = []
    for run in runs:
        first, last = chr(run[0]), chr(run[-1])
        if len(run) >= _SHORTEST_RANGE:
            parts.append(f"{first}-{last}")
        else:
            parts += map(chr, run)
    return "".join(sorted(parts, key=_place))


def _place(part: str) -> tuple[int, str]:
    """The sort key of a part: digits first; a ``-`` that is no range, alone at the end or at the start of a range."""
    if part[0] == "-":
        return (3 if len(part) == 1 else 0), part
    return (1 if part[-1].isdigit() else 2), part


def _sample(mask: int) -> str:
    return next(character for bit, character in _SAMPLES.items() if mask & bit)
