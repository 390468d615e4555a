"""The foreign numbers whose validity a tenant must know.

The validity of all foreign numbers takes the numbering plans of the whole world, some 47 kB, and matters in two cases
alone: several international prefixes fit in front of one text, or a text that begins with the outside line may also be
a number as a whole. The first case is impossible in most countries, the second with most outside lines, or concerns few
foreign numbers. So a table holds only the foreign numbers of these cases, mostly none.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from loader.numbering.expressions import parse
from loader.numbering.languages import EMPTY, Languages
from loader.numbering.metadata import LONGEST, country_codes, valid_numbers
from pdp.rules.dialling.layout import LEAST_DIGITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loader.numbering.languages import Node


@cache
def world() -> tuple[Languages, Node]:
    """The valid numbers of all countries, as country code and national number, in a graph that others may add to."""
    languages = Languages()
    whole = EMPTY
    for code in country_codes():
        whole = languages.union(whole, languages.after(str(code), valid_numbers(languages, code)))
    return languages, whole


def askable(
    languages: Languages, prefixes: Sequence[str], line: str, trunk: str | None, prefix: str, valid: Node, bare: Node
) -> Node | None:
    """The foreign numbers whose validity may matter; None for all.

    Args:
        languages: the graph that holds the nodes.
        prefixes: the international prefixes.
        line: the outside line.
        trunk: ``national_prefix_for_parsing``.
        prefix: the national prefix.
        valid: the country's valid numbers.
        bare: the valid numbers that are dialled without the national prefix.
    """
    if any(_begins(one, other) for one in prefixes for other in prefixes if one != other):
        return None
    if not line:
        return EMPTY
    if any(_begins(line, one) or _begins(one, line) for one in prefixes):
        return None  # a foreign number can begin like the outside line
    whole = bare
    if trunk:
        if trunk == prefix:
            whole = languages.union(whole, languages.after(prefix, valid))
        elif languages.behind(line, _any_start(languages, trunk)):
            return None
    asked = EMPTY
    for one in prefixes:
        asked = languages.union(asked, languages.behind(line + one, whole))
    return languages.intersection(asked, languages.of_lengths(range(LEAST_DIGITS, LONGEST + 4)))


def _begins(one: str, other: str) -> bool:
    """Whether ``other`` begins with ``one``."""
    return other.startswith(one)


def _any_start(languages: Languages, trunk: str) -> Node:
    """The texts that begin with a match of ``national_prefix_for_parsing``, cut to the length that matters."""
    return languages.matching(parse(trunk.replace("$", "")), languages.of_lengths(range(LONGEST + 1)))
