"""From an extension to the input of a tenant's automata: the extension's readings, each as words.

A *reading* is one number that the extension may be, or none. A *word* is the input of a walk: a form of the number,
unchanged, or a marked form, which is MARK, the first characters that a pattern must spell out, MARK, and the rest.
Patterns that spell those out are items of their profile a second time, in marked form (see ``plan``), and nothing else
matches a MARK.

Only forms that a pattern of the tenant can tell apart become words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pdp.rules.dialling.folding import fold_diallable
from pdp.rules.dialling.layout import COUNT, PLAN, PLAN_MAGIC, PLAN_VERSION
from pdp.rules.dialling.numbering import NO_NUMBER, PLUS, NumberingTable, read_strings
from pdp.rules.patterns.alphabet import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WORD_LENGTH = 192
"""Characters of the longest word, for buffers that hold one; an extension has 128 at most."""

Words: TypeAlias = tuple[str, ...]

_FEATURE_KEY = re.compile("[*#A-D]")


class _Dialled(NamedTuple):
    """Digits, or ``+`` and digits, and whether the outside line stands in front."""

    text: str
    behind_line: bool


class Prefix(NamedTuple):
    """A prefix of a number: an international prefix, or ``+``; maybe behind the outside line."""

    text: str
    behind_line: bool


class Dialling:
    """A tenant's dialling plan, opened in place.

    Args:
        section: the section of a snapshot that ``plan_dialling`` made.

    Attributes:
        numbering: the table of the tenant's country.
        outside_line: digits, or nothing.
        hides_caller: codes that may stand before a number.
        prefix_groups: the prefixes of foreign numbers, in groups that no pattern divides.
        spelled_prefixes: the prefixes of own numbers that some pattern spells out.

    Raises:
        ValueError: the section is none of this release's format.
    """

    def __init__(self, section: memoryview) -> None:
        magic, version, size = PLAN.unpack_from(section)
        if magic != PLAN_MAGIC or version != PLAN_VERSION:
            raise ValueError("no dialling plan of this release's format")
        self.numbering = NumberingTable(section[PLAN.size :])
        self.outside_line = self.numbering.outside_line
        self.hides_caller = self.numbering.hides_caller
        at = PLAN.size + size
        (count,) = COUNT.unpack_from(section, at)
        at += COUNT.size
        self.prefix_groups: list[tuple[Prefix, ...]] = []
        for _ in range(count):
            group, at = _read_prefixes(section, at)
            self.prefix_groups.append(group)
        self.spelled_prefixes, _ = _read_prefixes(section, at)
        # Each request needs the readings twice: to check that the extension can be dialled, and to decide.
        self._last: tuple[str | None, tuple[Words, ...]] = (None, ())
        # Codes that plain digits may begin with.
        codes = [code for code in self.hides_caller if code.isdigit()]
        self._digits_hide = tuple(line + code for code in codes for line in dict.fromkeys(("", self.outside_line)))

    def readings(self, extension: str) -> tuple[Words, ...]:
        """The readings of an extension, one or two, each as words.

        Each reading is decided by the best verdict over its words, and the call by the stricter of two. A reading
        without words is one that no pattern of the tenant can match.

        Args:
            extension: 1 to 128 characters.

        Raises:
            Undiallable: the extension cannot be dialled.
        """
        last, readings = self._last
        if extension != last:
            readings = self._read(extension)
            self._last = (extension, readings)
        return readings

    def numbers(self, extension: str) -> tuple[str, ...]:
        """The numbers that an extension may be, one or two; an empty text for no number.

        Raises:
            Undiallable: the extension cannot be dialled.
        """
        _, head = self._unread(extension)
        return tuple(number for number, _ in self._numbers(head)) if self.numbering.has_country else (NO_NUMBER,)

    def _read(self, extension: str) -> tuple[Words, ...]:
        unread, head = self._unread(extension)
        if not self.numbering.has_country:
            return (unread,)
        return tuple([self._words(number, dialled) if number else unread for number, dialled in self._numbers(head)])

    def _unread(self, extension: str) -> tuple[Words, str]:
        """The forms of an extension that is no number, and the head, which may be one."""
        head = text = extension
        unread: Words
        if extension.isascii() and extension.isdigit() and not extension.startswith(self._digits_hide):
            unread = (extension,)
        else:
            text = fold_diallable(extension)
            shown = self._shown(text)
            key = _FEATURE_KEY.search(shown)
            head = shown[: key.start()] if key else shown
            unread = tuple(dict.fromkeys((text, shown, head) if head else (text, shown)))
        return unread, head

    def _numbers(self, head: str) -> Iterator[tuple[str, _Dialled]]:
        """The numbers that a head may be, or NO_NUMBER, each with the dialled text that was read."""
        numbering, line = self.numbering, self.outside_line
        if not line or not head.startswith(line):
            yield numbering.number(head, behind_line=False), _Dialled(head, behind_line=False)
            return
        behind = head[len(line) :]
        first = numbering.number(behind, behind_line=True)
        yield first, _Dialled(behind, behind_line=True)
        if first != NO_NUMBER and numbering.is_valid(first):
            return
        whole = numbering.number(head, behind_line=False)
        if whole != NO_NUMBER and numbering.is_valid(whole):
            yield whole, _Dialled(head, behind_line=False)

    def _shown(self, text: str) -> str:
        """A folded extension without the code that hides the caller."""
        for line in ("", self.outside_line):
            for code in self.hides_caller:
                start = line + code
                if text.startswith(start) and len(text) > len(start):
                    return line + text[len(start) :]
        return text

    def _words(self, number: str, dialled: _Dialled) -> Words:
        """The forms of a number that a pattern of the tenant can tell apart, as words."""
        if number[0] == PLUS:
            words = [word for group in self.prefix_groups if (word := self._foreign(number, group, dialled))]
        else:
            words = self._own(number, dialled)
            if self.spelled_prefixes:
                words += self._marked(number, dialled)
        return tuple(words)

    def _foreign(self, number: str, group: tuple[Prefix, ...], dialled: _Dialled) -> str:
        """The form of a foreign number for a group of prefixes, or nothing."""
        for prefix in group:
            text = number if prefix.text == PLUS else prefix.text + number[1:]
            if self._reads_as(number, text, dialled, behind_line=prefix.behind_line):
                return self.outside_line + text if prefix.behind_line else text
        return ""

    def _own(self, number: str, dialled: _Dialled) -> list[str]:
        """The forms of an own number that are not marked.

        There is always one, or a call that is dialled with ``+`` and digits too many would bypass every rule.
        """
        numbering, line = self.numbering, self.outside_line
        texts = [numbering.prefix + number]
        if numbering.prefix and numbering.has_bare and numbering.is_bare(number):
            texts.append(number)
        words = []
        for text in texts:
            reads = bool(line) and self._reads_as(number, text, dialled, behind_line=True)
            if reads:
                words.append(line + text)
            if line and text.startswith(line):
                continue
            # Only where there is no national prefix is a text read otherwise without the outside line.
            if reads if line and numbering.prefix else self._reads_as(number, text, dialled, behind_line=False):
                words.append(text)
        if not words:
            words = [line + texts[0]] if line else []
            words += [] if line and texts[0].startswith(line) else [texts[0]]
        return words

    def _marked(self, number: str, dialled: _Dialled) -> list[str]:
        """The marked forms of an own number that some pattern spells out."""
        code = self.numbering.code
        words = []
        for prefix in self.spelled_prefixes:
            text = prefix.text + code + number
            if self._reads_as(number, text, dialled, behind_line=prefix.behind_line):
                words.append(f"{MARK}{self.spelled(prefix)}{MARK}{number}")
        return words

    def spelled(self, prefix: Prefix) -> str:
        """The start that a pattern must spell out to match the forms of own numbers that begin with a prefix."""
        return (self.outside_line if prefix.behind_line else "") + prefix.text + self.numbering.code

    def _reads_as(self, number: str, text: str, dialled: _Dialled, *, behind_line: bool) -> bool:
        """Whether a text, behind the outside line or not, is read as a number again."""
        line = self.outside_line
        if line and not behind_line and text.startswith(line):
            return False
        if text == dialled.text and (behind_line == dialled.behind_line or self.numbering.prefix):
            return True
        return self.numbering.number(text, behind_line=behind_line) == number


def form_of(word: str) -> tuple[str, int]:
    """The form that a word stands for, and the number of first characters that a pattern must spell out."""
    if not word.startswith(MARK):
        return word, 0
    spelled, rest = word[1:].split(MARK)
    return spelled + rest, len(spelled)


def _read_prefixes(section: memoryview, at: int) -> tuple[tuple[Prefix, ...], int]:
    """A count and as many prefixes, and the offset behind."""
    (count,) = COUNT.unpack_from(section, at)
    at += COUNT.size
    found = []
    for _ in range(count):
        behind_line = bool(section[at])
        (text,), at = read_strings(section, at + 1, 1)
        found.append(Prefix(text, behind_line))
    return tuple(found), at
