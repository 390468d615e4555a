"""The ranges of a country's numbers that cost more than others, as patterns of what is dialled."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from loader.numbering.foreign import world
from loader.numbering.languages import DIGITS, EMPTY
from loader.numbering.metadata import LONGEST, country_code, country_metadata, described, valid_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from loader.numbering.languages import Languages, Node

_SATELLITE: Final = ("870", "881", "882", "883")
"""Country codes of satellite telephones and of networks of no country."""
_LONGEST = 6
"""Digits of the longest beginning; numbers that take more are left out."""
_RUN = 3
"""Digits from which on a run is written as a range."""


class _Beginning(NamedTuple):
    """Numbers with one beginning.

    Attributes:
        digits: the beginning.
        rest: the pattern of what follows.
    """

    digits: str
    rest: str


@cache
def ranges(country: str, outside_line: str) -> Mapping[str, tuple[str, ...]]:
    """Patterns by kind: ``premium``, ``satellite`` and ``international``; a kind without numbers is missing.

    Numbers are written as people of the country dial them, behind the outside line.

    Raises:
        UnknownCountry: libphonenumber does not know the country.
    """
    languages, _ = world()
    metadata, valid = country_metadata(country), valid_numbers(languages, country_code(country))
    premium = languages.intersection(valid, described(languages, metadata.premium_rate))
    beginnings = _beginnings(languages, premium, languages.without(languages.labelled(valid, 1), premium), "")
    own = outside_line + (metadata.national_prefix or "")
    abroad = f"{outside_line}00"
    found = {
        "premium": tuple(f"_{own}{pattern}" for pattern in _joined(beginnings)),
        "satellite": tuple(f"_{abroad}{code}." for code in _SATELLITE),
        "international": (f"_{abroad}.", "_+."),
    }
    return {kind: patterns for kind, patterns in found.items() if patterns}


def _beginnings(languages: Languages, numbers: Node, others: Node, digits: str) -> Iterator[_Beginning]:
    """The shortest beginnings that tell numbers from others, with the least length where that tells them apart."""
    if numbers == EMPTY:
        return
    least = min(_lengths(languages, numbers))
    if least > max(_lengths(languages, others), default=-1):
        yield _Beginning(digits, "." if others == EMPTY else "X" * least + "!")
    elif len(digits) < _LONGEST:
        for digit in range(DIGITS):
            on, off = (languages.ways[node][digit] for node in (numbers, others))
            yield from _beginnings(languages, on, off, f"{digits}{digit}")


def _lengths(languages: Languages, node: Node) -> set[int]:
    """The lengths of the strings in a node."""
    return {length for length in range(LONGEST + 1) if languages.intersection(node, languages.of_lengths([length]))}


def _joined(beginnings: Iterable[_Beginning]) -> list[str]:
    """Patterns for beginnings; last digits of those that are otherwise alike are put into brackets."""
    joined = []
    ordered = sorted(beginnings, key=lambda each: (len(each.digits), each.digits[:-1], each.rest, each.digits))
    for (start, rest), alike in groupby(ordered, key=lambda each: (each.digits[:-1], each.rest)):
        last = [each.digits[-1:] for each in alike]
        joined.append(start + (last[0] if len(last) == 1 else f"[{_runs(last)}]") + rest)
    return joined


def _runs(digits: list[str]) -> str:
    """Rising digits as the content of brackets: ``1-37-9``."""
    written = ""
    for _, run in groupby(enumerate(digits), key=lambda each: int(each[1]) - each[0]):
        members = [digit for _, digit in run]
        written += "".join(members) if len(members) < _RUN else f"{members[0]}-{members[-1]}"
    return written
