"""Dial patterns: from their text to tokens, in one pass over the characters.

A pattern becomes a tuple of tokens. A token is a mask of symbols (see ``alphabet``) that matches one character, or
STAR, which matches any number of any characters. ``!`` is a STAR and ``.`` is one character of any kind, then a STAR.
The tokens are in a normal form, in which equal texts and many different ones (``_X.!`` and ``X!.``) are equal tuples:
no two STARs stand side by side, and none stands before a character of any kind.

The meaning of each character, and invalid combinations, are in SEMANTICS (docs/semantics.md, "Which extensions a
pattern matches"). Inside brackets ranges are read as Wazo's regular expressions read ranges: a ``-`` is a range between
two characters, and a literal ``-`` elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from pdp.rules.core import core
from pdp.rules.errors import PatternError
from pdp.rules.model import MAX_PATTERN_LENGTH
from pdp.rules.patterns.alphabet import ANY_MASK, DIALABLE, STAR, mask_of, mask_of_range

_CLASSES = {
    "X": mask_of_range("0", "9"),
    "Z": mask_of_range("1", "9"),
    "N": mask_of_range("2", "9"),
}
_NAMEABLE = frozenset(DIALABLE)
_TOKENS = {
    "_": (),
    ".": (ANY_MASK, STAR),
    "!": (STAR,),
    **{character: (mask_of(character),) for character in DIALABLE},
    **{character: (mask,) for character, mask in _CLASSES.items()},
}
"""The tokens of each character that means the same everywhere outside of brackets."""
_REMEDY = "use 0-9 * # + - X Z N [...] . ! and a leading _"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A valid pattern.

    Attributes:
        text: the pattern as its administrator wrote it.
        tokens: the tokens in normal form.
    """

    text: str
    tokens: tuple[int, ...]


def parse(text: str) -> Pattern:
    """Reads a pattern.

    Raises:
        PatternError: the pattern is invalid; the error names the place and the remedy.
    """
    module = core().module
    tokens = None if module is None else module.tokens(text)
    return Pattern(text, tokens_of(text) if tokens is None else tokens)


def tokens_of(text: str) -> tuple[int, ...]:
    """The tokens of a pattern in normal form; the core does the same for texts that are patterns.

    Raises:
        PatternError: as of ``parse``.
    """
    if not text:
        raise PatternError(text, 0, "a pattern cannot be empty", _REMEDY)
    if len(text) > MAX_PATTERN_LENGTH:
        raise PatternError(text, MAX_PATTERN_LENGTH, f"longer than {MAX_PATTERN_LENGTH} characters", "shorten it")
    try:
        tokens = [token for character in text for token in _TOKENS[character]]
    except KeyError:  # a bracket, or a fault
        tokens = _Reader(text).tokens()
    if not tokens:
        raise PatternError(
            text, 0, "'_' only marks a pattern and matches nothing", "write what it shall match behind it"
        )
    return _normal(tokens)


def _normal(tokens: list[int]) -> tuple[int, ...]:
    """The same tokens with every run of STARs and any-characters as the any-characters, then one STAR."""
    if STAR not in tokens:
        return tuple(tokens)
    out: list[int] = []
    for token in tokens:
        if out and out[-1] == STAR and token in (STAR, ANY_MASK):
            if token == ANY_MASK:
                out.insert(-1, token)
        else:
            out.append(token)
    return tuple(out)


class _Reader:
    """One pass over a pattern's characters; each ``_`` is dropped, positions stay those of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._left = [(position, character) for position, character in enumerate(text) if character != "_"]
        self._left.reverse()

    def tokens(self) -> list[int]:
        """The tokens, not yet in normal form."""
        tokens: list[int] = []
        while self._left:
            position, character = self._left.pop()
            if character == "[":
                tokens.append(self._bracket(position))
            elif character in _TOKENS:
                tokens += _TOKENS[character]
            else:
                self._refuse(position, character)
        return tokens

    def _bracket(self, opened: int) -> int:
        """The mask of a ``[...]`` whose ``[``, at ``opened``, has been read."""
        members: list[tuple[int, str]] = []
        while self._left:
            position, character = self._left.pop()
            if character == "]":
                return self._members(opened, members)
            if character not in _NAMEABLE:
                self._refuse_member(position, character)
            members.append((position, character))
        raise PatternError(self._text, opened, "'[' is never closed", "add the ']' or remove the '['")

    def _members(self, opened: int, members: list[tuple[int, str]]) -> int:
        """The mask of the members between brackets."""
        if not members:
            raise PatternError(self._text, opened, "'[]' lists no character", "list at least one, as in [1-5]")
        mask = 0
        at = 0
        while at < len(members):
            position, first = members[at]
            if at + 2 < len(members) and members[at + 1][1] == "-":
                last = members[at + 2][1]
                if first > last:
                    remedy = f"write the lower character first: {last}-{first}"
                    raise PatternError(self._text, position, f"the range {first}-{last} runs the wrong way", remedy)
                mask |= mask_of_range(first, last)
                at += 3
            else:
                mask |= mask_of(first)
                at += 1
        return mask

    def _refuse(self, position: int, character: str) -> NoReturn:
        if character == "]":
            raise PatternError(self._text, position, "']' closes nothing", "add the '[' before it or remove it")
        if character.upper() in _CLASSES:
            remedy = f"write {character.upper()}, in upper case"
            raise PatternError(self._text, position, f"{character!r} is no pattern character", remedy)
        raise PatternError(self._text, position, f"{character!r} is no pattern character", _REMEDY)

    def _refuse_member(self, position: int, character: str) -> NoReturn:
        if character in "[XZN.!":
            problem = f"{character!r} stands inside brackets, where a class cannot stand"
            raise PatternError(self._text, position, problem, "list the characters themselves, as in [0-9]")
        raise PatternError(
            self._text,
            position,
            f"{character!r} cannot stand inside brackets",
            "list some of 0-9 * # + -, as in [1-5*]",
        )
