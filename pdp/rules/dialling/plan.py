"""A dialling plan: a numbering table, and the ways to write a number that the patterns of a tenant tell apart.

A country may have a great many international prefixes (China 2,101), and every one of these makes a form of each
foreign number. Most patterns cannot tell most prefixes apart: the rest of a pattern behind one prefix is equal to the
rest behind another. So prefixes are put into groups that no pattern divides, and of each group one form is enough. Of
forms that only a pattern which spells out their start may match (see ``dialling``), those are left that some pattern
spells out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pdp.rules.dialling.dialling import Prefix
from pdp.rules.dialling.layout import COUNT, PLAN, PLAN_MAGIC, PLAN_VERSION
from pdp.rules.dialling.numbering import PLUS, NumberingTable
from pdp.rules.patterns.alphabet import MARK_MASK, STAR, mask_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Tokens: TypeAlias = tuple[int, ...]
_Residue: TypeAlias = frozenset[tuple[int, int]]
"""Numbers of patterns, and positions in their tokens."""

_FEW = 6
"""The number of prefixes that are walked rather than grouped."""


class DiallingPlan:
    """A tenant's dialling plan, as far as the tenant's patterns can tell forms apart.

    Args:
        table: a numbering table.
        patterns: the text and the tokens of every pattern of the tenant that may be matched; None: any may be.

    Attributes:
        section: the section of the snapshot, which ``Dialling`` opens.
        uses_marks: whether any pattern has ``marked`` tokens.
    """

    def __init__(self, table: bytes, patterns: Iterable[tuple[str, Tokens]] | None) -> None:
        view = memoryview(table)
        numbering = NumberingTable(view)
        prefixes = [PLUS, *numbering.international_prefixes(view)] if numbering.has_country else []
        written = [Prefix(PLUS, behind_line=False)] if prefixes else []
        for text in prefixes[1:]:
            if numbering.outside_line:
                written.append(Prefix(text, behind_line=True))
            if not numbering.outside_line or not text.startswith(numbering.outside_line):
                written.append(Prefix(text, behind_line=False))
        self._line = numbering.outside_line
        self._spelled: Mapping[str, Prefix] = {self._text(prefix) + numbering.code: prefix for prefix in written}
        self._lengths = sorted({len(text) for text in self._spelled})
        spelled = written
        groups = [[prefix] for prefix in written]
        if patterns is not None:
            listed = list(patterns)
            found = {text for pattern, _ in listed for text in self.spelled_out(pattern)}
            spelled = [prefix for text, prefix in self._spelled.items() if text in found]
            if len(written) > _FEW:
                groups = self._grouped(written, {tokens for _, tokens in listed})
        self.uses_marks = bool(spelled)
        self.section = b"".join(
            (
                PLAN.pack(PLAN_MAGIC, PLAN_VERSION, numbering.size),
                table[: numbering.size],
                COUNT.pack(len(groups)),
                *map(_bytes, groups),
                _bytes(spelled),
            )
        )

    def marked(self, text: str, tokens: Tokens) -> list[Tokens]:
        """The tokens with which a pattern is an item of its profile once more, for each prefix that it spells out.

        The tokens depend on the pattern and the table, not on other patterns.
        """
        return [
            (MARK_MASK, *map(mask_of, spelled), MARK_MASK, *tokens[len(spelled) :])
            for spelled in self.spelled_out(text)
        ]

    def spelled_out(self, pattern: str) -> list[str]:
        """The starts of a pattern that forms may require to be spelt out."""
        plain = pattern.replace("_", "")
        return [plain[:length] for length in self._lengths if plain[:length] in self._spelled]

    def _text(self, prefix: Prefix) -> str:
        return (self._line if prefix.behind_line else "") + prefix.text

    def _grouped(self, prefixes: Sequence[Prefix], patterns: set[Tokens]) -> list[list[Prefix]]:
        """The prefixes in groups that no pattern divides, without those that no pattern begins with."""
        residues = _Residues(patterns)
        groups: dict[_Residue, list[Prefix]] = {}
        for prefix in prefixes:
            if left := residues.after(self._text(prefix)):
                groups.setdefault(left, []).append(prefix)
        international = {prefix.text for prefix in prefixes}
        return [self._least(group, international) for group in groups.values()] or [[prefixes[0]]]

    def _least(self, group: list[Prefix], international: set[str]) -> list[Prefix]:
        """The prefix of a group that makes a form of every foreign number, if there is one; else the whole group."""
        for prefix in group:
            ends = {other for other in international if _overlap(other, prefix.text)}
            if ends == {prefix.text} and (prefix.behind_line or not _overlap(self._line, prefix.text)):
                return [prefix]
        return group


class _Residues:
    """The rest of each pattern behind a text: the positions from which the pattern must match the remaining digits."""

    def __init__(self, patterns: set[Tokens]) -> None:
        self._patterns = sorted(patterns)
        start = (place for pattern in range(len(self._patterns)) for place in self._from(pattern, 0))
        self._known: dict[str, _Residue] = {"": frozenset(start)}

    def after(self, text: str) -> _Residue:
        """The positions behind a text. No pattern tells two texts with equal positions apart, if digits follow."""
        if text not in self._known:
            symbol = mask_of(text[-1])
            left: set[tuple[int, int]] = set()
            for pattern, place in self.after(text[:-1]):
                token = self._patterns[pattern][place]
                if token == STAR:
                    left.update(self._from(pattern, place))
                elif token & symbol:
                    left.update(self._from(pattern, place + 1))
            self._known[text] = frozenset(left)
        return self._known[text]

    def _from(self, pattern: int, place: int) -> Iterator[tuple[int, int]]:
        """A position and, behind a STAR, the next one; none at the pattern's end, where no digit could follow."""
        tokens = self._patterns[pattern]
        while place < len(tokens):
            yield pattern, place
            if tokens[place] != STAR:
                return
            place += 1


def _overlap(one: str, other: str) -> bool:
    """Whether one of two texts begins with the other, and neither is empty."""
    return bool(one and other) and (one.startswith(other) or other.startswith(one))


def _bytes(prefixes: Sequence[Prefix]) -> bytes:
    """A count and as many prefixes."""
    written = (bytes((prefix.behind_line, len(prefix.text))) + prefix.text.encode() for prefix in prefixes)
    return COUNT.pack(len(prefixes)) + b"".join(written)
