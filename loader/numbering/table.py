"""A numbering table: the numbering of a country behind one outside line, in bytes for servers.

The layout of the bytes: ``pdp.rules.dialling.layout``.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from loader.numbering.expressions import parse, strings
from loader.numbering.foreign import askable, world
from loader.numbering.languages import EMPTY
from loader.numbering.metadata import country_code, country_metadata, shapes, valid_numbers
from loader.numbering.trunk import trunk_automaton
from loader.numbering.words import WordsWriter
from pdp.rules.dialling.layout import DROPS_TRUNK, HAS_BARE, HAS_COUNTRY, HEADER, TABLE_MAGIC, TABLE_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loader.numbering.languages import Languages, Node

_TABLES = 1024
"""Tables that are remembered; there are some 250 countries, and few outside lines."""
_HIDES_CALLER = ("*31#", "#31#")
_HIDES_CALLER_ALSO = {1: ("*67", "*82"), 61: ("1831", "1832")}
"""By country code."""
_VALID, _BARE = 1, 2
_EVERYWHERE = "00"
"""An international prefix that is understood in every country, since mobile telephones and many operators do."""


@lru_cache(maxsize=_TABLES)
def table(country: str, outside_line: str) -> bytes:
    """``numbering.numbering_table``."""
    if not country:
        return _bytes(0, b"", (0, 0, 0, 0), _strings("", outside_line, "", "", ""), _HIDES_CALLER, ())
    metadata, code = country_metadata(country), country_code(country)
    languages, everyone = world()
    valid, bare = own_numbers(country)
    prefixes = international_prefixes(country)
    prefix = metadata.national_prefix or ""
    trunk, literal = EMPTY, ""
    if metadata.national_prefix_for_parsing:
        rule = metadata.national_prefix_transform_rule
        trunk, literal = trunk_automaton(languages, metadata.national_prefix_for_parsing, rule)
    asked = askable(languages, prefixes, outside_line, metadata.national_prefix_for_parsing, prefix, valid, bare)
    foreign = everyone if asked is None else languages.intersection(everyone, languages.labelled(asked, _VALID))

    writer = WordsWriter(languages)
    roots = (
        writer.add(languages.union(valid, languages.labelled(bare, _BARE))),
        writer.add(_any_of(languages, prefixes)),
        writer.add(trunk, actions=True),
        writer.add(foreign),
    )
    flags = HAS_COUNTRY | (DROPS_TRUNK if prefix in ("0", "1") else 0) | (HAS_BARE if bare else 0)
    return _bytes(
        flags,
        writer.words.tobytes(),
        roots,
        _strings(country, outside_line, str(code), prefix, literal),
        _HIDES_CALLER + _HIDES_CALLER_ALSO.get(code, ()),
        prefixes,
    )


def international_prefixes(country: str) -> tuple[str, ...]:
    """Every international prefix of a country, and ``00``, the longest first."""
    metadata = country_metadata(country)
    found = list(strings(parse(metadata.international_prefix or "")))
    found.append((metadata.preferred_international_prefix or "").replace("~", ""))
    return tuple(sorted({*found, _EVERYWHERE} - {""}, key=lambda prefix: (-len(prefix), prefix)))


@cache
def own_numbers(country: str) -> tuple[Node, Node]:
    """The valid numbers of a country's code, and the subset that is dialled without a national prefix."""
    languages, _ = world()
    code = country_code(country)
    valid = valid_numbers(languages, code)
    if not country_metadata(country).national_prefix:
        return valid, valid
    bare, left = EMPTY, valid
    for shape in shapes(languages, code):
        written = languages.intersection(left, shape.numbers)
        left = languages.without(left, shape.numbers)
        if shape.bare:
            bare = languages.union(bare, written)
    return valid, languages.union(bare, left)


def _any_of(languages: Languages, texts: Iterable[str]) -> Node:
    whole = EMPTY
    for text in texts:
        whole = languages.union(whole, languages.after(text, languages.end))
    return whole


def _strings(*texts: str) -> bytes:
    return b"".join(bytes((len(text),)) + text.encode("ascii") for text in texts)


def _bytes(
    flags: int,
    words: bytes,
    roots: tuple[int, int, int, int],
    texts: bytes,
    hiding: tuple[str, ...],
    prefixes: tuple[str, ...],
) -> bytes:
    """Assembles a table from parts."""
    own, international, trunk, foreign = roots
    count = len(words) // 2
    header = HEADER.pack(TABLE_MAGIC, TABLE_VERSION, flags, count, own, international, trunk, foreign)
    codes = bytes((len(hiding),)) + _strings(*hiding)
    return header + words + texts + codes + struct.pack("<H", len(prefixes)) + _strings(*prefixes)
